// SPDX-License-Identifier: Apache-2.0

package group

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/replication"
)

// FuzzSegments: what is taken for the ends of epochs and terms rises, is bounded, and
// is encoded as it came.
func FuzzSegments(f *testing.F) {
	f.Add(encodeSegments([]replication.Segment{{Epoch: 1, Term: 1, Last: 5}, {Epoch: 2, Term: 3, Owner: 1, Last: 9}}))
	f.Add(make([]byte, segmentSize-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := decodeSegments(b)
		if !ok {
			return
		}
		if len(s) > replication.MaxSegments || !bytes.Equal(encodeSegments(s), b) {
			t.Fatalf("%x is taken for %+v", b, s)
		}
		for i := 1; i < len(s); i++ {
			if s[i].Last < s[i-1].Last || s[i].Epoch < s[i-1].Epoch || s[i].Term < s[i-1].Term {
				t.Fatalf("%+v does not rise", s)
			}
		}
	})
}

// FuzzSums: checksums of pages are of the pages asked for, each once, in order.
func FuzzSums(f *testing.F) {
	good := (&sums{list: []sum{{page: 3, birth: 7, crc: 9}, {page: 5, bad: true}}}).encode()
	f.Add(good, int64(0), int64(8), int64(8))
	f.Add(good[:20], int64(4), int64(2), int64(3))
	f.Fuzz(func(t *testing.T, body []byte, from, end, next int64) {
		p := Packet{Length: mendSums, Body: body, Commit: array.Place(block.Checksum(body)), Pos: array.Position{Place: array.Place(next)}}
		s, err := decodeSums(p, from, end)
		if err != nil {
			return
		}
		if len(s.list) > maxSums || s.next > end {
			t.Fatalf("%d pages up to %d, asked for %d to %d", len(s.list), s.next, from, end)
		}
		for i, x := range s.list {
			if x.page < from || x.page >= s.next || i > 0 && x.page <= s.list[i-1].page {
				t.Fatalf("page %d among %d to %d", x.page, from, s.next)
			}
		}
		p.Commit++
		if _, err := decodeSums(p, from, end); err == nil {
			t.Fatal("a wrong checksum was believed")
		}
	})
}

// FuzzNote: an entry of the log is read as it was written, or refused.
func FuzzNote(f *testing.F) {
	f.Add(encodeNote(note{Type: noteSize, Volume: array.MakeVolumeID(1, 2), Size: 1 << 30}))
	f.Add(encodeNote(note{Type: noteRepeat, Repeat: &repeat{}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var n, again note
		if json.Unmarshal(b, &n) != nil {
			return
		}
		once := encodeNote(n)
		if err := json.Unmarshal(once, &again); err != nil || !bytes.Equal(encodeNote(again), once) {
			t.Fatalf("%s came back as %+v (%v)", once, again, err)
		}
	})
}
