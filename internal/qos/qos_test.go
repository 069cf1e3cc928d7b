// SPDX-License-Identifier: Apache-2.0

package qos

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perdure/perdure/internal/array"
)

var zero = time.Unix(1000, 0)

// TestALimitHolds over any time, whatever comes when; and who is told to wait is not told
// to wait for longer than he can.
func TestALimitHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var limits []Rule
		var rules []*Limiter
		for range rapid.IntRange(1, 3).Draw(t, "rules") {
			r := Rule{MaxIOPS: rapid.Int64Range(1, 5000).Draw(t, "iops"), MaxBytes: rapid.Int64Range(1<<12, 1<<28).Draw(t, "bw")}
			limits, rules = append(limits, r), append(rules, NewLimiter(r))
		}
		most := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "most"))
		type begun struct {
			at    time.Time
			bytes int64
		}
		var all []begun
		now := zero
		for range rapid.IntRange(1, 300).Draw(t, "commands") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Millisecond)).Draw(t, "gap")))
			bytes := rapid.Int64Range(0, 1<<20).Draw(t, "bytes")
			wait, ok := admit(rules, now, bytes, most)
			if ok && wait > most {
				t.Fatalf("it waits %v of at most %v", wait, most)
			}
			if ok {
				all = append(all, begun{now.Add(wait), bytes})
			}
		}
		for i := range all { // from any one to any later one
			var sum int64
			for j := i; j < len(all); j++ {
				span := (all[j].at.Sub(all[i].at) + burst).Seconds()
				for _, r := range limits {
					if count := float64(j - i + 1); count > span*float64(r.MaxIOPS)+1.01 {
						t.Fatalf("%v commands in %v s at %d a second", count, span, r.MaxIOPS)
					}
					// What comes last is begun before it is paid for.
					if float64(sum) > span*float64(r.MaxBytes)*1.0001+1 {
						t.Fatalf("%d bytes in %v s at %d a second", sum, span, r.MaxBytes)
					}
				}
				sum += all[j].bytes
			}
		}
	})
}

// TestTheWholeLimitIsGiven to who asks for more, and refusals take nothing of it.
func TestTheWholeLimitIsGiven(t *testing.T) {
	l := NewLimiter(Rule{MaxIOPS: 100})
	admitted, refused := 0, 0
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		if wait, ok := admit([]*Limiter{l}, zero.Add(at), 4096, 200*time.Millisecond); ok {
			admitted++
		} else {
			refused++
			if wait < 200*time.Millisecond {
				t.Fatalf("refused for %v", wait)
			}
		}
	}
	if admitted < 1000 || admitted > 1000+32 {
		t.Errorf("%d of 1000 were admitted, %d refused", admitted, refused)
	}
	if f := second(l); f.IOPS != int64(admitted) || f.Refused != int64(refused) || f.Wait < 150*time.Millisecond {
		t.Errorf("%+v", f)
	}
}

func second(l *Limiter) Figures {
	l.second()
	return l.Figures()
}

// TestSeveralRules: a volume in two sets is under both, and what one refuses the other does
// not count.
func TestSeveralRules(t *testing.T) {
	var e Engine
	if e.Limited(1) {
		t.Error("there are no rules")
	}
	if wait, ended, ok := e.Admit(1, zero, 1, 0); wait != 0 || ended != nil || !ok {
		t.Error("a volume without rules is limited")
	}
	wide, narrow := NewLimiter(Rule{MaxIOPS: 1000}), NewLimiter(Rule{MaxIOPS: 10})
	e.Use(map[array.VolumeID][]*Limiter{1: {wide, narrow}, 2: {wide}})
	if !e.Limited(1) || e.Limited(3) {
		t.Error("volume 1 has rules, volume 3 none")
	}
	count := 0
	for range 100 {
		if _, _, ok := e.Admit(1, zero, 1, 0); ok {
			count++
		}
	}
	if count != 2 {
		t.Errorf("%d were admitted at once", count)
	}
	if f := second(wide); f.IOPS != int64(count) {
		t.Errorf("the wide rule counted %d", f.IOPS)
	}
}

// TestGoals: who misses a goal makes those of lower priority yield down to their minimum,
// and they get back what they had.
func TestGoals(t *testing.T) {
	fast := NewLimiter(Rule{Goal: time.Millisecond, Priority: High})
	slow := NewLimiter(Rule{MinIOPS: 100, MaxIOPS: 1000, Priority: Normal})
	same := NewLimiter(Rule{MaxIOPS: 1000, Priority: High})
	all := []*Limiter{fast, slow, same}
	for range 20 {
		fast.ended(5 * time.Millisecond)
		Second(all)
	}
	if slow.io.rate != 100 || same.io.rate != 1000 {
		t.Errorf("%v and %v a second", slow.io.rate, same.io.rate)
	}
	for range 30 {
		fast.ended(time.Millisecond / 2)
		Second(all)
	}
	if slow.io.rate < 999.9 {
		t.Errorf("%v a second", slow.io.rate)
	}
}
