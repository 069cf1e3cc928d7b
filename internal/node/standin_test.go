// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"testing"
)

// TestLeavesNoGap: the other array hears from the first moment on that its addresses may be
// here, since a process before this one may have left them behind.
func TestLeavesNoGap(t *testing.T) {
	n := &Node{}
	if n.standsIn() {
		t.Error("an array that is never to stand in says that it does")
	}
	n.cfg.Target.Takeover = []Movable{{Portal: "192.0.2.2:3260", Network: 24, Device: "eth0", Tag: 1}}
	if !n.standsIn() {
		t.Error("before it was looked at, nothing may be here")
	}
}

// TestGuestsAreGuarded: at a portal of the other array only those are let in that are named.
func TestGuestsAreGuarded(t *testing.T) {
	const portal = "192.0.2.2:3260"
	c := Config{
		ISCSI:  ISCSI{Name: "iqn.2026-01.io.perdure:array-a", Portals: []string{"192.0.2.1:3260"}, Allow: map[string][]string{portal: {"iqn.2026-01.org.example:web"}}},
		Target: Target{SystemID: 2, ISCSIName: "iqn.2026-01.io.perdure:array-b", Takeover: []Movable{{Portal: portal, Network: 24, Device: "eth0", Tag: 1}}},
	}
	if err := c.checkTakeover(); err != nil {
		t.Fatal(err)
	}
	n := &Node{cfg: c}
	n.rel.Store(&relation{})
	all, err := n.guests()
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Allow.Initiators, []string{"iqn.2026-01.org.example:web"}) {
		t.Errorf("%+v, %v", all, err)
	}
}
