// SPDX-License-Identifier: Apache-2.0

package arbitration_test

import (
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// TestWhoLacksWhatItAcknowledged is left out, and comes back on the same connection.
func TestWhoLacksWhatItAcknowledged(t *testing.T) {
	p := newWhole(t)
	p.run(array.SideA, (*arb.Machine).PeerBehind)
	if !p.until(2000, func() bool { return p.s[0].m.View().Role == arb.Alone }) {
		t.Fatalf("A does not go on alone: %v, %v", p.s[0].disk.Current, p.s[0].m.Reason())
	}
	if !p.until(10000, p.whole) {
		t.Fatalf("B is not taken back: A %v, B %v", p.s[0].disk.Current, p.s[1].disk.Current)
	}
}

// TestDiskOfThePast: an array whose disk was put back does not decide with the witness
// alone, though it learns there that the newest record names it.
func TestDiskOfThePast(t *testing.T) {
	p := newWhole(t)
	old := p.s[1].disk
	p.witness = false
	p.until(3000, func() bool { return p.s[0].disk.Current.Rule == arb.ChosenA })
	p.witness, p.inc, p.version = true, p.inc+1, 0
	if !p.until(10000, func() bool { return p.whole() && p.s[0].disk.Current.Rule == arb.Majority }) {
		t.Fatalf("not whole with a new witness: %v", p.s[0].disk.Current)
	}
	newest := p.s[0].disk.Current
	p.until(2000, func() bool { return p.register.Base.ID == newest.ID })

	p.s[0].up, p.s[1].up = false, false
	p.s[1].disk = old
	p.start(array.SideB)
	p.run(array.SideB, func(m *arb.Machine, n uint64, out *arb.Output) { m.Doubted(n, true, out) })
	if p.until(10000, func() bool { return p.serves(array.SideB) }) {
		t.Fatalf("the disk of the past serves: %v", p.s[1].disk.Current)
	}
	if got := p.s[1].disk.Current; got.ID != newest.ID {
		t.Errorf("B knows record %v; the witness holds %v", got, newest)
	}
	if got := p.s[1].m.Reason(); got != arb.ReasonDoubted {
		t.Errorf("B does not serve because %v; want %v", got, arb.ReasonDoubted)
	}
	p.start(array.SideA)
	if !p.until(10000, p.whole) {
		t.Fatalf("not whole again: A %v, B %v", p.s[0].disk.Current, p.s[1].disk.Current)
	}
	if p.s[1].m.Inputs().Doubted {
		t.Error("B is in doubt, though it lacks nothing that A holds")
	}
}

func newWhole(t *testing.T) *pair {
	t.Helper()
	p := newPair(t)
	if !p.until(20000, func() bool { return p.whole() && p.s[0].disk.Current.Rule == arb.Majority }) {
		t.Fatalf("not whole: A %v, B %v", p.s[0].disk.Current, p.s[1].disk.Current)
	}
	return p
}

// TestTheChosenLacksWhatItAcknowledged: it leaves it to the barred side, which has all.
func TestTheChosenLacksWhatItAcknowledged(t *testing.T) {
	p := newWhole(t)
	p.witness = false
	if !p.until(5000, func() bool { return p.s[1].disk.Current.Rule == arb.ChosenA && p.whole() }) {
		t.Fatalf("nobody is chosen: %v", p.s[1].disk.Current)
	}
	p.run(array.SideB, (*arb.Machine).PeerBehind)
	if !p.until(3000, func() bool { return p.serves(array.SideB) }) {
		t.Fatalf("B does not serve: A %v, B %v, %v", p.s[0].disk.Current, p.s[1].disk.Current, p.s[1].m.Reason())
	}
	if !p.until(10000, p.whole) {
		t.Fatalf("A is not taken back: A %v, B %v", p.s[0].disk.Current, p.s[1].disk.Current)
	}
}

// TestDiskOfThePastAndAWitnessOfThePast: the witness missed the last records, and names
// this side alone.
func TestDiskOfThePastAndAWitnessOfThePast(t *testing.T) {
	p := newWhole(t)
	old := p.s[0].disk
	p.s[1].up, p.s[0].contact = false, false
	if !p.until(5000, func() bool { return p.serves(array.SideA) && p.register.Base.ID == p.s[0].disk.Current.ID }) {
		t.Fatalf("A does not go on alone: %v", p.s[0].disk.Current)
	}
	p.reach = [2]bool{}
	p.start(array.SideB)
	if !p.until(10000, p.whole) {
		t.Fatalf("B is not taken back: %v", p.s[0].disk.Current)
	}
	p.link, p.reach = [2]bool{}, [2]bool{true, false}
	p.s[0].disk = old
	p.start(array.SideA)
	p.run(array.SideA, func(m *arb.Machine, n uint64, out *arb.Output) { m.Doubted(n, true, out) })
	if p.until(10000, func() bool { return p.serves(array.SideA) }) {
		t.Fatalf("the disk of the past serves: %v; B holds %v", p.s[0].disk.Current, p.s[1].disk.Current)
	}
}
