// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/perdure/perdure/internal/store"
)

// mendVLUNKeys puts VLUNs that lie at another key than theirs where they belong. Keys were
// once not one of each LUN, and of two that had the same only the later is there.
func (n *Node) mendVLUNKeys() error {
	lost := map[string]VLUN{}
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vluns.Each(t, func(key string, l VLUN) error {
			if key != vlunKey(l) {
				lost[key] = l
			}
			return nil
		})
	}); err != nil || len(lost) == 0 {
		return err
	}
	return n.store.Update(func(t *store.Tx) error {
		for key := range lost {
			if err := tables.vluns.Delete(t, key); err != nil {
				return err
			}
		}
		for _, l := range lost {
			if _, ok, err := tables.vluns.Get(t, vlunKey(l)); err != nil || ok {
				return orElse(err, fmt.Errorf("LUN %d of %s is there twice", l.LUN, l.Host))
			}
			if err := tables.vluns.Put(t, vlunKey(l), l); err != nil {
				return err
			}
		}
		return nil
	})
}
