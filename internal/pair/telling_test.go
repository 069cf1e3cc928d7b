// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
)

// listener is a group that notes what it was told last.
type listener struct {
	Group
	mu   sync.Mutex
	lost bool
}

func (g *listener) hear(lost bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost = lost
}

func (g *listener) Contact() { g.hear(false) }
func (g *listener) Lost()    { g.hear(true) }

// TestTheLastWordIsTrue: connections of two links come and go at once.
func TestTheLastWordIsTrue(t *testing.T) {
	g := &listener{}
	p := &Pair{clock: NewClock(), groups: map[array.GroupID]Group{1: g}, calls: link.NewCalls(nil, link.Control(), frameCall, frameReply, nil, nil)}
	p.cfg.Logger = slog.New(slog.DiscardHandler)
	h := handler{p}
	for range 2000 {
		h.Up(&link.Conn{Link: "one"})
		var wg sync.WaitGroup
		wg.Go(func() { h.Down(&link.Conn{Link: "one"}, nil) })
		wg.Go(func() { h.Up(&link.Conn{Link: "two"}) })
		wg.Wait()
		if g.lost {
			t.Fatal("a connection is up, and the last word to the group is that it is lost")
		}
		h.Down(&link.Conn{Link: "two"}, nil)
		if !g.lost {
			t.Fatal("no connection is up, and the group was not told last")
		}
	}
}

// TestGroupsHearWithTheLease: the data connections of an array that returned are there before
// its control connections. Groups that began to talk then would be members of each other for
// a moment in which neither array has the other's lease.
func TestGroupsHearWithTheLease(t *testing.T) {
	g := &listener{lost: true}
	p := &Pair{clock: NewClock(), groups: map[array.GroupID]Group{1: g}, calls: link.NewCalls(nil, link.Control(), frameCall, frameReply, nil, nil), silent: true}
	p.cfg.Logger, p.cfg.Timing = slog.New(slog.DiscardHandler), DefaultTiming()
	p.lease.Start(p.clock.Now(), p.cfg.Timing)
	h := handler{p}
	h.Up(&link.Conn{Link: "one", Slot: 1})
	h.Up(&link.Conn{Link: "one", Slot: 0})
	if !g.lost {
		t.Fatal("the group was told of a connection before the other array answered")
	}
	p.granted(link.Frame{Type: frameGrant, Offset: p.clock.Now(), Length: 7})
	p.checkSilence()
	if g.lost {
		t.Fatal("the other array answers, and the group was not told")
	}
	h.Up(&link.Conn{Link: "two", Slot: 1})
	h.Down(&link.Conn{Link: "two", Slot: 1}, nil)
	if g.lost {
		t.Fatal("one of several connections ended, and the group took the other array for lost")
	}
}
