// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

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
