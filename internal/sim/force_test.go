// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// TestForceDuringCopy: the source dies between the end of the pages and the place at
// which they are whole, and a person forces the target. It goes on from its last
// consistent state, and what it acknowledges from then on is there, after a restart too.
func TestForceDuringCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, sound)
		defer w.end()
		a, b := w.m[0], w.m[1]
		w.run(4 * time.Second)
		w.kill(b, true)
		w.run(60 * time.Second) // A's journal lets go of what B lacks
		w.loseAfterCopy.Store(true)
		w.net.delay = 50 * time.Millisecond
		w.boot(b)
		for n := 0; ; n++ {
			w.run(step)
			i, err := b.p.g.Info()
			w.must(err)
			if strings.HasPrefix(i.Copy, "taking pages") && !strings.HasSuffix(i.Copy, "whole at place 0") {
				break
			}
			if i.Synced || n > 4000 {
				t.Fatalf("B is not between the end of the pages and their wholeness: %s", i.Copy)
			}
		}
		w.kill(a, true)
		w.hosts = nil
		w.run(2 * time.Second)
		w.must(b.p.g.Force(true))
		w.run(time.Second)
		const off = 4096
		want := bytes.Repeat([]byte{0x5a}, 512)
		nexus := reservation.Nexus{Initiator: "iqn.x:f,i,0x1", Port: 257}
		out := make(chan error, 1)
		wait := func(what string) {
			t.Helper()
			w.run(500 * time.Millisecond)
			select {
			case err := <-out:
				w.must(err)
			default:
				t.Fatalf("%s is not answered", what)
			}
		}
		read := func(when string) {
			t.Helper()
			got := make([]byte, len(want))
			op := &scsi.Op{ID: 2, Arrived: time.Now(), Nexus: nexus}
			b.p.units[0].Read(op, off, got, func(err error) { out <- err })
			if wait("a read " + when); !bytes.Equal(got, want) {
				t.Fatalf("%s an acknowledged write is not read back", when)
			}
		}
		buf, _ := b.p.buffers.Get(len(want))
		copy(buf.Bytes(), want)
		op := &scsi.Op{ID: 1, Arrived: time.Now(), Generation: b.p.units[0].Reservations().Revision, Nexus: nexus}
		b.p.units[0].Mutate(op, scsi.Mutation{Kind: scsi.Write, Offset: off, Length: int64(len(want)), Data: buf}, func(err error) { out <- err })
		wait("a write")
		read("at once")
		w.kill(b, true)
		w.boot(b)
		w.run(3 * time.Second)
		read("after a restart")
	})
}
