// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

// hangAbort lets pages of points be given up late.
var hangAbort bool

// hanger is a pool whose AbortResync comes late: the machine dies before it has begun.
type hanger struct{ *volume.Pool }

func (h hanger) AbortResync(id array.GroupID) error {
	if hangAbort {
		time.Sleep(10 * time.Second)
	}
	return h.Pool.AbortResync(id)
}

// TestForcedAndDead: a point is under way at the target, its source dies, a person forces the
// target, and the target dies before or after its pool has begun to give the pages of the
// point up. Restarted, it serves.
func TestForcedAndDead(t *testing.T) {
	for _, early := range []bool{true, false} {
		forcedAndDead(t, early)
	}
}

func forcedAndDead(t *testing.T, early bool) {
	defer func() { hangAbort = false }()
	synctest.Test(t, func(t *testing.T) {
		hangAbort = true
		w, s := newPeriodic(t, 2, sound)
		defer w.end()
		a, b := w.m[0], w.m[1]
		hangAbort = false
		s.sweep(800)
		s.untilPoint()
		s.sweep(3)
		for k := 0; !b.p.pool.Resyncing(1); k++ {
			if k > 100 {
				t.Fatal("no resync caught")
			}
			s.sweep(1)
		}
		w.kill(a, true)
		s.stopping = true
		w.run(3 * time.Second)
		if !b.p.pool.Resyncing(1) {
			t.Fatal("no shadow")
		}
		hangAbort = early
		w.must(b.p.g.Force(true))
		w.run(100 * time.Millisecond)
		w.kill(b, true) // before AbortResync has begun
		hangAbort = false
		w.boot(b)
		w.run(3 * time.Second)
		i, err := b.p.g.Info()
		w.must(err)
		if !i.Serving {
			t.Errorf("forced, restarted, and not served: %v", i.Reason)
		}
		buf, _ := b.p.buffers.Get(block.Page)
		binary.LittleEndian.PutUint64(buf.Bytes(), 4711)
		out := make(chan error, 1)
		p := b.p
		op := &scsi.Op{ID: 1 << 40, Arrived: time.Now(), Generation: p.units[0].Reservations().Revision, Nexus: reservation.Nexus{Initiator: "iqn.x:forced,i,0x1", Port: 1}}
		p.units[0].Mutate(op, scsi.Mutation{Kind: scsi.Write, Offset: 0, Length: block.Page, Data: buf}, func(err error) { buf.Release(); out <- err })
		w.run(60 * time.Second)
		select {
		case err := <-out:
			if err != nil {
				t.Errorf("forced, restarted, and a write fails: %v", err)
			}
		default:
			t.Error("forced, restarted, says it serves, and a write has no answer after 60 s")
		}
	})
}
