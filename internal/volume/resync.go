// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// resyncState is where a group stands in a resync. Values are on disk.
type resyncState uint8

const (
	steady resyncState = iota
	// resyncing: the shadow grows, the kept state is shown.
	resyncing
	// merging: the shadow is the truth where it has a page; it is being folded in.
	merging
	// dropping: the shadow is being given back.
	dropping
)

func (p *Pool) state(id array.GroupID) resyncState {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.groups[id]; g != nil {
		return g.state
	}
	return steady
}

// Resyncing reports whether the group's resync has begun and not ended; after a
// restart too.
func (p *Pool) Resyncing(id array.GroupID) bool { return p.state(id) == resyncing }

// Finished reports whether no resync of the group is under way or ending.
func (p *Pool) Finished(id array.GroupID) bool { return p.state(id) == steady }

// setState makes a group's state and destaged place durable. p.single is held.
func (p *Pool) setState(id array.GroupID, s resyncState, destaged array.Place) error {
	p.mu.Lock()
	r := p.record(id)
	p.mu.Unlock()
	r.Destaged, r.State = destaged, s
	if err := p.edit(func(e *edit) error { return putJSON(e.tx, groupBucket, uint64(id), r) }); err != nil {
		return err
	}
	p.mu.Lock()
	g := p.groups[id]
	g.state, g.destaged, g.opened = s, destaged, min(g.opened, destaged)
	if s != resyncing {
		g.applied = destaged
	}
	p.mu.Unlock()
	for _, v := range p.members(id) { // whoever looked at the old state reads again
		v.mu.Lock()
		v.turn++
		v.hidden = s == resyncing
		v.mu.Unlock()
	}
	return nil
}

func (p *Pool) members(id array.GroupID) []*Volume {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*Volume
	for _, v := range p.volumes {
		if v.group == id {
			out = append(out, v)
		}
	}
	return out
}

// BeginResync puts what was applied on pages and keeps that state. A resync that
// began before a restart goes on with the pages it has.
func (p *Pool) BeginResync(id array.GroupID) error {
	if p.state(id) == resyncing {
		return nil
	}
	if err := p.Flush(id); err != nil {
		return fmt.Errorf("begin resync of group %s: %w", id, err)
	}
	p.single.Lock()
	defer p.single.Unlock()
	p.mu.Lock()
	g := p.groups[id]
	if g == nil {
		g = &groupPlaces{}
		p.groups[id] = g
	}
	destaged := g.destaged
	p.mu.Unlock()
	if err := p.setState(id, resyncing, destaged); err != nil {
		return fmt.Errorf("begin resync of group %s: %w", id, err)
	}
	return nil
}

// Put is a page as the source has it.
type Put struct {
	Volume array.VolumeID
	Page   int64
	Birth  array.Place
	Data   []byte // block.Page bytes, nil for zeros
}

// PutPages puts pages into the shadow, durably, all of one group that is being
// resynced. It replaces what was applied to them up to their birth.
func (p *Pool) PutPages(id array.GroupID, puts []Put) error {
	p.single.Lock()
	defer p.single.Unlock()
	if p.state(id) != resyncing {
		return fmt.Errorf("put pages: %w", array.Errorf(array.Conflict, "group %s is not being resynced", id))
	}
	for len(puts) > 0 {
		n := 1 // of one volume: each has its own space set aside
		for n < min(len(puts), p.o.Batch) && puts[n].Volume == puts[0].Volume {
			n++
		}
		if err := p.putSome(id, puts[:n]); err != nil {
			return fmt.Errorf("put pages of group %s: %w", id, err)
		}
		puts = puts[n:]
	}
	return nil
}

func (p *Pool) putSome(id array.GroupID, puts []Put) error {
	changes := make([]change, 0, len(puts))
	for i, put := range puts {
		v := p.Volume(put.Volume)
		switch {
		case v == nil || v.group != id || v.snap != nil:
			return array.Errorf(array.NotFound, "no volume %s in the group", put.Volume)
		case put.Birth == 0 || put.Page < 0 || put.Page > (v.Spec().Size-1)/block.Page:
			return array.Errorf(array.Invalid, "volume %s has no page %d born at %d", put.Volume, put.Page, put.Birth)
		case put.Data != nil && len(put.Data) != block.Page:
			return array.Errorf(array.Invalid, "a page of %d bytes", len(put.Data))
		}
		c := change{v: v, page: put.Page, e: entry{birth: put.Birth}}
		if put.Data != nil {
			c.data = p.staging[i*block.Page : (i+1)*block.Page]
			copy(c.data, put.Data)
		}
		changes = append(changes, c)
	}
	if err := p.write(shadowBucket, changes); err != nil {
		return err
	}
	for _, c := range changes {
		c.v.mu.Lock()
		c.v.clear(c.page*block.Page, (c.page+1)*block.Page, func(e *extent) bool { return e.place <= c.e.birth })
		c.v.mu.Unlock()
	}
	return nil
}

// ResyncBirth returns the birth of a page in the shadow, 0 if it wasn't put. A
// page with the source's birth needn't be sent again.
func (v *Volume) ResyncBirth(page int64) (array.Place, error) {
	var e entry
	err := v.p.db.View(func(tx *bolt.Tx) (err error) {
		e, err = lookup(tx, shadowBucket, v.id, page)
		return err
	})
	return e.birth, err
}

// FlushResync puts all of a resync that was applied on pages, so that FinishResync has
// little left to do that can fail.
func (p *Pool) FlushResync(id array.GroupID) error {
	p.single.Lock()
	defer p.single.Unlock()
	if p.state(id) != resyncing {
		return nil
	}
	for _, v := range p.members(id) {
		if err := v.destage(shadowBucket); err != nil {
			return fmt.Errorf("put the resync of group %s on pages: %w", id, err)
		}
	}
	return nil
}

// FinishResync turns the group to the resynced state, which is complete up to
// place, at once and durably.
func (p *Pool) FinishResync(id array.GroupID, place array.Place) error {
	if p.state(id) == merging { // an error came between
		p.single.Lock()
		defer p.single.Unlock()
		if err := p.finishState(id, merging); err != nil {
			return fmt.Errorf("finish resync of group %s: %w", id, err)
		}
		return nil
	}
	if p.state(id) != resyncing {
		return fmt.Errorf("finish resync: %w", array.Errorf(array.Conflict, "group %s is not being resynced", id))
	}
	p.Advance(id, place)
	p.single.Lock()
	defer p.single.Unlock()
	for _, v := range p.members(id) {
		if err := v.destage(shadowBucket); err != nil {
			return fmt.Errorf("finish resync of group %s: %w", id, err)
		}
	}
	err := p.setState(id, merging, place)
	if err == nil {
		err = p.finishState(id, merging)
	}
	if err != nil {
		return fmt.Errorf("finish resync of group %s: %w", id, err)
	}
	return nil
}

// AbortResync drops the shadow; the kept state goes on.
func (p *Pool) AbortResync(id array.GroupID) error {
	p.single.Lock()
	defer p.single.Unlock()
	if p.state(id) != resyncing {
		return fmt.Errorf("abort resync: %w", array.Errorf(array.Conflict, "group %s is not being resynced", id))
	}
	for _, v := range p.members(id) {
		v.mu.Lock()
		v.clear(0, 1<<62, everything)
		v.mu.Unlock()
	}
	p.mu.Lock()
	destaged := p.groups[id].destaged
	p.mu.Unlock()
	err := p.setState(id, dropping, destaged)
	if err == nil {
		err = p.finishState(id, dropping)
	}
	if err != nil {
		return fmt.Errorf("abort resync of group %s: %w", id, err)
	}
	return nil
}

// finishState brings a group that is merging or dropping to the steady state; one
// that is resyncing only hides what is applied. p.single is held.
func (p *Pool) finishState(id array.GroupID, s resyncState) error {
	if s == steady {
		return nil
	}
	for _, v := range p.members(id) {
		var err error
		switch s {
		case resyncing:
			v.hidden = true
		case merging:
			err = v.mergeShadow()
		case dropping:
			err = p.dropEntries(shadowBucket, v.id)
		}
		if err != nil {
			return err
		}
	}
	if s == resyncing {
		return nil
	}
	p.mu.Lock()
	destaged := p.groups[id].destaged
	p.mu.Unlock()
	return p.setState(id, steady, destaged)
}

// mergeShadow moves entries of the shadow to the map, some at a time; a crash
// between leaves a page in one of both.
func (v *Volume) mergeShadow() error {
	err := v.p.sweep(shadowBucket, v.id, func(e *edit, page int64) error {
		to, err := e.set(shadowBucket, v.id, page, entry{})
		if err != nil {
			return err
		}
		return e.write(pageBucket, v, page, to)
	})
	if err != nil {
		return fmt.Errorf("fold in the resync of volume %s: %w", v.id, err)
	}
	return nil
}
