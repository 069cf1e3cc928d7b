// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestAnySequence holds the invariants over random requests: the state stays
// possible, survives its encoding, and the old state is never written to.
func TestAnySequence(t *testing.T) {
	nexus := rapid.SampledFrom([]Nexus{a1, a2, b1, c1})
	key := rapid.Uint64Range(0, 3)
	rapid.Check(t, func(t *rapid.T) {
		s := &State{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			before, _ := s.MarshalBinary()
			req := Request{
				Action:     rapid.SampledFrom([]Action{0, 1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14}).Draw(t, "action"),
				Nexus:      nexus.Draw(t, "nexus"),
				Key:        key.Draw(t, "key"),
				NewKey:     key.Draw(t, "new"),
				Type:       rapid.SampledFrom([]Type{0, 1, 3, 5, 6, 7, 8}).Draw(t, "type"),
				APTPL:      rapid.Bool().Draw(t, "aptpl"),
				Unregister: rapid.Bool().Draw(t, "unreg"),
				MoveTo:     nexus.Draw(t, "to"),
			}
			if rapid.Bool().Draw(t, "all") {
				req.Ports = []uint16{1, 129}
			}
			enc, err := req.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			var same Request
			if err := same.UnmarshalBinary(enc); err != nil || cmp.Diff(req, same) != "" {
				t.Fatal("request through its encoding:", err, cmp.Diff(req, same))
			}
			next, _, err := s.Apply(req)
			if after, _ := s.MarshalBinary(); !bytes.Equal(before, after) {
				t.Fatalf("%+v wrote to the old state", req)
			}
			if err != nil && next != s {
				t.Fatalf("%+v failed and changed the state", req)
			}
			if next != s && next.Revision != s.Revision+1 {
				t.Fatalf("%+v took the revision from %d to %d", req, s.Revision, next.Revision)
			}
			s = next
			if err := s.check(); err != nil {
				t.Fatalf("after %+v: %v: %+v", req, err, s)
			}
			var back State
			enc, _ = s.MarshalBinary()
			if err := back.UnmarshalBinary(enc); err != nil {
				t.Fatal(err)
			}
			if enc2, _ := back.MarshalBinary(); !bytes.Equal(enc, enc2) {
				t.Fatal("state differs after its encoding")
			}
		}
	})
}

func TestReports(t *testing.T) {
	s, _ := run(t, &State{}, append(registered()[:2], Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: WriteExclusive})...)
	want := []byte{0, 0, 0, 2, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0xA, 0, 0, 0, 0, 0, 0, 0, 0xB}
	if got := s.ReadKeys(); !bytes.Equal(got, want) {
		t.Errorf("READ KEYS % x", got)
	}
	want = []byte{0, 0, 0, 2, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0xA, 0, 0, 0, 0, 0, 1, 0, 0}
	if got := s.ReadReservation(); !bytes.Equal(got, want) {
		t.Errorf("READ RESERVATION % x", got)
	}
	full := s.FullStatus()
	if len(full) != 8+2*(24+28) || full[8+12] != 1 || full[8+13] != 1 || full[8+24+28+12] != 0 {
		t.Errorf("READ FULL STATUS % x", full)
	}
	if port, n, ok := ParseTransportID(full[8+24:]); !ok || port != a1.Initiator || n != 28 {
		t.Errorf("TransportID of READ FULL STATUS: %q %d %v", port, n, ok)
	}
}

func FuzzState(f *testing.F) {
	s := &State{}
	for _, r := range registered() {
		s, _, _ = s.Apply(r)
		b, _ := s.MarshalBinary()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if s.UnmarshalBinary(b) != nil {
			return
		}
		again, err := s.MarshalBinary()
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("two encodings of one state: % x and % x (%v)", b, again, err)
		}
	})
}

func FuzzRequest(f *testing.F) {
	for _, r := range append(registered(), Request{Action: Register, Ports: []uint16{1, 2}, Initiators: []string{"iqn.x"}}) {
		b, _ := r.MarshalBinary()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		if r.UnmarshalBinary(b) == nil {
			(&State{}).Apply(r)
		}
	})
}

func FuzzTransportID(f *testing.F) {
	f.Add(TransportID(a1.Initiator))
	f.Add(TransportID("iqn.without.isid"))
	f.Add([]byte{0x45, 0, 0, 20})
	f.Fuzz(func(t *testing.T, b []byte) {
		port, n, ok := ParseTransportID(b)
		if !ok {
			return
		}
		if n > len(b) {
			t.Fatal("longer than its input")
		}
		if again, _, ok := ParseTransportID(TransportID(port)); !ok || again != port {
			t.Fatalf("%q came back as %q", port, again)
		}
	})
}
