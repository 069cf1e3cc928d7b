// SPDX-License-Identifier: Apache-2.0

package group

import (
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

type stampPeer struct{ Peer }

func (stampPeer) Stamp() int64 { return 1 }

type emptyDisk struct{ Disk }

func (emptyDisk) Spacious(_, _ int64) (volume.Answer, error) { return volume.Enough, nil }

// TestALargeForwardGetsItsTurn: one write of 1 MiB among many of 64 KiB, over a way on
// which half a megabyte may be under way.
func TestALargeForwardGetsItsTurn(t *testing.T) {
	const small, large, underWay = 64 << 10, 1 << 20, 512 << 10
	pool := block.NewPool(64 << 20)
	now := time.Unix(100, 0)
	g := &Group{cfg: Config{Peer: stampPeer{}, Now: func() time.Time { return now }}, forwards: forwards{byID: map[uint64]*work{}}}
	g.forwards.allowed = allowance{bytes: underWay}
	u := &Unit{g: g, disk: emptyDisk{}}
	write := func(n int) *work {
		b, ok := pool.Get(n)
		if !ok {
			t.Fatal("no buffer")
		}
		return &work{unit: u, op: &scsi.Op{Arrived: now}, m: scsi.Mutation{Kind: scsi.Write, Length: int64(n), Data: b}, done: func(error) { b.Release() }}
	}
	big := write(large)
	waiting := []*work{write(small), big}
	var sent []*work
	for turn := range 100 {
		for len(waiting)+len(sent) < 17 {
			waiting = append(waiting, write(small))
		}
		g.forwards.full = false // as at the beginning of every turn
		var keep []*work
		for _, w := range waiting {
			if !g.forwardMutation(w) {
				keep = append(keep, w)
				continue
			}
			if sent = append(sent, w); w == big {
				t.Logf("sent in turn %d", turn)
				return
			}
		}
		waiting = keep
		g.dropSends()
		now = now.Add(26 * time.Millisecond) // 64 KiB at 20 Mbit/s
		g.answered(sent[0])
		sent[0].done(nil)
		sent = sent[1:]
	}
	t.Error("it was not sent in 100 turns")
}
