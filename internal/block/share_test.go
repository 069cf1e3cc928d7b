// SPDX-License-Identifier: Apache-2.0

package block

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// drain takes buffers of n bytes until there is none.
func drain(s *Share, n int) (all []*Buffer) {
	for {
		b, ok := s.Get(n)
		if !ok {
			return all
		}
		all = append(all, b)
	}
}

func release(all []*Buffer) {
	for _, b := range all {
		b.Release()
	}
}

// TestSharesAreFair: however greedy others are, whoever comes gets as much as they have,
// and his guarantee when nothing else is left.
func TestSharesAreFair(t *testing.T) {
	p := NewPool(512 << 20)
	var held []*Buffer
	var shares []*Share
	for range 8 {
		s := p.NewShare(0)
		shares = append(shares, s)
		held = append(held, drain(s, 64<<10)...)
	}
	if used := shares[0].Used(); used < 512<<20*2/5 || used > 512<<20*3/5 {
		t.Errorf("the first one, alone, got %d MiB of 512", used>>20)
	}
	late := p.NewShare(0)
	mine := drain(late, 64<<10)
	if late.Used() < 2<<20 {
		t.Errorf("beside eight greedy ones a ninth got %d KiB, its guarantee are 2 MiB", late.Used()>>10)
	}
	// The greedy one's buffers go round: what it gives back the late one gets.
	for len(held) > 0 {
		held[0].Release()
		held = held[1:]
		mine = append(mine, drain(late, 64<<10)...)
	}
	if late.Used() < 512<<20*2/5 {
		t.Errorf("alone the ninth got %d MiB of 512", late.Used()>>20)
	}
	release(mine)
	for _, s := range append(shares, late) {
		s.Close()
	}
	if p.Used() != 0 || p.used.Load() != 0 || p.aside.Load() != 0 || p.spare.Load() != 0 {
		t.Errorf("used %d, claimed %d, aside %d, spare %d after all", p.Used(), p.used.Load(), p.aside.Load(), p.spare.Load())
	}
}

// TestAGuaranteeHolds: when others, with or without shares, have all there is, a share
// still has its guarantee, and a pool full before has none to give.
func TestAGuaranteeHolds(t *testing.T) {
	p := NewPool(64 << 20)
	s := p.NewShare(0)
	var others []*Buffer
	for b, ok := p.Get(Align); ok; b, ok = p.Get(Align) {
		others = append(others, b)
	}
	late := p.NewShare(0)
	mine := drain(s, Align)
	if got := s.Used(); got != 256<<10 {
		t.Errorf("of a guarantee of 256 KiB %d bytes were to be had", got)
	}
	if all := drain(late, Align); len(all) != 0 {
		t.Errorf("a full pool gave %d more buffers", len(all))
	}
	if p.Used() != p.Limit() {
		t.Errorf("%d bytes are out of %d", p.Used(), p.Limit())
	}
	release(others)
	s.Close()
	release(mine) // after Close: the guarantee goes back with the last of them
	late.Close()
	if p.used.Load() != 0 || p.aside.Load() != 0 {
		t.Errorf("%d bytes claimed, %d aside", p.used.Load(), p.aside.Load())
	}
}

func TestAShareHasItsBound(t *testing.T) {
	p := NewPool(64 << 20)
	s := p.NewShare(1 << 20)
	defer s.Close()
	all := drain(s, 64<<10)
	if s.Used() != 1<<20 {
		t.Errorf("%d bytes of at most a MiB", s.Used())
	}
	release(all)
}

// TestGuaranteesAreBounded: many shares leave most of the pool to everybody.
func TestGuaranteesAreBounded(t *testing.T) {
	p := NewPool(64 << 20)
	for range 1000 {
		p.NewShare(0)
	}
	if a := p.aside.Load(); a > 16<<20 || p.Used() != 0 {
		t.Errorf("%d bytes are set aside, %d used", a, p.Used())
	}
}

// TestSharesAtOnce: the account is right after any mix of everything.
func TestSharesAtOnce(t *testing.T) {
	p := NewPool(32 << 20)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 50 {
				s := p.NewShare(int64(r.IntN(8 << 20)))
				var all []*Buffer
				for range 100 {
					if b, ok := s.Get(r.IntN(MaxIO)); ok {
						all = append(all, b)
					}
					if len(all) > 8 {
						all[0].Release()
						all = all[1:]
					}
					if u := p.Used(); u > p.Limit() {
						t.Errorf("%d bytes are out", u)
					}
				}
				if i%2 == 0 {
					s.Close()
				}
				release(all)
				s.Close()
			}
		})
	}
	wg.Wait()
	if p.used.Load() != 0 || p.aside.Load() != 0 || p.spare.Load() != 0 {
		t.Errorf("claimed %d, aside %d, spare %d", p.used.Load(), p.aside.Load(), p.spare.Load())
	}
}
