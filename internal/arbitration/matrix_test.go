// SPDX-License-Identifier: Apache-2.0

package arbitration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/matrix"
)

// TestMatrix plays every row of the failure matrix with the core alone.
func TestMatrix(t *testing.T) {
	rows, err := matrix.Rows()
	if err != nil {
		t.Fatal(err)
	}
	passed, failed := 0, 0
	for _, r := range rows {
		t.Run(r.ID, func(t *testing.T) {
			p := newPair(t)
			ok := t.Run("play", func(t *testing.T) { p.t = t; p.play(r) })
			if !ok {
				failed++
				return
			}
			passed++
			if testing.Verbose() {
				fmt.Printf("%-4s  %-88.88s  %-5s serves, nobody for at most %d ms\n", r.ID, r.What, r.Serves, p.most)
			}
		})
	}
	if testing.Verbose() {
		fmt.Printf("failure matrix, arbitration core: %d passed, %d failed\n", passed, failed)
	}
}

func (p *pair) play(r matrix.Row) {
	p.t.Helper()
	armed := func() bool { return p.whole() && p.s[0].disk.Current.Rule == arb.Majority }
	if !p.until(20000, armed) || !p.until(1000, func() bool { return false }) && p.serving() != "A" {
		p.t.Fatalf("the pair does not come up: A %v, B %v, %s serves", p.s[0].disk.Current, p.s[1].disk.Current, p.serving())
	}
	p.most = 0
	p.steps(r.Do)
	if r.Serves == "none" {
		p.until(8000, func() bool { return false })
		if got := p.serving(); got != "none" {
			p.t.Errorf("%s serves, nobody should", got)
		}
		p.most = p.gap
	} else {
		if !p.until(12000, func() bool { return p.serving() == r.Serves }) {
			p.t.Fatalf("%s serves, want %s: A %v, %v; B %v, %v", p.serving(), r.Serves,
				p.s[0].disk.Current, p.s[0].m.Reason(), p.s[1].disk.Current, p.s[1].m.Reason())
		}
		p.until(3000, func() bool { return false })
		if got := p.serving(); got != r.Serves {
			p.t.Fatalf("%s serves, want %s: A %v; B %v", got, r.Serves, p.s[0].disk.Current, p.s[1].disk.Current)
		}
		if limit := int(r.Pause / time.Millisecond); p.most > limit {
			p.t.Errorf("nobody served for %d ms, at most %d are allowed", p.most, limit)
		}
	}
	most := p.most
	p.steps(r.Then)
	if !p.until(30000, func() bool { return p.whole() && r.BackTo(p.serving()) }) {
		p.t.Fatalf("not whole again, or %s serves, want %s: A %v, %v; B %v, %v", p.serving(), r.Back,
			p.s[0].disk.Current, p.s[0].m.Reason(), p.s[1].disk.Current, p.s[1].m.Reason())
	}
	p.most = most
}

func (p *pair) steps(list []string) {
	p.t.Helper()
	for _, s := range list {
		if err := p.step(strings.Fields(s)); err != nil {
			p.t.Fatalf("%s: %v", s, err)
		}
	}
}

func sideOf(name string) array.Side {
	if name == "B" {
		return array.SideB
	}
	return array.SideA
}

// step carries out one step of a row, as far as the core can notice it.
func (p *pair) step(words []string) error {
	words = append(words, "", "")
	switch verb, what, arg := words[0], words[1], words[2]; verb {
	case "wait":
		return p.wait(what, arg)
	case "cut", "heal":
		p.wires(verb == "heal", what, arg)
	case "isolate", "rejoin":
		up := verb == "rejoin"
		p.link, p.reach[sideOf(what)] = [2]bool{up, up}, up
	case "lose": // the link carries on
	case "delay":
		d, err := time.ParseDuration(arg)
		if what == "witness" { // messages over the links take a tick as it is
			p.roundTrip = int(2 * d / time.Millisecond)
		}
		return err
	case "switchover":
		p.own(array.SideB)
	case "prefer":
		p.prefer = array.Only(sideOf(what))
		for i := range p.s {
			p.s[i].m.SetPolicy(true, true, p.prefer)
		}
	case "switchover?": // its entry is not committed
	case "break":
		i := sideOf(arg)
		p.s[i].stuck, p.s[i].leaseUntil = true, 0
		p.run(i, func(m *arb.Machine, n uint64, out *arb.Output) { m.Stuck(n, true, out) })
		p.run(i.Other(), (*arb.Machine).PeerStuck)
	case "repair": // with the next start
	case "wipe":
		p.version, p.register = 0, arb.Register{}
	case "stop", "start", "kill", "freeze", "thaw", "terminate":
		return p.process(verb, what)
	default:
		return fmt.Errorf("unknown step")
	}
	return nil
}

// own makes i the owner by the last committed entry of the log.
func (p *pair) own(i array.Side) {
	for j := range array.Side(2) {
		p.run(j, func(m *arb.Machine, n uint64, out *arb.Output) { m.Owner(n, i, out) })
	}
}

func (p *pair) process(verb, what string) error {
	if what == "group" {
		i := sideOf(p.serving())
		p.s[i].stopped = verb == "stop"
		if verb == "stop" {
			p.run(i, (*arb.Machine).Part)
		}
		return nil
	}
	if what == "witness" {
		p.witness = verb == "start"
		if p.witness {
			p.inc++
		}
		return nil
	}
	i := sideOf(what)
	switch verb {
	case "kill":
		p.s[i].up = false
	case "start":
		p.start(i)
	case "freeze", "thaw":
		p.s[i].frozen = verb == "freeze"
	case "terminate":
		p.own(i.Other())
		p.s[i.Other()].joinAfter = p.now + 10000
		p.run(i.Other(), (*arb.Machine).Part)
		p.until(300, func() bool { return false })
		p.s[i].up = false
	}
	return nil
}

func (p *pair) wires(up bool, what, arg string) {
	switch what {
	case "links":
		switch arg {
		case "A>B":
			p.link[array.SideA] = up
		case "B>A":
			p.link[array.SideB] = up
		default:
			p.link = [2]bool{up, up}
		}
	case "witness":
		p.reach[sideOf(arg)] = up
	}
	// One of two links, and the host's networks, are not seen here.
}

func (p *pair) wait(what, arg string) error {
	if d, err := time.ParseDuration(what); err == nil {
		p.until(int(d/time.Millisecond), func() bool { return false })
		return nil
	}
	done := map[string]func() bool{
		"chosen": func() bool {
			a, b := p.s[0].disk.Current, p.s[1].disk.Current
			return a.ID == b.ID && a.Rule >= arb.ChosenA
		},
		"armed": func() bool {
			a, b := p.s[0].disk.Current, p.s[1].disk.Current
			return a.ID == b.ID && a.Rule == arb.Majority && a.Incarnation == p.inc
		},
		"whole":   p.whole,
		"alone":   func() bool { return p.s[sideOf(arg)].disk.Current.Members == array.Only(sideOf(arg)) },
		"serving": func() bool { return p.serving() == arg },
	}[what]
	if done == nil || !p.until(30000, done) {
		return fmt.Errorf("did not come: A %v, %v; B %v, %v", p.s[0].disk.Current, p.s[0].m.Reason(), p.s[1].disk.Current, p.s[1].m.Reason())
	}
	return nil
}
