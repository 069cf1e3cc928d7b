// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// Every CPG is read from end to end in the background, again and again, so that damage
// is found while the other array still has what was lost.

const (
	// scrubEvery is from the end of one pass to the begin of the next.
	scrubEvery = 24 * time.Hour
	// scrubSaves is how often the cursor is made durable.
	scrubSaves = 30 * time.Second
	// healTries and healEvery are for pages that can't be healed at this moment.
	healTries = 5
	healEvery = time.Second
)

// scrubbed is how far the scrub of a CPG is, and what it found; as stored.
type scrubbed struct {
	// At is the cursor of the pass that began at Began, if it is under way.
	At    volume.Cursor `json:"at"`
	Began time.Time     `json:"began"`
	Pass  found         `json:"pass"`
	// Ended is when the last whole pass ended, Last what it found.
	Ended time.Time `json:"ended"`
	Last  found     `json:"last"`
}

// found is what a pass found.
type found struct {
	Pages    int64 `json:"pages"`
	Damaged  int64 `json:"damaged"`
	Repaired int64 `json:"repaired"`
}

func (f found) String() string {
	return fmt.Sprintf("%d pages, %d damaged, %d of them repaired", f.Pages, f.Damaged, f.Repaired)
}

// scrubber is the scrub of one CPG.
type scrubber struct {
	name string
	pool *volume.Pool
	turn chan struct{} // held by whoever is at work

	mu    sync.Mutex
	state scrubbed
	yield context.CancelFunc // ends the pass in the background
}

// openScrubs reads how far the scrubs are.
func (n *Node) openScrubs() error {
	n.scrubs = map[string]*scrubber{}
	return n.store.View(func(t *store.Tx) error {
		for name, p := range n.cpgs {
			st, _, err := tables.scrubs.Get(t, name)
			if err != nil {
				return err
			}
			n.scrubs[name] = &scrubber{name: name, pool: p, turn: make(chan struct{}, 1), state: st}
		}
		return nil
	})
}

// startScrubs begins to scrub in the background, until stopScrubs.
func (n *Node) startScrubs() error {
	ctx, stop := context.WithCancel(context.Background())
	n.stopScrubs = stop
	if n.cfg.Scrub.MiBPerSecond == 0 {
		return nil
	}
	for _, s := range n.scrubs {
		n.wg.Go(func() { n.scrubAlways(ctx, s) })
	}
	return nil
}

func (n *Node) scrubAlways(ctx context.Context, s *scrubber) {
	for {
		s.mu.Lock()
		wait := time.Until(s.state.Ended.Add(scrubEvery))
		if s.state.At != (volume.Cursor{}) {
			wait = 0
		}
		s.mu.Unlock()
		if !pause(ctx, min(max(wait, time.Second), time.Minute)) {
			return
		}
		if wait > 0 {
			continue
		}
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
		pass, stop := context.WithCancel(ctx)
		s.mu.Lock()
		s.yield = stop
		s.mu.Unlock()
		_, err := n.scrub(pass, s, n.cfg.Scrub.MiBPerSecond<<20, func(found) {})
		if err != nil && pass.Err() == nil {
			n.alarm(fmt.Sprintf("CPG %s can't be scrubbed: %v", s.name, err))
			pause(ctx, time.Minute)
		}
		stop()
		s.mu.Lock()
		s.yield = nil
		s.mu.Unlock()
		<-s.turn
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// scrub goes on with the pass, or begins one, and heals what it finds. The caller holds
// the turn.
func (n *Node) scrub(ctx context.Context, s *scrubber, rate int64, progress func(found)) (found, error) {
	s.mu.Lock()
	if s.state.At == (volume.Cursor{}) {
		s.state.Began, s.state.Pass = time.Now(), found{}
	}
	at, f := s.state.At, s.state.Pass
	s.mu.Unlock()
	saved := time.Now()
	err := s.pool.Scrub(ctx, at, rate, func(at volume.Cursor, bad *volume.Bad) {
		f.Pages++
		if bad != nil {
			f.Damaged++
			if n.heal(ctx, s.pool, *bad) {
				f.Repaired++
			}
		}
		s.mu.Lock()
		s.state.At, s.state.Pass = at, f
		s.mu.Unlock()
		if time.Since(saved) > scrubSaves {
			saved = time.Now()
			n.saveScrub(s)
		}
		progress(f)
	})
	if err == nil {
		s.mu.Lock()
		s.state.At, s.state.Ended, s.state.Last = volume.Cursor{}, time.Now(), f
		s.mu.Unlock()
		if f.Damaged > 0 {
			n.alarm(fmt.Sprintf("CPG %s was scrubbed: %v", s.name, f))
		}
	}
	n.saveScrub(s)
	return f, err
}

func (n *Node) saveScrub(s *scrubber) {
	s.mu.Lock()
	st := s.state
	s.mu.Unlock()
	err := n.store.Update(func(t *store.Tx) error { return tables.scrubs.Put(t, s.name, st) })
	if err != nil {
		n.log.Warn("store how far the scrub is", "cpg", s.name, "err", err)
	}
}

// heal lets a damaged page be repaired by its group, and reports whether it was.
func (n *Node) heal(ctx context.Context, p *volume.Pool, bad volume.Bad) bool {
	for range healTries {
		v := p.Volume(bad.Volume)
		if v == nil {
			return false
		}
		r := n.running(v.Spec().Group)
		if r == nil {
			n.alarm(fmt.Sprintf("%v; its group is not open", &bad))
			return false
		}
		page, err := r.g.Mend(bad.Volume, bad.Page)
		if array.KindOf(err) != array.Busy || err == nil {
			return err == nil && page == nil
		}
		if !pause(ctx, healEvery) {
			return false
		}
	}
	return false
}

// damaged is told of a page that a destage met. It must not wait.
func (n *Node) damaged(bad volume.Bad) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, r := range n.groups {
		if r.units[bad.Volume] != nil {
			r.g.Damaged(bad.Volume, bad.Page)
			return
		}
	}
}

// text says for people how the scrub of a CPG stands.
func (s *scrubber) text(rate int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := "never scrubbed to the end"
	if !s.state.Ended.IsZero() {
		text = fmt.Sprintf("last scrubbed %s: %v", s.state.Ended.Format(timeForPeople), s.state.Last)
	}
	if s.state.At != (volume.Cursor{}) {
		text += fmt.Sprintf("; since %s: %v", s.state.Began.Format(timeForPeople), s.state.Pass)
	}
	if rate == 0 {
		text += "; not scrubbed in the background"
	}
	return text
}
