// SPDX-License-Identifier: Apache-2.0

package qos

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// hosts give commands to one array: so many at a time, and for each that has ended another,
// so long after.
type hosts struct {
	atOnce int
	think  time.Duration
	bytes  int64
}

// twoArrays share a rule. Time goes by milliseconds.
type twoArrays struct {
	rule    Rule
	now     time.Time
	limit   [2]*Limiter
	divider Divider
	follow  Follower
	serves  [2]bool
	hosts   [2]hosts
	next    [2][]time.Time // of each host's commands, when the next comes
	begun   [2][]time.Time
	delay   time.Duration // of each message
	lose    func() (offer, answer bool)
	tick    [2]time.Time
	arrive  []message
}

// message is one under way.
type message struct {
	at time.Time
	do func()
}

func newTwoArrays(r Rule) *twoArrays {
	w := &twoArrays{rule: r, now: zero, serves: [2]bool{true, true}, lose: func() (bool, bool) { return false, false }}
	for i := range w.limit {
		w.limit[i] = NewLimiter(r)
		w.limit[i].SetShare(zero, Floor)
		w.tick[i] = zero.Add(time.Duration(i) * 300 * time.Millisecond)
	}
	return w
}

// let makes the hosts of an array those.
func (w *twoArrays) let(array int, h hosts) {
	w.hosts[array] = h
	w.next[array] = slices.Repeat([]time.Time{w.now}, h.atOnce)
}

// run lets time go by.
func (w *twoArrays) run(span time.Duration) {
	for end := w.now.Add(span); w.now.Before(end); w.now = w.now.Add(time.Millisecond) {
		for len(w.arrive) > 0 && !w.arrive[0].at.After(w.now) {
			m := w.arrive[0]
			w.arrive = w.arrive[1:]
			m.do()
		}
		for i := range w.limit {
			w.command(i)
			if !w.tick[i].After(w.now) {
				w.tick[i] = w.now.Add(time.Second)
				w.second(i)
			}
		}
	}
}

func (w *twoArrays) command(i int) {
	h := w.hosts[i]
	for k, at := range w.next[i] {
		if at.After(w.now) {
			continue
		}
		wait, ok := admit([]*Limiter{w.limit[i]}, w.now, h.bytes, 1500*time.Millisecond)
		w.next[i][k] = w.now.Add(wait + time.Millisecond + h.think)
		if !ok {
			w.next[i][k] = w.now.Add(10*time.Millisecond + h.think) // BUSY
			continue
		}
		w.begun[i] = append(w.begun[i], w.now.Add(wait))
	}
}

func (w *twoArrays) need(i int) Need { return NeedOf(w.rule, w.limit[i].Figures(), w.serves[i]) }

func (w *twoArrays) second(i int) {
	w.limit[i].second()
	if i == 1 {
		w.follow.Tick(w.now, w.limit[1])
		return
	}
	offer, turn := w.divider.Offer(w.now, w.limit[0], w.need(0)), w.tick[0]
	noOffer, noAnswer := w.lose()
	if noOffer {
		return
	}
	w.arrive = append(w.arrive, message{w.now.Add(w.delay), func() {
		held, need := w.follow.Take(w.now, w.limit[1], offer), w.need(1)
		if noAnswer {
			return
		}
		w.arrive = append(w.arrive, message{w.now.Add(w.delay), func() {
			if turn == w.tick[0] { // else nobody waits for it any more
				w.divider.Answered(w.now, w.limit[0], held, need)
			}
		}})
		slices.SortStableFunc(w.arrive, func(a, b message) int { return a.at.Compare(b.at) })
	}})
	slices.SortStableFunc(w.arrive, func(a, b message) int { return a.at.Compare(b.at) })
}

// rates are how many commands a second began in the last second, on each array.
func (w *twoArrays) rates() (a, b int) {
	count := func(all []time.Time) (n int) {
		for _, t := range all {
			if t.After(w.now.Add(-time.Second)) && !t.After(w.now) {
				n++
			}
		}
		return n
	}
	return count(w.begun[0]), count(w.begun[1])
}

// within returns why there was more than the limit in some time, empty if there was not.
func (w *twoArrays) within() string {
	all := slices.SortedFunc(func(yield func(time.Time) bool) {
		for i := range w.begun {
			for _, t := range w.begun[i] {
				if !yield(t) {
					return
				}
			}
		}
	}, time.Time.Compare)
	// The largest excess of any time: of what began up to there over what time allows.
	least, from := math.Inf(1), zero
	for i, t := range all {
		allowed := t.Sub(zero).Seconds() * float64(w.rule.MaxIOPS)
		if x := float64(i) - allowed; x < least {
			least, from = x, t
		}
		if over := float64(i+1) - allowed - least; over > burst.Seconds()*float64(w.rule.MaxIOPS)+4 {
			return fmt.Sprintf("%.0f commands more than %d a second in %v", over, w.rule.MaxIOPS, t.Sub(from))
		}
	}
	return ""
}

// TestTheLimitIsOfBothTogether: the hosts of one array get nearly all if those of the other
// want nothing, within seconds; all get their part if they want more together; and no time
// has more than the limit, whoever begins and ends.
func TestTheLimitIsOfBothTogether(t *testing.T) {
	w := newTwoArrays(Rule{MaxIOPS: 1000})
	w.delay = 5 * time.Millisecond
	want := func(what string, span time.Duration, a, b [2]int) {
		t.Helper()
		w.run(span)
		x, y := w.rates()
		t.Logf("%s: %d and %d", what, x, y)
		if x < a[0] || x > a[1] || y < b[0] || y > b[1] {
			t.Errorf("%s: %d and %d, want %v and %v", what, x, y, a, b)
		}
		if why := w.within(); why != "" {
			t.Errorf("%s: %s", what, why)
		}
	}
	many, one := hosts{atOnce: 32}, hosts{atOnce: 1, think: 19 * time.Millisecond}
	w.let(0, many)
	want("hosts of one array", 4*time.Second, [2]int{850, 910}, [2]int{0, 0})
	w.let(1, one)
	want("a host of the other that wants little", 4*time.Second, [2]int{850, 910}, [2]int{45, 50})
	w.let(1, many)
	want("as many on both", 6*time.Second, [2]int{400, 600}, [2]int{400, 600})
	w.let(1, hosts{atOnce: 96})
	want("three times as many on the other", 8*time.Second, [2]int{200, 300}, [2]int{700, 800})
	w.let(0, hosts{})
	want("only on the other", 4*time.Second, [2]int{0, 0}, [2]int{850, 910})
	w.serves[0] = false
	want("the other serves without this one", 2*time.Second, [2]int{0, 0}, [2]int{980, 1010})
}

// TestASwitchoverDoesNotWait: the other array's first commands wait no longer than this
// one's did, at whichever moment of a turn hosts are handed over, there and back.
func TestASwitchoverDoesNotWait(t *testing.T) {
	for at := range 40 {
		w := newTwoArrays(Rule{MaxIOPS: 100})
		w.delay = 5 * time.Millisecond
		w.serves[1] = false
		w.let(0, hosts{atOnce: 16})
		w.run(3*time.Second + time.Duration(at)*25*time.Millisecond)
		for turn := range 4 {
			from, to := turn%2, 1-turn%2
			w.let(from, hosts{})
			w.serves[from] = false
			w.run(3 * time.Millisecond)
			w.serves[to] = true
			w.let(to, hosts{atOnce: 16})
			if wait := w.limit[to].wait(w.now); wait > 0 {
				t.Fatalf("moment %d: the first command waits %v", at, wait)
			}
			w.run(time.Second)
			if a, b := w.rates(); a+b < 90 || a+b > 130 {
				t.Fatalf("moment %d, turn %d: %d and %d commands in a second, the limit is 100", at, turn, a, b)
			}
			w.run(1500 * time.Millisecond)
		}
	}
}

// TestOneThatBeginsToServe beside the other has its part after some turns.
func TestOneThatBeginsToServe(t *testing.T) {
	for from := range 2 {
		w := newTwoArrays(Rule{MaxIOPS: 1000})
		w.serves[1-from] = false
		w.let(from, hosts{atOnce: 32})
		w.run(4 * time.Second)
		w.serves[1-from] = true
		w.let(1-from, hosts{atOnce: 32})
		w.run(6 * time.Second)
		if a, b := w.rates(); a+b > 1010 || min(a, b) < 300 {
			t.Errorf("%d and %d commands a second, together they may have 1000", a, b)
		}
	}
}

// TestTheOnlyServerKeepsItsLimit: only this array serves under the rule, the other
// one has said so. Then its answers stay away while the contact lasts.
func TestTheOnlyServerKeepsItsLimit(t *testing.T) {
	now := time.Unix(1000, 0)
	l, d := NewLimiter(Rule{MaxIOPS: 1000}), &Divider{}
	busy := Need{Serves: true, Used: 1, Queue: 5}
	for range 10 {
		d.Offer(now, l, busy)
		d.Answered(now, l, 1, Need{}) // it serves nothing
		now = now.Add(time.Second)
	}
	if l.Share() != 1 {
		t.Fatalf("share %v", l.Share())
	}
	least := 0
	for range 20 {
		d.Offer(now, l, busy)
		if l.Share() < 0.5 {
			least++
		}
		now = now.Add(time.Second)
	}
	if least > 0 {
		t.Errorf("the only array that serves had a tenth of the limit for %d s", least)
	}
}

// TestTwiceTheLimitForTwoTurns: how long both have all when the other array begins to serve.
func TestTwiceTheLimitForTwoTurns(t *testing.T) {
	now := time.Unix(1000, 0)
	a, b, d, f := NewLimiter(Rule{MaxIOPS: 1000}), NewLimiter(Rule{MaxIOPS: 1000}), &Divider{}, &Follower{}
	busy := Need{Serves: true, Used: 1, Queue: 5}
	serves := Need{}
	turn := func() {
		held := f.Take(now, b, d.Offer(now, a, busy))
		d.Answered(now, a, held, serves)
		now = now.Add(time.Second)
	}
	for range 5 {
		turn()
	}
	serves = busy // just after the answer
	over := 0
	for range 10 {
		if a.Share()+b.Share() > 1.01 {
			over++
		}
		turn()
	}
	if over > 2 {
		t.Errorf("both have more than the limit for %d s, want 2", over)
	}
}

// TestTheLimitHoldsOverBoth whatever hosts do, and which messages are lost.
func TestTheLimitHoldsOverBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwoArrays(Rule{MaxIOPS: rapid.Int64Range(20, 2000).Draw(t, "iops")})
		w.delay = time.Duration(rapid.IntRange(0, 400).Draw(t, "delay")) * time.Millisecond
		lost := rapid.IntRange(0, 10).Draw(t, "lost in ten")
		w.lose = func() (bool, bool) {
			return rapid.IntRange(0, 9).Draw(t, "offer") < lost, rapid.IntRange(0, 9).Draw(t, "answer") < lost
		}
		for range rapid.IntRange(1, 6).Draw(t, "phases") {
			i := rapid.IntRange(0, 1).Draw(t, "array")
			w.let(i, hosts{atOnce: rapid.IntRange(0, 64).Draw(t, "at once"), think: time.Duration(rapid.IntRange(0, 50).Draw(t, "think")) * time.Millisecond})
			w.run(time.Duration(rapid.IntRange(100, 4000).Draw(t, "for")) * time.Millisecond)
		}
		if why := w.within(); why != "" {
			t.Fatal(why)
		}
	})
}

// TestAShareIsNotForEver: an array that is told nothing any more has the least, and the other
// one counts on it only after that.
func TestAShareIsNotForEver(t *testing.T) {
	w := newTwoArrays(Rule{MaxIOPS: 1000})
	w.let(0, hosts{atOnce: 32})
	w.let(1, hosts{atOnce: 32})
	w.run(5 * time.Second)
	w.lose = func() (bool, bool) { return false, true }
	w.run(20 * time.Second)
	if a, b := w.rates(); a < 850 || b > 110 || w.within() != "" {
		t.Errorf("%d and %d a second, %s", a, b, w.within())
	}
	w.lose = func() (bool, bool) { return true, true }
	w.run(7 * time.Second)
	if a, b := w.rates(); a < 850 || b > 110 || w.within() != "" {
		t.Errorf("%d and %d a second without a word, %s", a, b, w.within())
	}
	w.lose = func() (bool, bool) { return false, false }
	w.run(6 * time.Second)
	if a, b := w.rates(); a < 400 || b < 400 || w.within() != "" {
		t.Errorf("%d and %d a second when they talk again, %s", a, b, w.within())
	}
}

// TestAShareKeepsWhatIsOwed: a large command that was begun under a small share is paid for
// with the larger one, and the other way about.
func TestAShareKeepsWhatIsOwed(t *testing.T) {
	l := NewLimiter(Rule{MaxBytes: 1 << 20})
	l.SetShare(zero, Floor)
	if _, ok := admit([]*Limiter{l}, zero, 1<<20, 0); !ok {
		t.Fatal("the first is refused")
	}
	at := zero.Add(time.Second)
	if wait, _ := admit([]*Limiter{l}, at, 1, 0); wait < 8*time.Second {
		t.Errorf("the next waits %v at a tenth", wait)
	}
	l.SetShare(at, 1)
	if wait, _ := admit([]*Limiter{l}, at, 1, 0); wait < 800*time.Millisecond || wait > 950*time.Millisecond {
		t.Errorf("the next waits %v with all", wait)
	}
	l.SetShare(at, 0.5)
	if wait, _ := admit([]*Limiter{l}, at, 1, 0); wait < 1600*time.Millisecond || wait > 1900*time.Millisecond {
		t.Errorf("the next waits %v with half", wait)
	}
}

// TestTheOtherArraysWordIsBounded.
func TestTheOtherArraysWordIsBounded(t *testing.T) {
	var d Divider
	l := NewLimiter(Rule{MaxIOPS: 100})
	for _, x := range []float64{math.NaN(), math.Inf(1), -5, 1e300} {
		d.Offer(zero, l, Need{Serves: true, Queue: 1})
		d.Answered(zero, l, x, Need{Serves: true, Used: x, Queue: x})
		if s := l.Share(); !(s >= Floor && s <= 1) {
			t.Errorf("%v makes a share of %v", x, s)
		}
		var f Follower
		f.Take(zero, l, x)
		if s := l.Share(); !(s >= Floor && s <= 1) {
			t.Errorf("an offer of %v makes a share of %v", x, s)
		}
	}
}

// TestAFollowerThatServesAlone keeps all while it hears nothing: the other one served nothing.
func TestAFollowerThatServesAlone(t *testing.T) {
	l, f := NewLimiter(Rule{MaxIOPS: 100}), Follower{}
	f.Take(zero, l, 1)
	for s := range 20 {
		if f.Tick(zero.Add(time.Duration(s)*time.Second), l); l.Share() != 1 {
			t.Fatalf("after %d s it has %v", s, l.Share())
		}
	}
	f.Take(zero, l, 0.5)
	if f.Tick(zero.Add(time.Minute), l); l.Share() != Floor {
		t.Errorf("one that shared has %v", l.Share())
	}
}

// TestAnUnheardServerIsOfferedAll: the array that divides serves nothing, and the other one, whose
// answers are lost, begins to.
func TestAnUnheardServerIsOfferedAll(t *testing.T) {
	l, d := NewLimiter(Rule{MaxIOPS: 100}), Divider{}
	for s := range 20 {
		now := zero.Add(time.Duration(s) * time.Second)
		offer := d.Offer(now, l, Need{})
		if s > 0 && offer != 1 {
			t.Fatalf("after %d s it is offered %v", s, offer)
		}
		if s < 3 {
			d.Answered(now, l, 1, Need{})
		}
	}
}
