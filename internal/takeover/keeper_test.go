// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	mine   = Address{netip.MustParsePrefix("192.0.2.1/24"), "eth0"}
	theirs = Address{netip.MustParsePrefix("192.0.2.2/24"), "eth0"}
)

// wire is a network of two machines: an address is where it was set last, until it runs out.
type wire struct {
	mu    sync.Mutex
	until [2]map[Address]time.Time
	mute  bool // nobody hears who asks for an address
	fail  bool
	wrong bool             // one announced what the other has
	stays bool             // addresses can't be removed
	pause [2]time.Duration // how long a machine stands still before it sets an address
}

// end is a machine's end of the wire.
type end struct {
	*wire
	side int
}

func (w *wire) holds(side int, a Address) bool { return time.Now().Before(w.until[side][a]) }

// has is holds for who does not hold the lock.
func (w *wire) has(side int, a Address) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holds(side, a)
}

func (w end) Set(a Address, lifetime time.Duration) (bool, error) {
	w.mu.Lock()
	pause := w.pause[w.side]
	w.mu.Unlock()
	time.Sleep(pause)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail {
		return false, errors.New("no right to")
	}
	fresh := !w.holds(w.side, a)
	w.until[w.side][a] = time.Now().Add(lifetime + late)
	return fresh, nil
}

func (w end) Remove(a Address) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stays {
		return errors.New("it stays")
	}
	delete(w.until[w.side], a)
	return nil
}

func (w end) Permanent(a Address) (bool, error) { return a.Device == "static", nil }

func (w end) Answered(ctx context.Context, a Address) (bool, error) {
	time.Sleep(300 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holds(1-w.side, a) && !w.mute, ctx.Err()
}

func (w end) Announce(a Address) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = w.wrong || w.holds(1-w.side, a)
	return nil
}

// both reports whether some address is on both machines.
func (w *wire) both() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a := range maps.Keys(w.until[0]) {
		if w.holds(0, a) && w.holds(1, a) {
			return true
		}
	}
	return false
}

// machine is an array with a keeper.
type machine struct {
	mu     sync.Mutex
	facts  Facts
	stuck  bool // facts take for ever, as in a process that is stopped
	events []string
	k      *Keeper
}

func (m *machine) set(f Facts) {
	m.mu.Lock()
	m.facts = f
	m.mu.Unlock()
}

func (m *machine) begin(t *testing.T, w *wire, side int) {
	t.Helper()
	own, others := mine, theirs
	if side == 1 {
		own, others = theirs, mine
	}
	tell := func(s string) {
		m.mu.Lock()
		m.events = append(m.events, s)
		m.mu.Unlock()
	}
	var err error
	m.k, err = Start(Config{
		Own: []Address{own}, Others: []Address{others}, Network: end{w, side}, Now: time.Now, Event: tell, Alarm: tell, StandIn: func(bool) {},
		Facts: func() Facts {
			m.mu.Lock()
			stuck := m.stuck
			m.mu.Unlock()
			if stuck {
				time.Sleep(time.Minute)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.facts
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (m *machine) said(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.events, func(s string) bool { return strings.Contains(s, text) })
}

func play(t *testing.T, fn func(w *wire, a, b *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{until: [2]map[Address]time.Time{{}, {}}}
		a, b := &machine{}, &machine{}
		together := Facts{Mirrored: 1, Contact: true, Granting: true}
		a.set(together)
		b.set(together)
		a.begin(t, w, 0)
		b.begin(t, w, 1)
		time.Sleep(5 * time.Second)
		if !w.has(0, mine) || !w.has(1, theirs) || w.both() {
			t.Fatal("in contact, each has its own address")
		}
		fn(w, a, b)
		if err := errors.Join(a.k.Close(), b.k.Close()); err != nil {
			t.Error(err)
		}
		if w.has(0, mine) || w.has(1, theirs) || w.has(1, mine) {
			t.Error("an array that stopped has addresses")
		}
	})
}

// TestStandIn: an array stands still as its lease runs out, and the other decides.
func TestStandIn(t *testing.T) {
	play(t, func(w *wire, a, b *machine) {
		a.mu.Lock()
		a.stuck = true
		a.mu.Unlock()
		b.set(Facts{Mirrored: 1, Granting: true})
		time.Sleep(time.Second)
		b.set(Facts{Mirrored: 1, Alone: 1})
		for range 400 {
			if time.Sleep(10 * time.Millisecond); w.both() {
				t.Fatal("both have an address")
			}
		}
		if !w.has(1, mine) || !b.k.StandsIn() || !b.said("stands in") {
			t.Error("the other array does not stand in after 4 s")
		}
		// It comes back, asks, and hears the mark.
		a.mu.Lock()
		a.stuck, a.facts = false, Facts{Mirrored: 1, Contact: true, PeerStandsIn: true, Granting: true}
		a.mu.Unlock()
		b.set(Facts{Mirrored: 1, Alone: 1, Granting: true})
		for range 6000 {
			if !b.k.StandsIn() {
				a.set(Facts{Mirrored: 1, Contact: true, Granting: true})
			}
			if time.Sleep(10 * time.Millisecond); w.both() {
				t.Fatal("both have an address")
			}
		}
		if !w.has(0, mine) || b.k.StandsIn() || !b.said("no longer stands in") {
			t.Error("the address did not go back")
		}
	})
}

// TestSomebodyAnswers: by all rules the other is gone, and yet somebody has its address.
func TestSomebodyAnswers(t *testing.T) {
	play(t, func(w *wire, a, b *machine) {
		b.set(Facts{Mirrored: 1, Alone: 1}) // a still renews: a person forced something
		time.Sleep(30 * time.Second)
		if w.both() || b.k.StandsIn() || !b.said("somebody answers for it") {
			t.Error("it was taken over")
		}
		a.set(Facts{Mirrored: 1})
		time.Sleep(30 * time.Second)
		if !b.k.StandsIn() || w.both() {
			t.Error("it was not taken over when nobody answered any more")
		}
	})
}

// TestStaleFacts: what is known was true long ago, because the process stood still.
func TestStaleFacts(t *testing.T) {
	play(t, func(w *wire, a, _ *machine) {
		a.mu.Lock()
		a.stuck = true
		a.mu.Unlock()
		time.Sleep(time.Minute)
		if w.has(0, mine) {
			t.Error("an address was renewed because of old facts")
		}
		a.mu.Lock()
		a.stuck = false
		a.mu.Unlock()
		time.Sleep(time.Minute + time.Second)
		if !w.has(0, mine) {
			t.Error("the address did not come back")
		}
	})
}

// TestLateRenewal: an array stands still between its look at the facts and the kernel, until
// the other one stands in for it. It must not tell hosts that the address is here again.
func TestLateRenewal(t *testing.T) {
	play(t, func(w *wire, a, b *machine) {
		w.mu.Lock()
		w.pause[0] = 10 * time.Second
		w.mu.Unlock()
		time.Sleep(Renew)
		a.set(Facts{Mirrored: 1})
		b.set(Facts{Mirrored: 1, Alone: 1})
		time.Sleep(9 * time.Second)
		if !w.has(1, mine) {
			t.Fatal("the other array does not stand in")
		}
		time.Sleep(2 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.wrong || w.holds(0, mine) {
			t.Error("an address was set because of old facts, and hosts were told")
		}
	})
}

// leftBehind starts a keeper on a machine that has the other array's address from a process
// before it.
func leftBehind(t *testing.T, stays bool, fn func(w *wire, a *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{until: [2]map[Address]time.Time{{theirs: time.Now().Add(Lifetime + late)}, {}}, stays: stays}
		a := &machine{facts: Facts{Mirrored: 1, Granting: true}}
		a.begin(t, w, 0)
		fn(w, a)
		if err := a.k.Close(); err != nil && !stays {
			t.Error(err)
		}
	})
}

// TestLeftBehind: an array that stood in is killed and starts at once. It may give the other
// one a lease without a mark as soon as it has not the other's address any more.
func TestLeftBehind(t *testing.T) {
	leftBehind(t, false, func(w *wire, a *machine) {
		if w.has(0, theirs) || a.k.StandsIn() {
			t.Error("what a process before left behind is still there")
		}
	})
	leftBehind(t, true, func(w *wire, a *machine) {
		for range 500 {
			time.Sleep(10 * time.Millisecond)
			if w.has(0, theirs) && !a.k.StandsIn() {
				t.Fatal("the address is there, and nobody is told")
			}
		}
		if a.k.StandsIn() {
			t.Error("the address has run out, and the other array does not get it back")
		}
	})
}

// TestDeviceGone: the device on which an array stood in is taken out of the machine. The
// address is gone with it, or with its time, and the other array may have it.
func TestDeviceGone(t *testing.T) {
	play(t, func(w *wire, a, b *machine) {
		a.set(Facts{Mirrored: 1})
		b.set(Facts{Mirrored: 1, Alone: 1})
		time.Sleep(5 * time.Second)
		if !b.k.StandsIn() {
			t.Fatal("the other array does not stand in")
		}
		w.mu.Lock()
		w.stays = true
		w.mu.Unlock()
		b.set(Facts{Mirrored: 1, Alone: 1, Granting: true})
		for range 500 {
			time.Sleep(10 * time.Millisecond)
			if w.has(1, mine) && !b.k.StandsIn() {
				t.Fatal("the address is there, and nobody is told")
			}
		}
		if b.k.StandsIn() {
			t.Error("the address has run out, and the other array does not get it back")
		}
		w.mu.Lock()
		w.stays = false
		w.mu.Unlock()
	})
}

// TestTroubleIsToldOnce: the kernel refuses an address.
func TestTroubleIsToldOnce(t *testing.T) {
	play(t, func(w *wire, a, _ *machine) {
		w.mu.Lock()
		w.fail = true
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		w.mu.Lock()
		w.fail = false
		w.mu.Unlock()
		time.Sleep(time.Second)
		a.mu.Lock()
		n := len(a.events)
		a.mu.Unlock()
		if n != 2 || !a.said("192.0.2.1/24 on eth0: no right to") || !a.said("as it should be again") {
			t.Errorf("told %q", a.events)
		}
	})
}

func TestPermanentAddress(t *testing.T) {
	w := &wire{}
	_, err := Start(Config{Own: []Address{{mine.Prefix, "static"}}, Network: end{w, 0}})
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1/24 on static is there already") {
		t.Error(err)
	}
}
