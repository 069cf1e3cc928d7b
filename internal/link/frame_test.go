// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

func sample() Frame {
	return Frame{
		Type: 200, Flags: 0xBEEF, Group: 1<<63 | 7, Position: array.Position{Epoch: 1 << 40, Term: 3, Place: 1<<64 - 1},
		Commit: 12345, Volume: 1<<32 | 9, Offset: 1<<62 + 512, Length: MaxLength, Tag: [16]byte{1, 15: 2}, Payload: []byte("payload"),
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, f := range []Frame{sample(), {}, {Type: typePing}} {
		h := f.appendHeader([]byte("before"))[len("before"):]
		if len(h) != HeaderSize {
			t.Fatalf("header of %d bytes", len(h))
		}
		got, size, sum, err := decodeHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if size != len(f.Payload) || verify(f.Payload, sum) != nil {
			t.Errorf("payload: size %d, sum %#x", size, sum)
		}
		f.Payload = nil
		if d := cmp.Diff(f, got, cmpopts.IgnoreFields(Frame{}, "Buf")); d != "" {
			t.Error(d)
		}
	}
}

func TestHeaderRefusesEveryFlippedBit(t *testing.T) {
	f := sample()
	h := f.appendHeader(nil)
	for i := range HeaderSize * 8 {
		bad := bytes.Clone(h)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, _, err := decodeHeader(bad); err == nil {
			t.Errorf("bit %d of byte %d went unnoticed", i%8, i/8)
		}
	}
}

func TestHeaderErrors(t *testing.T) {
	seal := func(h []byte) []byte {
		sum := block.Checksum(h[:92])
		return append(h[:92:92], byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
	}
	f := sample()
	for name, c := range map[string]struct {
		change func(h []byte)
		want   string
	}{
		"another version": {func(h []byte) { h[2] = 9 }, "speaks version 9"},
		"huge payload":    {func(h []byte) { h[15] = 1 }, errTooLong.Error()},
		"negative offset": {func(h []byte) { h[71] |= 0x80 }, errNegative.Error()},
	} {
		h := f.appendHeader(nil)
		c.change(h)
		if _, _, _, err := decodeHeader(seal(h)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFrameLimits(t *testing.T) {
	for _, f := range []Frame{{Offset: -1}, {Length: -1}, {Length: MaxLength + 1}, {Payload: make([]byte, MaxPayload+1)}} {
		if err := f.check(); array.KindOf(err) != array.Invalid {
			t.Errorf("offset %d, length %d, payload %d: %v", f.Offset, f.Length, len(f.Payload), err)
		}
	}
}

func FuzzDecodeHeader(f *testing.F) {
	s := sample()
	f.Add(s.appendHeader(nil))
	f.Add(make([]byte, HeaderSize))
	f.Fuzz(func(t *testing.T, h []byte) {
		if len(h) < HeaderSize {
			return
		}
		h = h[:HeaderSize]
		got, size, sum, err := decodeHeader(h)
		if err != nil {
			return
		}
		if got.check() != nil || size > MaxPayload {
			t.Fatalf("took a frame that could not be sent: %+v, %d", got, size)
		}
		again := got.appendHeader(nil)
		// All but the payload's length and the two checksums, which need the payload.
		if !bytes.Equal(again[:12], h[:12]) || !bytes.Equal(again[16:88], h[16:88]) {
			t.Errorf("%x reads and writes as %x (sum %x)", h, again, sum)
		}
	})
}

func FuzzReadGreeting(f *testing.F) {
	frame := func(t Type, p []byte) []byte {
		var b bytes.Buffer
		if err := writeGreeting(&b, t, p); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	h := &hello{self: Self{System: 5, Start: array.StartID{Count: 1, Nonce: 2}, Name: "alpha"}, link: "1", slot: 2}
	f.Add(frame(typeHello, h.encode()))
	f.Add(frame(typeRefuse, []byte("no")))
	f.Add(frame(typeHello, nil))
	f.Add(frame(99, nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := readGreeting(bytes.NewReader(raw))
		if err == nil && !bytes.Contains(raw, h.encode()) {
			t.Errorf("%x read as %+v", raw, h)
		}
	})
}

func FuzzDecodeHello(f *testing.F) {
	h := &hello{self: Self{System: 5, Name: "alpha"}, link: "1", slot: 2}
	f.Add(h.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := decodeHello(raw)
		switch {
		case err != nil && !errors.Is(err, errHello):
			t.Errorf("error %v", err)
		case err == nil && !bytes.Equal(h.encode(), raw):
			t.Errorf("%x reads and writes as %x", raw, h.encode())
		}
	})
}
