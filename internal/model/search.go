// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// Options bounds a search.
type Options struct {
	// States ends the search after so many different worlds.
	States int
	// Without leaves rules out.
	Without arb.RuleSet
}

// Result is what a search found.
type Result struct {
	States int
	// Depth is how many steps from a start every world was seen; of walks, how long they were.
	Depth int
	// Levels are how many worlds are that many steps away and not fewer.
	Levels []int
	// Exhausted: every world within the budgets was seen.
	Exhausted bool
	// Violation is empty if nothing was found; Trace leads to it.
	Violation string
	Trace     []string
}

// link is how a world was reached: from which other, by what. Worlds are not kept,
// they are made again from their trail: that costs a little time and saves the
// memory of ten million worlds.
type link struct {
	before uint32
	step   uint8
	side   uint8
}

const root = ^uint32(0)

// search is one run.
type search struct {
	c     *bounds
	all   []step
	first []world
	seed  maphash.Seed
	seen  *set

	mu    sync.Mutex
	trail []link
	bad   uint32
	why   violation
}

// Search explores breadth first from the usual starts.
func Search(o Options) Result {
	s := &search{c: &bounds{without: o.Without}, all: allSteps(), seed: maphash.MakeSeed(), seen: newSet(o.States), trail: make([]link, 0, o.States+o.States/64+64), bad: root}
	s.first = starts(s.c)
	var level []uint32
	for i := range s.first {
		s.seen.add(maphash.Comparable(s.seed, s.first[i]))
		level = append(level, uint32(len(s.trail)))
		s.trail = append(s.trail, link{before: root, step: uint8(i)})
	}
	res := Result{Levels: []int{len(level)}}
	for len(level) > 0 {
		level = s.expand(level, o.States)
		res.States = s.seen.len()
		if s.bad != root {
			w := s.world(s.bad, nil)
			res.Violation, res.Trace = s.why.String(), s.describe(s.bad, &w)
			return res
		}
		if res.States >= o.States {
			return res
		}
		res.Depth++
		res.Levels = append(res.Levels, len(level))
	}
	res.Exhausted = true
	return res
}

// expand tries every event in every world of a level and returns the next level.
func (s *search) expand(level []uint32, limit int) []uint32 {
	var next []uint32
	var wg sync.WaitGroup
	const workers = 2
	for k := range workers {
		wg.Go(func() {
			var buf []link
			scratch := new(world) // one for all: they are large, and most steps are not possible
			for x := k; x < len(level) && s.seen.len() < limit; x += workers {
				from := s.world(level[x], &buf)
				found := s.try(&from, level[x], scratch)
				s.mu.Lock()
				next = append(next, found...)
				stop := s.bad != root
				s.mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	return next
}

// try returns the new worlds that one event away from the given one lie. It makes them in w.
func (s *search) try(from *world, at uint32, w *world) (found []uint32) {
	for si := range s.all {
		for i := range array.Side(2) {
			*w = *from
			if !s.all[si].do(w, i, s.c) {
				continue
			}
			w.check()
			if !s.seen.add(maphash.Comparable(s.seed, *w)) {
				continue
			}
			s.mu.Lock()
			id := uint32(len(s.trail))
			s.trail = append(s.trail, link{before: at, step: uint8(si), side: uint8(i)})
			if w.bad != none && s.bad == root {
				s.bad, s.why = id, w.bad
			}
			s.mu.Unlock()
			found = append(found, id)
		}
	}
	return found
}

// path returns the links that lead to a world, first to last.
func (s *search) path(id uint32, buf []link) []link {
	buf = buf[:0]
	s.mu.Lock()
	for id != root {
		buf = append(buf, s.trail[id])
		id = s.trail[id].before
	}
	s.mu.Unlock()
	for i, j := 0, len(buf)-1; i < j; i, j = i+1, j-1 {
		buf[i], buf[j] = buf[j], buf[i]
	}
	return buf
}

// world makes a world again from its trail.
func (s *search) world(id uint32, buf *[]link) world {
	if buf == nil {
		buf = new([]link)
	}
	*buf = s.path(id, *buf)
	w := s.first[(*buf)[0].step]
	for _, l := range (*buf)[1:] {
		s.all[l.step].do(&w, array.Side(l.side), s.c)
		w.check()
	}
	return w
}

func (s *search) describe(id uint32, w *world) []string {
	var lines []string
	for _, l := range s.path(id, nil)[1:] {
		lines = append(lines, fmt.Sprintf("%v %s", array.Side(l.side), s.all[l.step].name))
	}
	return append(lines, w.describe()...)
}

// describe says how a world stands at the end of a trace.
func (w *world) describe() []string {
	var lines []string
	for i := range array.Side(2) {
		s := &w.s[i]
		lines = append(lines, fmt.Sprintf("then %v: up %v, %v, view %v, log %v, serves %v",
			i, s.up, s.m.Stored().Current, s.m.View().Role, strings.Trim(fmt.Sprint(s.log[:s.n]), "[]"), w.canServe(i)))
	}
	return lines
}

func allSteps() []step {
	return append(append(append(append([]step{}, steps...), writeSteps...), witnessSteps...), faultSteps...)
}
