// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/witness"
)

// witnessUser is told what the witness says.
type witnessUser interface {
	// answer says that it is, or that there is none, to a swap of the group's.
	WitnessSeen(view arb.WitnessView, answer bool)
	WitnessLost(answer bool)
}

const (
	// pollEvery is how often the registers are read while all is well.
	pollEvery = 500 * time.Millisecond
	// witnessWithin bounds one request: three round trips of half a second.
	witnessWithin = 1800 * time.Millisecond
)

// WitnessStatus is the witness as this array sees it.
type WitnessStatus struct {
	Configured  bool
	Reached     bool
	Incarnation witness.Incarnation
	LastSeen    time.Time
	Error       string
	RoundTrip   time.Duration
}

type witnessState struct {
	// turning is held while the witness is exchanged; ctx ends with the relation, and
	// ended is closed when nobody watches the witness any more that stop ended.
	turning sync.Mutex
	ctx     context.Context
	stop    context.CancelFunc
	ended   chan struct{}

	mu     sync.Mutex
	client *witness.Client // nil: none
	status WitnessStatus
	swaps  map[array.GroupID]arb.Swap
	poke   chan struct{}
	// asked are the groups that want a fresh look at their registers.
	asked map[array.GroupID]bool
	// parsed are the registers as they were read last; of the watching goroutine.
	parsed map[array.GroupID]arb.WitnessView
	// checked is the incarnation for which this start was compared. It belongs to the
	// watching goroutine.
	checked witness.Incarnation
	tries   int  // to compare, that failed
	past    bool // it was compared, and all that follows is done
	// known: it was compared, or can't be; restored: it came out older. Guarded by mu.
	known, restored bool
}

// start returns whether it is known that this array's disk is of the past, and is.
func (w *witnessState) start() (known, restored bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known, w.restored
}

// Restored reports whether the witness showed, since this array's start, that its disks were
// put back from a copy.
func (p *Pair) Restored() bool {
	known, restored := p.w.start()
	return known && restored
}

func (w *witnessState) init(c *witness.Client) {
	w.swaps, w.poke = map[array.GroupID]arb.Swap{}, make(chan struct{}, 1)
	w.parsed = map[array.GroupID]arb.WitnessView{}
	w.client, w.status.Configured = c, c != nil
}

func (w *witnessState) now() *witness.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.client
}

func (w *witnessState) wake() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// WitnessStatus returns the last contact.
func (p *Pair) WitnessStatus() WitnessStatus {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.status
}

// readWitness has a group's register read soon.
func (p *Pair) readWitness(id array.GroupID) {
	p.w.mu.Lock()
	if p.w.asked == nil {
		p.w.asked = map[array.GroupID]bool{}
	}
	p.w.asked[id] = true
	p.w.mu.Unlock()
	p.w.wake()
}

// takeAsked returns who asked since it was called last.
func (w *witnessState) takeAsked() (ids []array.GroupID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.asked {
		ids = append(ids, id)
	}
	clear(w.asked)
	return ids
}

// incarnation is that of the witness's last answer.
func (w *witnessState) incarnation() witness.Incarnation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status.Incarnation
}

// ReadWitness asks for a fresh look at the group's register.
func (w way) ReadWitness(id array.GroupID) { w.readWitness(id) }

// Swap queues a swap; all that have gathered go in one request.
func (w way) Swap(g array.GroupID, s arb.Swap) {
	w.w.mu.Lock()
	none := w.w.client == nil
	if !none {
		w.w.swaps[g] = s
	}
	w.w.mu.Unlock()
	if none {
		w.tellLost(g)
		return
	}
	w.w.wake()
}

// tellLost answers a swap for which there is no witness.
func (p *Pair) tellLost(id array.GroupID) {
	if g := p.group(id); g != nil {
		g.WitnessLost(true)
	}
}

// SetWitness exchanges the witness; nil: there is none from now on. Groups hear that the
// one before is lost, before anything of the new one.
func (p *Pair) SetWitness(c *witness.Client) {
	w := &p.w
	w.turning.Lock()
	defer w.turning.Unlock()
	if w.stop != nil {
		w.stop()
		<-w.ended
		w.stop = nil
	}
	w.mu.Lock()
	left, old := w.swaps, w.client
	w.swaps = map[array.GroupID]arb.Swap{}
	w.client, w.status = c, WitnessStatus{Configured: c != nil}
	w.mu.Unlock()
	if old != nil {
		old.Close()
	}
	w.checked, w.tries = witness.Incarnation{}, 0
	for id := range left {
		p.tellLost(id)
	}
	p.each(func(g Group) { g.WitnessLost(false) })
	p.watch()
}

// watch begins to watch the witness, if there is one and the relation lives. The caller
// holds turning.
func (p *Pair) watch() {
	w := &p.w
	c := w.now()
	if c == nil || w.ctx == nil || w.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan struct{})
	w.stop, w.ended = stop, ended
	p.wg.Go(func() {
		defer close(ended)
		p.watchWitness(ctx, c)
	})
}

func key(g array.GroupID) string { return "group/" + g.String() }

func number(i witness.Incarnation) uint64 { return binary.BigEndian.Uint64(i[:8]) | 1 }

// watchWitness is the only goroutine that talks to the witness.
func (p *Pair) watchWitness(ctx context.Context, w *witness.Client) {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	var last time.Time
	for all := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			all = true
		case <-p.w.poke:
		}
		p.w.mu.Lock()
		swaps := p.w.swaps
		p.w.swaps = map[array.GroupID]arb.Swap{}
		in := p.w.status.Incarnation
		p.w.mu.Unlock()
		if len(swaps) > 0 {
			p.swapAll(ctx, w, in, swaps)
		}
		if time.Since(last) <= 50*time.Millisecond {
			continue // who asked is looked at with the next
		}
		// All of them now and then, and between only those of groups that asked: with a
		// thousand groups, of which one asks, the others' would be most of the work.
		ids := p.w.takeAsked()
		if all {
			ids = p.ids()
		}
		if all || len(ids) > 0 {
			p.read(ctx, w, ids)
			all, last = false, time.Now()
		}
	}
}

func (p *Pair) ids() []array.GroupID {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := make([]array.GroupID, 0, len(p.groups))
	for id := range p.groups {
		ids = append(ids, id)
	}
	return ids
}

// read reads the registers of groups and tells them.
func (p *Pair) read(ctx context.Context, w *witness.Client, ids []array.GroupID) {
	ctx, cancel := context.WithTimeout(ctx, witnessWithin)
	defer cancel()
	maps.DeleteFunc(p.w.parsed, func(id array.GroupID, _ arb.WitnessView) bool { return p.group(id) == nil })
	for first := true; first || len(ids) > 0; first = false {
		n := min(len(ids), witness.MaxBatch-1)
		part := ids[:n]
		ids = ids[n:]
		keys, known := make([]string, n, n+1), make([]uint64, n+1)
		last := p.w.incarnation()
		for i, id := range part {
			keys[i] = key(id)
			if v := p.w.parsed[id]; v.Incarnation == number(last) {
				known[i] = v.Version
			}
		}
		keys = append(keys, startKey(p.cfg.Link.Self.System)) // an array without groups asks too
		began := time.Now()
		in, regs, err := w.Read(ctx, keys, last, known)
		if errors.Is(ctx.Err(), context.Canceled) {
			return // it is exchanged
		}
		p.note(in, err, time.Since(began))
		usable := err == nil && p.checkStart(ctx, w, in)
		p.tellStart(usable)
		for i, id := range part {
			g := p.group(id)
			switch {
			case g == nil:
			case !usable || regs[i].Result != witness.OK:
				g.WitnessLost(false)
			case p.w.parsed[id].Incarnation == number(in) && p.w.parsed[id].Version == regs[i].Version:
				g.WitnessSeen(p.w.parsed[id], false) // of one version there is one value
			default:
				if v, ok := deliver(g, in, regs[i].Version, regs[i].Value, false); ok {
					p.w.parsed[id] = v
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver passes a register on; one that can't be read is as good as none.
func deliver(g Group, in witness.Incarnation, version uint64, value []byte, answer bool) (arb.WitnessView, bool) {
	v := arb.WitnessView{Incarnation: number(in), Version: version}
	if version != 0 {
		r, err := arb.ParseRegister(value)
		if err != nil {
			g.WitnessLost(answer)
			return v, false
		}
		v.Register = r
	}
	g.WitnessSeen(v, answer)
	return v, true
}

// ForgetRegister removes the register of a group that is gone for good on both arrays.
func (p *Pair) ForgetRegister(ctx context.Context, id array.GroupID) error {
	w := p.w.now()
	if w == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, witnessWithin)
	defer cancel()
	in, regs, err := w.Read(ctx, []string{key(id)}, witness.Incarnation{}, nil)
	if err != nil {
		return fmt.Errorf("read the register of group %v: %w", id, err)
	}
	if regs[0].Version == 0 {
		return nil
	}
	out, err := w.Swap(ctx, in, []witness.Swap{{Key: key(id), Version: regs[0].Version, Remove: true, Owners: p.cfg.Owners}})
	switch {
	case err != nil:
		return fmt.Errorf("remove the register of group %v: %w", id, err)
	case out[0].Result != witness.OK:
		return array.Errorf(array.Conflict, "remove the register of group %v: %s", id, out[0].Result)
	}
	return nil
}

func (p *Pair) note(in witness.Incarnation, err error, took time.Duration) {
	p.w.mu.Lock()
	s := &p.w.status
	was := s.Reached
	s.Reached = err == nil
	s.Error = ""
	if err != nil {
		s.Error = err.Error()
	} else {
		s.Incarnation, s.LastSeen, s.RoundTrip = in, time.Now(), took
	}
	p.w.mu.Unlock()
	if was != (err == nil) {
		if err != nil {
			p.lasts(WitnessLost, true, "the quorum witness can't be reached: "+err.Error())
		} else {
			p.lasts(WitnessLost, false, "the quorum witness answers")
		}
	}
}

func (p *Pair) swapAll(ctx context.Context, w *witness.Client, in witness.Incarnation, swaps map[array.GroupID]arb.Swap) {
	ctx, cancel := context.WithTimeout(ctx, witnessWithin)
	defer cancel()
	var ids []array.GroupID
	var list []witness.Swap
	for id, s := range swaps {
		if s.Incarnation != number(in) || len(list) == witness.MaxBatch {
			if g := p.group(id); g != nil {
				g.WitnessLost(true)
			}
			continue
		}
		ids = append(ids, id)
		list = append(list, witness.Swap{Key: key(id), Version: s.Version, Value: s.New.Marshal(), Owners: p.cfg.Owners})
	}
	if len(list) == 0 {
		return
	}
	out, err := w.Swap(ctx, in, list)
	var other *witness.IncarnationError
	if errors.As(err, &other) {
		p.event("the quorum witness was started again")
	}
	for i, id := range ids {
		g := p.group(id)
		switch {
		case g == nil:
		case err != nil || out[i].Result != witness.OK && out[i].Result != witness.Conflict:
			g.WitnessLost(true)
		default:
			deliver(g, in, out[i].Version, out[i].Value, true)
		}
	}
}
