// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"testing"
	"time"
)

// counted waits until the wire has carried and lost as many frames.
func counted(t *testing.T, w *wire, delivered, dropped uint64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		w.mu.Lock()
		a, b := w.delivered, w.dropped
		w.mu.Unlock()
		if a == delivered && b == dropped {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("delivered %d, lost %d, want %d and %d", a, b, delivered, dropped)
		}
	}
}

func TestWireLosesWhatIsUnderWayWhenCut(t *testing.T) {
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer out.Close()
	w := newWire(&port{frames: out})
	defer w.close()
	w.set(func(s *Shape) { s.Delay = 30 * time.Millisecond })
	w.send([]byte("delivered"))
	counted(t, w, 1, 0)
	w.send([]byte("under way"))
	w.set(func(s *Shape) { s.Cut = true })
	counted(t, w, 1, 1)
	w.send([]byte("after the cut"))
	counted(t, w, 1, 2)
	w.set(func(s *Shape) { *s = Shape{} })
	w.send([]byte("healed"))
	counted(t, w, 2, 2)
}

func TestWireKeepsOrderWhenItGetsShorter(t *testing.T) {
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer out.Close()
	w := newWire(&port{frames: out})
	defer w.close()
	w.set(func(s *Shape) { s.Delay = 30 * time.Millisecond })
	w.send([]byte("1"))
	w.set(func(s *Shape) { s.Delay = 0 })
	w.send([]byte("2"))
	counted(t, w, 2, 0)
	got := make([]byte, 2)
	if n, err := r.Read(got); err != nil || string(got[:n]) != "12" {
		t.Errorf("%q %v", got[:n], err)
	}
}

func TestWireHoldsNoMoreThanItsLimit(t *testing.T) {
	w := newWire(&port{})
	defer w.close()
	w.set(func(s *Shape) { s.Delay = time.Hour })
	frame := make([]byte, 1<<20)
	for range maxInFlight>>20 + 3 {
		w.send(frame)
	}
	counted(t, w, 0, 3)
}
