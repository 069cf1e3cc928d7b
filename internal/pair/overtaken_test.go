// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
)

// TestAWordOvertaken: of two links, one brings the word that the lease is given up, the
// other a later request, of when the journal works again. What was granted for that does
// not count as ended, whichever reader is faster at which step.
func TestAWordOvertaken(t *testing.T) {
	holder := array.StartID{Count: 1, Nonce: 1}
	for n := range 30000 {
		p := &Pair{cfg: Config{Timing: DefaultTiming()}, clock: NewClock(), groups: map[array.GroupID]Group{}}
		p.system.Start = holder
		p.lease.Start(0, p.cfg.Timing)
		p.lease.Grant(p.clock.Now(), holder)
		var wg sync.WaitGroup
		for _, f := range []link.Frame{{Type: frameAsk, Offset: 1000, Flags: flagStuck}, {Type: frameAsk, Offset: 2000}} {
			wg.Go(func() { p.asked(&link.Conn{Slot: 1, Peer: link.Self{Start: holder}}, f) })
		}
		wg.Wait()
		if last := p.lease.last; p.lease.Ended(p.clock.Now()) >= last {
			t.Fatalf("round %d: period %d was granted for the later request, and counts as ended", n, last)
		}
	}
}
