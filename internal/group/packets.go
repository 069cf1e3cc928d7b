// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/replication"
)

func arbPacket(m arb.Message) Packet {
	t := PacketState
	switch {
	case m.Ask != nil:
		t = PacketAsk
	case m.Answer != nil:
		t = PacketAnswer
	}
	return Packet{Type: t, Body: m.Marshal()}
}

func grantPacket(period, record uint64) Packet {
	p := Packet{Type: PacketGrant, Length: int64(period)}
	binary.BigEndian.PutUint64(p.Tag[:8], record)
	return p
}

func (g *Group) recordPacket(r journal.Record, owner array.Side, buf *block.Buffer) Packet {
	p := Packet{
		Type: PacketRecord, Epoch: g.view.Epoch, Pos: r.Pos, Owner: owner, Kind: r.Kind, Volume: r.Volume,
		Offset: r.Offset, Length: r.Length, Commit: g.core.Commit(), Held: g.core.Durable(), Tag: r.Tag, Buf: buf,
	}
	if buf == nil {
		p.Body = r.Payload
	}
	return p
}

const segmentSize = 8 + 8 + 1 + 8

func encodeSegments(s []replication.Segment) []byte {
	b := make([]byte, 0, len(s)*segmentSize)
	for _, x := range s {
		b = binary.BigEndian.AppendUint64(b, uint64(x.Epoch))
		b = binary.BigEndian.AppendUint64(b, uint64(x.Term))
		b = append(b, byte(x.Owner))
		b = binary.BigEndian.AppendUint64(b, uint64(x.Last))
	}
	return b
}

// decodeSegments refuses what is not a rising list.
func decodeSegments(b []byte) ([]replication.Segment, bool) {
	if len(b)%segmentSize != 0 || len(b)/segmentSize > replication.MaxSegments {
		return nil, false
	}
	var s []replication.Segment
	for ; len(b) > 0; b = b[segmentSize:] {
		x := replication.Segment{
			Epoch: array.Epoch(binary.BigEndian.Uint64(b)), Term: array.Term(binary.BigEndian.Uint64(b[8:])),
			Owner: array.Side(b[16]), Last: array.Place(binary.BigEndian.Uint64(b[17:])),
		}
		if n := len(s); x.Owner > 1 || n > 0 && (x.Last < s[n-1].Last || x.Epoch < s[n-1].Epoch || x.Term < s[n-1].Term) {
			return nil, false
		}
		s = append(s, x)
	}
	return s, true
}
