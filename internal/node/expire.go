// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/store"
)

// expireEvery is how often snapshots are looked at whose time may be over.
const expireEvery = 10 * time.Second

// watchExpiry removes snapshots, and volumes made from them, whose time is over. Those
// of a group are removed by the array that serves it.
func (n *Node) watchExpiry(ctx context.Context) {
	told := map[string]string{} // why those are still there
	for pause(ctx, expireEvery) {
		old, err := n.expired(n.now())
		if err != nil {
			n.event("look for expired snapshots: " + err.Error())
			continue
		}
		still := map[string]string{}
		for _, v := range old {
			if _, err := n.runHere(ctx, n.itself("removevv", "-f", v.Name)); err != nil {
				if still[v.Name] = err.Error(); told[v.Name] != err.Error() {
					n.event(fmt.Sprintf("%s expired and can't be removed: %v", v.Name, err))
				}
				continue
			}
			n.event(v.Name + " expired and was removed")
		}
		told = still
	}
}

// expired returns the snapshots whose time is over and that this array may remove,
// those that others depend on last.
func (n *Node) expired(now time.Time) ([]VV, error) {
	var old []VV
	err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchExpiry, func(_ string, v VV) error {
			if now.After(v.Expires) {
				old = append(old, v)
			}
			return nil
		})
	})
	old = slices.DeleteFunc(old, func(v VV) bool {
		r := n.running(v.Group)
		if r == nil {
			return true
		}
		i, err := r.g.Info()
		return err != nil || !i.Serving
	})
	slices.SortStableFunc(old, func(a, b VV) int { return snapshotsFirst(b, a) })
	return old, err
}
