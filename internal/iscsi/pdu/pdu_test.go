// SPDX-License-Identifier: Apache-2.0

package pdu

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestThroughTheWire(t *testing.T) {
	for _, digests := range []bool{false, true} {
		var wire []byte
		for n := range 10 {
			h := Make(DataOut, 0x80)
			h.Put32(OffITT, uint32(n))
			wire = Append(wire, &h, bytes.Repeat([]byte{byte(n)}, n*3), digests, digests)
		}
		r := NewReader(bytes.NewReader(wire), 64)
		r.HeaderDigest, r.DataDigest = digests, digests
		for n := range 10 {
			var h Header
			if err := r.Next(&h); err != nil {
				t.Fatal(err)
			}
			if h.ITT() != uint32(n) || h.DataLen() != n*3 || h.Op() != DataOut || !h.Final() {
				t.Fatalf("PDU %d came as % x", n, h)
			}
			p := make([]byte, n) // a part; the rest is dropped
			if n%2 == 0 {
				continue // dropped by Next
			}
			if err := r.Data(p); err != nil || !bytes.Equal(p, bytes.Repeat([]byte{byte(n)}, n)) {
				t.Fatalf("data of PDU %d: % x, %v", n, p, err)
			}
		}
		if err := r.Next(new(Header)); err != io.EOF {
			t.Fatal("at the end:", err)
		}
	}
}

func TestDigestsNoticeDamage(t *testing.T) {
	h := Make(DataOut, 0)
	good := Append(nil, &h, []byte("payload"), true, true)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		r := NewReader(bytes.NewReader(bad), 64)
		r.HeaderDigest, r.DataDigest = true, true
		var got Header
		err := r.Next(&got)
		if i < HeaderLen+4 {
			if err == nil {
				t.Errorf("damage of header byte %d went unnoticed", i)
			}
			continue
		}
		if err := r.Discard(); !errors.Is(err, ErrDataDigest) {
			t.Errorf("damage of data byte %d: %v", i, err)
		}
	}
}

// TestDigestVector is RFC 7143 appendix A.3: 32 bytes of zeros.
func TestDigestVector(t *testing.T) {
	got := AppendTrailer(nil, make([]byte, 32), true)
	if !bytes.Equal(got, []byte{0xaa, 0x36, 0x91, 0x8a}) {
		t.Errorf("digest % x", got)
	}
}

func FuzzReader(f *testing.F) {
	h := Make(DataOut, 0)
	f.Add(Append(nil, &h, []byte("payload"), true, true), true)
	f.Add(Append(nil, &h, nil, false, false), false)
	f.Fuzz(func(t *testing.T, b []byte, digests bool) {
		r := NewReader(bytes.NewReader(b), 4096)
		r.HeaderDigest, r.DataDigest = digests, digests
		var h Header
		for i := 0; r.Next(&h) == nil; i++ {
			if i%2 == 0 {
				r.Data(make([]byte, h.DataLen()))
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("InitiatorName=iqn.x\x00SessionType=Normal\x00"))
	f.Add([]byte("=\x00\x00a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		pairs, err := ParseText(b)
		if err != nil {
			return
		}
		again, err := ParseText(AppendText(nil, pairs...))
		if err != nil || len(again) != len(pairs) {
			t.Fatalf("%q came back as %q (%v)", pairs, again, err)
		}
	})
}
