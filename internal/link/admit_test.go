// SPDX-License-Identifier: Apache-2.0

package link

import (
	"errors"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestLinksComeAndGo: one that is admitted carries what the other carried, which can be
// dismissed then, and admitted again.
func TestLinksComeAndGo(t *testing.T) {
	r := newRig(t, 2)
	second := map[*side]LinkConfig{}
	for _, s := range []*side{r.a, r.b} {
		second[s] = s.cfg.Links[1]
		s.cfg.Links = s.cfg.Links[:1]
	}
	r.open()
	r.allUp(3)
	carried := func(s *side) string {
		t.Helper()
		if err := s.peer.Send(Frame{Type: 20}, Control()); err != nil {
			t.Fatal(err)
		}
		o := r.b
		if s == r.b {
			o = r.a
		}
		return wait(t, o.rec.frames, "a frame").c.Link
	}
	for range 3 {
		for s, l := range second {
			if err := s.peer.Admit(l); err != nil {
				t.Fatal(err)
			}
			if err := s.peer.Admit(l); array.KindOf(err) != array.Exists {
				t.Errorf("admitted twice: %v", err)
			}
		}
		r.allUp(3)
		r.a.inUse(t, 6)
		r.b.inUse(t, 6)
		for _, s := range []*side{r.a, r.b} {
			if err := s.peer.Dismiss(second[r.b].Name); err != nil {
				t.Fatal(err)
			}
			if n := len(s.peer.Status()); n != 1 {
				t.Errorf("%d links are left", n)
			}
		}
		for range 3 {
			wait(t, r.a.rec.down, "the end of a connection")
			wait(t, r.b.rec.down, "the end of a connection")
		}
		if on := carried(r.a); on != "1" {
			t.Errorf("a frame went over link %s", on)
		}
		if err := r.a.peer.Send(Frame{Type: 21}, ControlOn("2")); !errors.Is(err, ErrDown) {
			t.Errorf("over a dismissed link: %v", err)
		}
	}
	if err := r.a.peer.Dismiss("1"); array.KindOf(err) != array.Conflict {
		t.Errorf("the last link: %v", err)
	}
	if err := r.a.peer.Dismiss("3"); array.KindOf(err) != array.NotFound {
		t.Errorf("a link that is none: %v", err)
	}
}
