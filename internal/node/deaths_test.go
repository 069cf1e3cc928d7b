// SPDX-License-Identifier: Apache-2.0

//go:build prove

package node

import "testing"

// TestDeathWithinCommands: either array dies at each exchange of each command, and is
// started again.
func TestDeathWithinCommands(t *testing.T) {
	for _, c := range twoArrayCommands() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := openInterrupted(t)
			for _, f := range []fault{otherDies, otherDiesAfter, thisDies, thisDiesAfter} {
				for k := 1; ; k++ {
					x.agree()
					p, hit := x.play(c, k, f)
					x.agree()
					x.whole(p)
					if !hit {
						break
					}
				}
			}
			x.agree()
			x.check()
		})
	}
}
