// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/store"
)

// A volume that joins a group, or leaves it, is on one array meanwhile, and copied by the array that
// serves the group. When that is taken over by the other one, which has none of it, this stands still
// until a person brings the group back, or ends it: the other array must not give the group back by
// itself, for its home may be anywhere.

// stranded says why the admission or dismissal of a volume stands still, "" if it does not; o is to
// take its place.
func (n *Node) stranded(o VV) string {
	if o.Stays != nil {
		v, err := n.vvOf(o.Stays.From)
		if err != nil {
			return ""
		}
		r := n.runningShared(v.Group)
		if r == nil || !n.paired() || !n.elsewhere(r) {
			return ""
		}
		return fmt.Sprintf("volume %s is to leave group %s for array %s, and array %s serves the group now: nothing is copied until 'setrcopygroup switchover %s' lets array %s serve it",
			v.Name, r.rec.Name, n.cfg.Name, n.to().Name, r.rec.Name, n.cfg.Name)
	}
	r := n.runningShared(o.Group)
	if r == nil || !n.paired() {
		return ""
	}
	has, serves := n.cfg.Name, n.to().Name
	if _, err := n.vvOf(o.Joins.From); err != nil {
		has, serves = serves, has
	}
	if there := serves == n.to().Name; there != n.elsewhere(r) || !there && !n.serves(o.Group) {
		return ""
	}
	return fmt.Sprintf("volume %s is on array %s alone, and joins group %s, which array %s serves now: nothing is copied until 'setrcopygroup switchover %s' lets array %s serve it, or 'dismissrcopyvv -f %s %s' ends the admission",
		o.Joins.Name, has, r.rec.Name, serves, r.rec.Name, has, o.Joins.Name, r.rec.Name)
}

// strandedConditions are those of all admissions and dismissals.
func (n *Node) strandedConditions() (all []holding) {
	var joining []VV
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchCopy, func(_ string, v VV) error {
			if v.Joins != nil || v.Stays != nil {
				joining = append(joining, v)
			}
			return nil
		})
	}); err != nil {
		n.eventOnce("look for admissions that stand still: " + err.Error())
	}
	for _, o := range joining {
		if text := n.stranded(o); text != "" {
			all = append(all, holding{Condition: event.Condition{Kind: kindJoins, Object: o.source()}, severity: event.Major, patience: patience, text: text})
		}
	}
	return all
}
