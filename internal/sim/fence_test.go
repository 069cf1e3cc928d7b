// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// TestWriteAfterPreempt: a write of the preempted host that comes while the PREEMPT is
// on its way takes no effect after that was answered and the other host has read.
func TestWriteAfterPreempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, sound)
		defer w.end()
		w.net.delay = 10 * time.Millisecond
		w.hosts = nil
		w.run(4 * time.Second)
		p := w.m[0].p
		u := p.units[0]
		h1 := reservation.Nexus{Initiator: "iqn.x:one,i,0x1", Port: 1}
		h2 := reservation.Nexus{Initiator: "iqn.x:two,i,0x1", Port: 1}
		id := uint64(0)
		op := func(n reservation.Nexus) *scsi.Op {
			id++
			return &scsi.Op{ID: id, Arrived: time.Now(), Generation: u.Reservations().Revision, Nexus: n}
		}
		pr := func(n reservation.Nexus, r reservation.Request) {
			r.Nexus = n
			u.Reserve(op(n), r, func(err error) { w.must(err) })
			w.run(100 * time.Millisecond)
		}
		pr(h1, reservation.Request{Action: reservation.RegisterIgnore, NewKey: 1})
		pr(h2, reservation.Request{Action: reservation.RegisterIgnore, NewKey: 2})
		pr(h1, reservation.Request{Action: reservation.Reserve, Key: 1, Type: reservation.WriteExclusiveRegistrantsOnly})
		fill := func(x byte) []byte {
			b := make([]byte, 512)
			for i := range b {
				b[i] = x
			}
			return b
		}
		write := func(n reservation.Nexus, x byte, done func(error)) {
			b, _ := p.buffers.Get(512)
			copy(b.Bytes(), fill(x))
			u.Mutate(op(n), scsi.Mutation{Kind: scsi.Write, Offset: 0, Length: 512, Data: b}, done)
		}
		write(h1, 1, func(err error) { w.must(err) })
		w.run(100 * time.Millisecond)
		read := make([]byte, 512)
		readDone := false
		u.Reserve(op(h2), reservation.Request{Action: reservation.Preempt, Nexus: h2, Key: 2, NewKey: 1, Type: reservation.WriteExclusiveRegistrantsOnly}, func(err error) {
			t.Logf("%v PREEMPT answered: %v", time.Now().UnixMilli(), err)
			go u.Read(op(h2), 0, read, func(err error) {
				readDone = true
				t.Logf("%v host two reads %d: %v", time.Now().UnixMilli(), read[0], err)
			})
		})
		w.run(15 * time.Millisecond)
		// Its rights were checked a moment ago: the state is the applied one.
		if !u.Reservations().Allows(h1, reservation.Write) {
			t.Fatal("too late for this test")
		}
		after := false
		write(h1, 9, func(err error) {
			t.Logf("%v the preempted host's write: %v", time.Now().UnixMilli(), err)
			after = err == nil && readDone
		})
		w.run(500 * time.Millisecond)
		if after && read[0] == 1 {
			t.Error("the preempted host's write took effect after the PREEMPT was answered and the other host had read")
		}
	})
}
