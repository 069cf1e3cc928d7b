// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"bytes"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/journal"
)

// TestPacketForms: a record's data arrive the same whether they were sent from
// memory or, filling the other array, from the journal, and whatever buffer the
// link put them into.
func TestPacketForms(t *testing.T) {
	pool := block.NewPool(1 << 20)
	data := bytes.Repeat([]byte{7}, 4096)
	for _, c := range []struct {
		name  string
		buf   bool
		epoch array.Epoch
	}{{"from memory", true, 3}, {"from the journal", false, 3}, {"of an older epoch", true, 4}} {
		p := group.Packet{
			Type: group.PacketRecord, Group: 1, Epoch: c.epoch, Pos: array.Position{Epoch: 3, Term: 2, Place: 9}, Owner: 1,
			Kind: journal.Data, Volume: 5, Offset: 8192, Length: 4096, Commit: 8, Held: 7,
		}
		p.Tag[15] = 9
		if c.buf {
			b, _ := pool.Get(len(data))
			copy(b.Bytes(), data)
			p.Buf = b
		} else {
			p.Body = data
		}
		f := frameOf(p)
		in, _ := pool.Get(len(f.Payload))
		copy(in.Bytes(), f.Payload)
		f.Buf, f.Payload = in, in.Bytes()
		q := packetOf(f)
		got := q.Body
		if q.Buf != nil {
			got = q.Buf.Bytes()
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes arrived", c.name, len(got))
		}
		if q.Epoch != c.epoch || q.Held != 7 || q.Pos != p.Pos || q.Owner != 1 || q.Commit != 8 || q.Kind != journal.Data || q.Tag[15] != 9 {
			t.Errorf("%s: %+v", c.name, q)
		}
	}
}
