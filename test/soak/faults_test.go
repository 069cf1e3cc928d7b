// SPDX-License-Identifier: Apache-2.0

//go:build soak

package soak

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A fault is something that happens, as steps of the failure matrix, and what makes good.
type fault struct {
	name     string
	about    []string // what it takes; two faults about the same don't overlap
	do, then []string
	// kills names the process whose life it ends, "" if none.
	kills string
}

// faults are those that may happen.
func faults() []fault {
	links, witness, hosts := []string{"links"}, []string{"witness"}, []string{"hosts"}
	all := []fault{
		{name: "links cut", about: links, do: []string{"cut links"}, then: []string{"heal links"}},
		{name: "links lose what A sends", about: links, do: []string{"cut links A>B"}, then: []string{"heal links"}},
		{name: "links lose what B sends", about: links, do: []string{"cut links B>A"}, then: []string{"heal links"}},
		{name: "one link cut", about: links, do: []string{"cut link1"}, then: []string{"heal link1"}},
		{name: "links lose 2 %", about: links, do: []string{"lose links 2%"}, then: []string{"lose links 0%"}},
		{name: "links slow", about: links, do: []string{"delay links 4ms"}, then: []string{"delay links 0ms"}},
		{name: "a fabric cut", about: hosts, do: []string{"cut fabric1"}, then: []string{"heal fabric1"}},
		{name: "witness slow", about: witness, do: []string{"delay witness 250ms"}, then: []string{"delay witness 0ms"}},
		{name: "witness killed", about: witness, do: []string{"kill witness"}, then: []string{"start witness"}, kills: "witness"},
		{name: "switchover", do: []string{"switchover?"}},
	}
	for _, side := range []string{"A", "B"} {
		itself := []string{side}
		all = append(all,
			fault{name: side + " killed", about: itself, do: []string{"kill " + side}, then: []string{"start " + side}, kills: side},
			fault{name: side + " shut down", about: itself, do: []string{"terminate " + side}, then: []string{"start " + side}, kills: side},
			fault{name: "disk of " + side + " fails", about: itself, do: []string{"break disk " + side}, then: []string{"kill " + side, "start " + side}, kills: side},
			fault{name: side + " stands still", about: itself, do: []string{"freeze " + side}, then: []string{"thaw " + side}},
			fault{name: side + " loses the witness", about: witness, do: []string{"cut witness " + side}, then: []string{"heal witness " + side}},
			fault{name: "hosts lose " + side, about: hosts, do: []string{"cut host " + side}, then: []string{"heal host " + side}},
			fault{name: side + " cut off", about: []string{"links", "witness", "hosts"}, do: []string{"isolate " + side}, then: []string{"rejoin " + side}},
		)
	}
	return all
}

// together reports whether two faults may overlap: what makes one good must not end the
// other.
func together(a, b fault) bool {
	return !slices.ContainsFunc(a.about, func(s string) bool { return slices.Contains(b.about, s) })
}

// An event is a fault, when it begins, counted from the one before, and how long it lasts.
type event struct {
	fault
	after, lasts time.Duration
}

// drawEvents draws what happens next: mostly one fault, now and then two that overlap. spared
// names the process that must live.
func drawEvents(rng *rand.Rand, spared string) []event {
	n := 1
	if rng.IntN(5) == 0 {
		n = 2
	}
	all := faults()
	var out []event
	for len(out) < n {
		f := all[rng.IntN(len(all))]
		if f.kills != "" && f.kills == spared || len(out) > 0 && !together(out[0].fault, f) {
			continue
		}
		e := event{fault: f, lasts: min(200*time.Millisecond+time.Duration(rng.ExpFloat64()*float64(3*time.Second)), 15*time.Second)}
		if len(out) > 0 {
			e.after = time.Duration(rng.Int64N(int64(2 * time.Second)))
		}
		out = append(out, e)
	}
	return out
}
