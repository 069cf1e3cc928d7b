// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"slices"
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/witness"
)

// reader is a group that notes what it is told of its register.
type reader struct {
	Group
	seen []arb.WitnessView
	lost int
}

func (g *reader) WitnessSeen(v arb.WitnessView, _ bool) { g.seen = append(g.seen, v) }
func (g *reader) WitnessLost(bool)                      { g.lost++ }

// TestOnlyTheGroupsThatAskedAreRead between the looks at all: a group that is made must not
// cost a look at every other one.
func TestOnlyTheGroupsThatAskedAreRead(t *testing.T) {
	p := &Pair{groups: map[array.GroupID]Group{}}
	p.w.init(nil)
	for id := range array.GroupID(100) {
		p.groups[id] = &reader{}
	}
	if ids := p.w.takeAsked(); len(ids) != 0 {
		t.Errorf("nobody asked, and %v are read", ids)
	}
	way{Pair: p}.ReadWitness(7)
	way{Pair: p}.ReadWitness(9)
	way{Pair: p}.ReadWitness(7)
	select {
	case <-p.w.poke:
	default:
		t.Error("nobody is woken")
	}
	ids := p.w.takeAsked()
	slices.Sort(ids)
	if !slices.Equal(ids, []array.GroupID{7, 9}) {
		t.Errorf("of groups 7 and 9, %v are read", ids)
	}
	if ids := p.w.takeAsked(); len(ids) != 0 {
		t.Errorf("%v are read again", ids)
	}
}

// TestARegisterThatCantBeRead is as good as none, and not remembered.
func TestARegisterThatCantBeRead(t *testing.T) {
	g := &reader{}
	in := witness.Incarnation{1}
	v, ok := deliver(g, in, 3, []byte("no register"), false)
	if ok || g.lost != 1 || len(g.seen) != 0 {
		t.Errorf("what can't be read is told as %+v", v)
	}
	v, ok = deliver(g, in, 0, nil, false)
	if !ok || v.Version != 0 || v.Incarnation != number(in) || len(g.seen) != 1 {
		t.Errorf("no register is told as %+v", v)
	}
}
