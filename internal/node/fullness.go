// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// cpgLevel tells people that a CPG reached a level of fullness, or fell below all, and
// hosts of its thin volumes that a threshold was crossed.
func (n *Node) cpgLevel(cpg string, percent int) {
	h := cpgLevelIs(cpg, percent)
	if percent == 0 {
		n.over(h.Condition, endedText(h.Condition))
		return
	}
	if n.alerts.Lasts(h.Condition) && h.severity == event.Minor {
		n.warn(h.text) // it is the same alert, and news all the same
	}
	n.raise(h.Condition, h.severity, h.text)
	n.wg.Go(func() {
		for _, u := range n.thinUnits(cpg) {
			u.ThresholdCrossed()
		}
	})
}

// cpgLevelIs is what people are told of a level.
func cpgLevelIs(cpg string, percent int) holding {
	h := holding{
		Condition: event.Condition{Kind: kindCPG, Object: cpg}, severity: event.Minor,
		text: fmt.Sprintf("CPG %s is %d percent full or more: remove snapshots, or give it more room", cpg, percent),
	}
	if percent >= 95 {
		h.severity = event.Major
	}
	return h
}

// thinUnits returns the units of a CPG's volumes that could run out of space.
func (n *Node) thinUnits(cpg string) []*group.Unit {
	var vvs []VV
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.Each(t, func(_ string, v VV) error {
			if v.CPG == cpg && v.Of == 0 && v.Provisioning != volume.Full {
				vvs = append(vvs, v)
			}
			return nil
		})
	}); err != nil {
		n.event("look for thin volumes: " + err.Error())
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	var units []*group.Unit
	for _, v := range vvs {
		if r := n.groups[v.Group]; r != nil && r.units[v.ID] != nil {
			units = append(units, r.units[v.ID])
		}
	}
	return units
}
