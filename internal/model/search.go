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
	Depth  int
	// Exhausted: every world within the budgets was seen.
	Exhausted bool
	// Violation is empty if nothing was found; Trace leads to it.
	Violation string
	Trace     []string
}

// node is a world on the frontier, and how it was reached.
type node struct {
	w     world
	trail *trail
}

type trail struct {
	before *trail
	step   uint8
	side   array.Side
}

// Search explores breadth first from the usual starts.
func Search(o Options) Result {
	c := &bounds{without: o.Without}
	all := allSteps()
	seed := maphash.MakeSeed()
	seen := newSet()
	var level []node
	for _, w := range starts(c) {
		if seen.add(maphash.Comparable(seed, w)) {
			level = append(level, node{w: w})
		}
	}
	res := Result{States: len(level)}
	for len(level) > 0 {
		res.Depth++
		var next []node
		var found *node
		var mu sync.Mutex
		var wg sync.WaitGroup
		const workers = 2
		for k := range workers {
			wg.Go(func() {
				var mine []node
				for x := k; x < len(level); x += workers {
					n := &level[x]
					for si := range all {
						for i := range array.Side(2) {
							w := n.w
							if !all[si].do(&w, i, c) {
								continue
							}
							w.check()
							if !seen.add(maphash.Comparable(seed, w)) {
								continue
							}
							t := &trail{before: n.trail, step: uint8(si), side: i}
							if w.bad != none {
								mu.Lock()
								if found == nil {
									found = &node{w: w, trail: t}
								}
								mu.Unlock()
								return
							}
							mine = append(mine, node{w: w, trail: t})
						}
					}
					if seen.len() > o.States {
						break
					}
				}
				mu.Lock()
				next = append(next, mine...)
				mu.Unlock()
			})
		}
		wg.Wait()
		res.States = seen.len()
		if found != nil {
			res.Violation = found.w.bad.String()
			res.Trace = describe(found, all)
			return res
		}
		if res.States > o.States {
			return res
		}
		level = next
	}
	res.Exhausted = true
	return res
}

func allSteps() []step {
	return append(append(append(append([]step{}, steps...), writeSteps...), witnessSteps...), faultSteps...)
}

func describe(n *node, all []step) []string {
	var lines []string
	for t := n.trail; t != nil; t = t.before {
		lines = append(lines, fmt.Sprintf("%v %s", t.side, all[t.step].name))
	}
	for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
		lines[i], lines[j] = lines[j], lines[i]
	}
	for i := range array.Side(2) {
		s := &n.w.s[i]
		lines = append(lines, fmt.Sprintf("then %v: up %v, %v, view %v, log %v, serves %v",
			i, s.up, s.m.Stored().Current, s.m.View().Role, strings.Trim(fmt.Sprint(s.log[:s.n]), "[]"), n.w.canServe(i)))
	}
	return lines
}

// set is a set of fingerprints, in shards so that the workers don't wait.
type set struct {
	shards [64]struct {
		sync.Mutex
		m map[uint64]struct{}
	}
	mu sync.Mutex
	n  int
}

func newSet() *set {
	s := new(set)
	for i := range s.shards {
		s.shards[i].m = make(map[uint64]struct{})
	}
	return s
}

func (s *set) add(h uint64) bool {
	sh := &s.shards[h%64]
	sh.Lock()
	_, ok := sh.m[h]
	if !ok {
		sh.m[h] = struct{}{}
	}
	sh.Unlock()
	if !ok {
		s.mu.Lock()
		s.n++
		s.mu.Unlock()
	}
	return !ok
}

func (s *set) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}
