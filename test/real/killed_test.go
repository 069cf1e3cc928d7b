// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/rig"
)

// TestAKilledArrayEndsItsSessions: when a daemon dies the kernel ends its connections,
// and no host waits for a timer of its own.
func TestAKilledArrayEndsItsSessions(t *testing.T) {
	p := newSmall(t, 1, "64m")
	l := &late{pair: p, t: t}
	var all []*initiator.Conn
	for n := range byte(8) {
		all = append(all, l.dial(rig.A, 100+n))
	}
	began := time.Now()
	p.must(p.Array(rig.A).Kill())
	for _, c := range all {
		select {
		case <-c.Ended():
		case <-time.After(2 * time.Second):
			t.Fatal("a session outlives its array")
		}
	}
	t.Logf("8 sessions ended within %v", time.Since(began).Round(time.Microsecond))
}
