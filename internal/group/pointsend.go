// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/progress"
)

// What Offset of a PacketPointAck says.
const (
	// pointReady: send what differs from place Held on. Length 1: pages of this very point
	// are here already.
	pointReady = iota + 1
	// pointWritten: so many pages as Length says are durable.
	pointWritten
	// pointLacks answers a PacketPointAsk: a byte for each page, 1 if it is to be sent.
	pointLacks
	// pointTurned: this array stands at the point, durably.
	pointTurned
	// pointRefused: not now; Body says why.
	pointRefused
)

// pointRun is a point on its way, at its source.
type pointRun struct {
	p *point
	// older is the point at which the other array may stand.
	older *point
	asked time.Time
	// walked grows as the source looks through its pages; moved is when the run last got
	// further, to reached.
	walked  atomic.Int64
	moved   time.Time
	reached int64
	// seen is how many of size bytes of volumes were looked through.
	seen, size atomic.Int64

	mu     sync.Mutex
	cond   *sync.Cond
	begun  bool
	goesOn bool
	since  array.Place
	acked  int64
	lacks  []byte
	ended  bool
}

func (r *pointRun) written() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// amount is how far it is.
func (r *pointRun) amount() progress.Amount {
	return progress.Amount{Done: r.seen.Load(), Total: r.size.Load(), Bytes: r.written() * block.Page}
}

// wait blocks until ok; false if the run was ended.
func (r *pointRun) wait(ok func() bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.ended && !ok() {
		r.cond.Wait()
	}
	return !r.ended
}

func (g *Group) pointPacket(t PacketType, p *point) Packet {
	k := Packet{Type: t, Epoch: g.view.Epoch, Pos: array.Position{Place: p.Place}}
	binary.BigEndian.PutUint64(k.Tag[:8], p.Tag)
	return k
}

// sendPoint begins to send the pending point.
func (g *Group) sendPoint(now time.Time) {
	p := &g.period
	if g.core.Peer() > p.kept.Pending.Place {
		g.forgetPoints() // it was a member meanwhile
		return
	}
	r := &pointRun{p: p.kept.Pending, older: p.kept.Done, asked: now, moved: now}
	r.cond = sync.NewCond(&r.mu)
	p.run = r
	k := g.pointPacket(PacketPointBegin, r.p)
	k.Commit = g.core.Commit()
	g.sends = append(g.sends, k)
	var vols []array.VolumeID // of those that there are still
	disks := map[array.VolumeID]Disk{}
	for _, v := range r.p.Volumes {
		if u := g.units[v]; u != nil {
			vols, disks[v] = append(vols, v), u.disk
			r.size.Add(u.Size())
		}
	}
	go func() {
		err := g.runPoint(r, vols, disks)
		if err == nil || errors.Is(err, errStop) {
			return
		}
		g.post(func() {
			if p.run != r {
				return
			}
			g.endPointRun()
			if slices.ContainsFunc(vols, func(v array.VolumeID) bool { return g.units[v] == nil }) {
				return // one was taken out meanwhile: the others are sent
			}
			g.pointTrouble(err.Error())
			if array.KindOf(err) == array.NotFound { // a snapshot could not be made: another point
				g.forgetPoints()
			}
		})
	}()
}

func (g *Group) endPointRun() {
	if r := g.period.run; r != nil {
		r.mu.Lock()
		r.ended = true
		r.mu.Unlock()
		r.cond.Broadcast()
		g.period.run = nil
	}
}

// checkPointRun gives up a run that the other array does not begin, or not go on with. The
// pages that it has are not sent again.
func (g *Group) checkPointRun(now time.Time) {
	r := g.period.run
	r.mu.Lock()
	begun, at := r.begun, r.acked+r.walked.Load()
	r.mu.Unlock()
	if at != r.reached {
		r.reached, r.moved = at, now
	}
	if !begun && now.Sub(r.asked) > copyAnswer || begun && now.Sub(r.moved) > copyStalls {
		g.endPointRun()
	}
}

// ackPoint takes what the other array says of the point that is sent.
func (g *Group) ackPoint(p Packet) {
	r := g.period.run
	if r == nil || p.Epoch != g.view.Epoch || binary.BigEndian.Uint64(p.Tag[:8]) != r.p.Tag {
		return
	}
	switch p.Offset {
	case pointTurned:
		g.pointDone(r)
		return
	case pointRefused:
		g.endPointRun()
		g.pointTrouble("the other array: " + string(p.Body[:min(len(p.Body), 500)]))
		return
	}
	r.mu.Lock()
	switch p.Offset {
	case pointReady:
		if !r.begun {
			r.begun, r.since, r.goesOn = true, p.Held, p.Length == 1
		}
	case pointWritten:
		r.acked = max(r.acked, p.Length)
	case pointLacks:
		r.lacks = append([]byte{}, p.Body...)
	}
	r.mu.Unlock()
	r.cond.Broadcast()
}

// runPoint sends the pages, and what ends them.
func (g *Group) runPoint(r *pointRun, vols []array.VolumeID, disks map[array.VolumeID]Disk) error {
	if !r.wait(func() bool { return r.begun }) {
		return errStop
	}
	if err := g.cfg.Pages.Flush(g.cfg.ID); err != nil { // the snapshots are on pages then
		return err
	}
	sent := int64(0)
	for _, v := range vols {
		if err := g.sendMoment(r, v, disks[v], &sent); err != nil {
			return fmt.Errorf("send volume %v: %w", v, err)
		}
	}
	if !r.wait(func() bool { return r.acked >= sent }) {
		return errStop
	}
	g.post(func() {
		if g.period.run != r {
			return
		}
		states := int64(0)
		for _, v := range vols {
			k := g.pointPacket(PacketPointState, r.p)
			k.Volume, k.Body = v, r.p.States[v]
			g.sends = append(g.sends, k)
			states++
		}
		k := g.pointPacket(PacketPointEnd, r.p)
		k.Held, k.Offset, k.Commit, k.Body = array.Place(states), sent, array.Place(r.p.Time), r.p.Segments
		g.sends = append(g.sends, k)
	})
	return nil
}

// sendMoment sends a volume's pages at the point that differ from what the other array has.
func (g *Group) sendMoment(r *pointRun, v array.VolumeID, d Disk, sent *int64) error {
	snap := array.PointID(v, r.p.Slot)
	for from, before := int64(0), r.seen.Load(); ; {
		var pages []int64
		add := func(n int64) bool {
			pages = append(pages, n)
			return len(pages) < copyWindow
		}
		var err error
		if o := r.older; o != nil && o.Place == r.since && slices.Contains(o.Volumes, v) {
			err = g.cfg.Points.Differ(array.PointID(v, o.Slot), snap, from, func(n int64) bool { r.walked.Add(1); return add(n) })
		} else {
			err = g.cfg.Points.ChangedAt(snap, r.since, from, func(n int64, birth array.Place) bool {
				r.walked.Add(1)
				return birth == 0 || add(n)
			})
		}
		if err == nil {
			err = g.sendPointPages(r, v, d, snap, pages, sent)
		}
		if err != nil || len(pages) < copyWindow {
			r.seen.Store(before + d.Spec().Size)
			return err
		}
		from = pages[len(pages)-1] + 1
		r.seen.Store(before + from*block.Page)
	}
}

func (g *Group) sendPointPages(r *pointRun, v array.VolumeID, d Disk, snap array.VolumeID, pages []int64, sent *int64) error {
	var out []Packet
	for _, n := range pages {
		b := make([]byte, block.Page)
		birth, err := g.pageAt(d, snap, n, b)
		if err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		if birth <= r.since {
			continue // it was not written between
		}
		if allZero(b) {
			b = nil
		}
		k := g.pointPacket(PacketPointPage, r.p)
		k.Volume, k.Offset, k.Commit, k.Body = v, n, birth, b
		out = append(out, k)
	}
	if r.goesOn && len(out) > 0 {
		lacks, err := g.askLacks(r, v, out)
		if err != nil {
			return err
		}
		kept := out[:0]
		for i, k := range out {
			if lacks[i] != 0 {
				kept = append(kept, k)
			}
		}
		out = kept
	}
	for _, k := range out {
		if !r.wait(func() bool { return *sent-r.acked < copyWindow }) {
			return errStop
		}
		*sent++
		g.post(func() {
			if g.period.run == r {
				g.sends = append(g.sends, k)
			}
		})
	}
	return nil
}

// pageAt reads a page of the point.
func (g *Group) pageAt(d Disk, snap array.VolumeID, n int64, b []byte) (array.Place, error) {
	if g.cfg.Blurred {
		return d.ReadPage(n, b)
	}
	return g.cfg.Points.PageAt(snap, n, b)
}

// askLacks asks the other array, which has some pages of the point, which of these it lacks.
func (g *Group) askLacks(r *pointRun, v array.VolumeID, out []Packet) ([]byte, error) {
	var body []byte
	for _, k := range out {
		body = binary.BigEndian.AppendUint64(body, uint64(k.Offset))
		body = binary.BigEndian.AppendUint64(body, uint64(k.Commit))
	}
	r.mu.Lock()
	r.lacks = nil
	r.mu.Unlock()
	g.post(func() {
		if g.period.run == r {
			k := g.pointPacket(PacketPointAsk, r.p)
			k.Volume, k.Body = v, body
			g.sends = append(g.sends, k)
		}
	})
	if !r.wait(func() bool { return r.lacks != nil }) {
		return nil, errStop
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lacks) != len(out) {
		return nil, array.Errorf(array.Invalid, "the other array answers for %d pages of %d", len(r.lacks), len(out))
	}
	return r.lacks, nil
}
