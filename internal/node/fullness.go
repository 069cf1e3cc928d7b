// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"sync"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// cpgLevel tells people that a CPG reached a level of fullness, or fell below one, and hosts
// of its thin volumes that a threshold was crossed.
func (n *Node) cpgLevel(cpg string, percent int) {
	n.fullness.turn.Lock()
	defer n.fullness.turn.Unlock()
	was, h := n.fullness.told[cpg], cpgLevelIs(cpg, percent)
	if n.fullness.told == nil {
		n.fullness.told = map[string]int{}
	}
	n.fullness.told[cpg] = percent
	switch lasts := n.alerts.Lasts(h.Condition); {
	case percent == 0:
		n.over(h.Condition, endedText(h.Condition))
		return
	case percent < was && was == volume.IsFull:
		n.event("CPG " + cpg + " is not full any more, and takes writes")
	case percent < was:
		n.event(fmt.Sprintf("CPG %s is less full than %d percent again", cpg, was))
	case lasts && severityOf(was) == h.severity:
		n.tellPeople(h.severity, h.text) // it is the same alert, and news all the same
	}
	n.raise(h.Condition, h.severity, h.text)
	if percent < was {
		return
	}
	n.wg.Go(func() {
		for _, u := range n.thinUnits(cpg) {
			u.ThresholdCrossed()
		}
	})
}

// fullness is which level of each CPG people were told of last.
type fullness struct {
	turn sync.Mutex
	told map[string]int
}

// cpgLevelIs is what people are told of a level.
func cpgLevelIs(cpg string, percent int) holding {
	is := fmt.Sprintf("%d percent full or more", percent)
	if percent == volume.IsFull {
		is = "full, and writes that need room are refused"
	}
	return holding{
		Condition: event.Condition{Kind: kindCPG, Object: cpg}, severity: severityOf(percent),
		text: "CPG " + cpg + " is " + is + ": remove snapshots, or give it more room",
	}
}

// nearlyFull is the level from which a CPG needs a person at once.
const nearlyFull = 95

func severityOf(percent int) event.Severity {
	if percent >= nearlyFull {
		return event.Major
	}
	return event.Minor
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
