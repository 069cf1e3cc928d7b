// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

// sweep writes its counter to page after page of two volumes, round and round, each when
// the one before was answered: at any moment the pages up to some have one number and the
// others the one before.
type sweep struct {
	p     *pair
	disks [2]*host.Disk
	n     int64       // answered
	at    []time.Time // when each was answered
}

const sweepOf = 512 // pages, of both volumes together

func (*sweep) place(n int64) (disk int, off int64) {
	k := (n - 1) % sweepOf
	return int(k % 2), k / 2 * block.Page
}

func (s *sweep) write(ctx context.Context) error {
	b := make([]byte, block.Page)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], uint64(s.n+1))
	}
	d, off := s.place(s.n + 1)
	if err := s.disks[d].Write(ctx, b, off); err != nil {
		return err
	}
	s.n++
	s.at = append(s.at, time.Now())
	return nil
}

// shown returns up to which write the volumes show all; a mixture fails the test.
func (s *sweep) shown(array string) int64 {
	s.p.t.Helper()
	b := make([]byte, block.Page)
	var found [sweepOf]int64
	newest := int64(0)
	for k := range found {
		d, off := s.place(int64(k + 1))
		s.p.must(s.disks[d].Read(s.p.t.Context(), array, b, off))
		found[k] = int64(binary.LittleEndian.Uint64(b))
		newest = max(newest, found[k])
		for i := 0; i < len(b); i += 8 {
			if int64(binary.LittleEndian.Uint64(b[i:])) != found[k] {
				s.p.t.Fatalf("page %d is torn", k)
			}
		}
	}
	for k, got := range found {
		want := newest - (newest-1-int64(k)+sweepOf)%sweepOf
		if got != max(want, 0) {
			s.p.t.Fatalf("a mixture: the newest write is %d, and page %d holds write %d instead of %d", newest, k, got, max(want, 0))
		}
	}
	return newest
}

// on opens the host's paths to one array, when it shows both volumes there.
func (s *sweep) on(i int) *host.Host {
	s.p.t.Helper()
	h, err := s.p.Host(i)
	s.p.must(err)
	disks, err := h.Wait(s.p.t.Context(), 2)
	s.p.must(err)
	for _, d := range disks {
		s.disks[min(d.Size()/(128<<20), 1)] = d
	}
	return h
}

// TestPeriodicGroup kills the source of a periodic group at any moment of a period while a
// host writes. The target goes on from the point that it names, which is one moment of both
// volumes; the source serves nothing when it returns, follows, and is given the group back.
func TestPeriodicGroup(t *testing.T) {
	p := newRig(t)
	ctx := t.Context()
	p.must(p.StartPair(ctx))
	p.command(rig.A, "createhost", "host", rig.Initiator)
	p.command(rig.A, "creatercopygroup", group, rig.Name(rig.B)+":periodic")
	for v, size := range []string{"64m", "128m"} {
		name := "v" + size
		p.command(rig.A, "admitrcopyvv", "-createvv", "-size", size, name, group)
		p.command(rig.A, "createvlun", name, []string{"0", "1"}[v], "host")
	}
	p.command(rig.A, "setrcopygroup", "period", "15s", rig.Name(rig.B), group)
	s := &sweep{p: p}
	h := s.on(rig.A)
	last := regexp.MustCompile(`from the state of ([-0-9]+ [:0-9]+ \S+), its last point`)
	for round := range 4 {
		writing, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for s.write(writing) == nil {
			}
		}()
		p.command(rig.A, "syncrcopy", "-w", group)
		p.must(p.Until(ctx, "some writes", pause(300*time.Millisecond)))
		p.command(rig.A, "syncrcopy", group)
		within := time.Duration(rand.N(200)) * time.Millisecond
		p.must(p.Until(ctx, "a moment of the period", pause(within)))
		p.must(p.Array(rig.A).Kill())
		stop()
		<-ended
		h.Close()
		if p.serves(rig.B) {
			t.Fatal("the target serves by itself")
		}
		var said string
		p.until(setUpIn, "the failover", func() bool {
			text, err := p.Command(ctx, rig.B, "setrcopygroup", "failover", "-f", group)
			said += text
			return err == nil
		})
		m := last.FindStringSubmatch(said)
		if m == nil {
			t.Fatalf("the failover says %q", said)
		}
		at, err := time.Parse("2006-01-02 15:04:05 MST", m[1])
		p.must(err)
		h = s.on(rig.B)
		shown, surely := s.shown(rig.Name(rig.B)), int64(0)
		for n, x := range s.at {
			if x.Before(at) {
				surely = int64(n + 1)
			}
		}
		t.Logf("round %d: killed %v after a point was asked for; the state of %s shows all up to write %d of %d, %d were answered before", round, within, m[1], shown, s.n, surely)
		if shown < surely || shown > s.n+1 {
			t.Fatalf("the state of %s shows all up to write %d; %d were answered by then, %d at all", m[1], shown, surely, s.n)
		}
		s.at = s.at[:min(int(shown), len(s.at))]
		for int64(len(s.at)) < shown { // the one that was under way
			s.at = append(s.at, time.Now())
		}
		s.n = shown
		for range 100 {
			p.must(s.write(ctx))
		}
		p.start(rig.A)
		p.until(setUpIn, "the old source to find out", func() bool {
			text, err := p.Command(ctx, rig.A, "explain", group)
			if err == nil && strings.Contains(text, "serving here true") {
				t.Fatal("the old source serves")
			}
			return err == nil && strings.Contains(text, "a person must choose")
		})
		p.until(setUpIn, "the old source to follow", func() bool {
			_, err := p.Command(ctx, rig.B, "setrcopygroup", "recover", group)
			return err == nil
		})
		if text := p.command(rig.A, "showeventlog"); strings.Count(text, "gave up what it had of after the point") != round+1 {
			t.Errorf("the old source did not go back to its own point:\n%s", text)
		}
		for range 100 {
			p.must(s.write(ctx))
		}
		h.Close()
		p.command(rig.B, "setrcopygroup", "restore", group)
		h = s.on(rig.A)
		if got := s.shown(rig.Name(rig.A)); got != s.n {
			t.Fatalf("given back, the volumes show all up to write %d of %d", got, s.n)
		}
	}
	h.Close()
}
