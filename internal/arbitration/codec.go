// SPDX-License-Identifier: Apache-2.0

package arbitration

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/perdure/perdure/internal/array"
)

// ErrCorrupt says that bytes are not what was encoded.
var ErrCorrupt = errors.New("arbitration state is corrupt or of an unknown version")

const codecVersion = 1

func (r Record) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, r.ID)
	b = binary.BigEndian.AppendUint64(b, r.Base)
	b = binary.BigEndian.AppendUint32(b, r.Lineage)
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Epoch))
	b = append(b, byte(r.Members), byte(r.Opener), byte(r.Rule), byte(r.Proposer))
	return binary.BigEndian.AppendUint64(b, r.Incarnation)
}

// reader takes fields off the front; short input sets bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.bad = true
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u8() byte    { return r.take(1)[0] }

func (r *reader) record() Record {
	x := Record{ID: r.u64(), Base: r.u64(), Lineage: r.u32(), Seq: r.u64(), Epoch: array.Epoch(r.u64())}
	x.Members, x.Opener, x.Rule, x.Proposer = array.Members(r.u8()), array.Side(r.u8()), Rule(r.u8()), array.Side(r.u8())
	x.Incarnation = r.u64()
	if x != (Record{}) && !x.Valid() {
		r.bad = true
	}
	return x
}

func (v Vote) append(b []byte) []byte {
	return v.Record.append(binary.BigEndian.AppendUint32(b, uint32(v.Ballot)))
}

func (r *reader) vote() Vote { return Vote{Ballot: Ballot(r.u32()), Record: r.record()} }

// seal puts the version before and a checksum behind.
func seal(body []byte) []byte {
	b := append([]byte{codecVersion}, body...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func unseal(b []byte) (*reader, error) {
	if len(b) < 5 || b[0] != codecVersion {
		return nil, ErrCorrupt
	}
	n := len(b) - 4
	if crc32.Checksum(b[:n], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(b[n:]) {
		return nil, ErrCorrupt
	}
	return &reader{b: b[1:n]}, nil
}

func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return ErrCorrupt
	}
	return nil
}

// Marshal encodes s for the store.
func (s Stored) Marshal() []byte {
	b := s.Current.append(nil)
	b = binary.BigEndian.AppendUint32(b, uint32(s.Promised))
	return seal(s.Accepted.append(b))
}

// Learned returns the state after a decided record was told. What was promised for the
// successor of an earlier record binds nobody any more.
func (s Stored) Learned(r Record) Stored {
	if r.newerThan(s.Current) {
		return Stored{Current: r}
	}
	return s
}

// ParseStored decodes what Marshal made.
func ParseStored(b []byte) (Stored, error) {
	r, err := unseal(b)
	if err != nil {
		return Stored{}, err
	}
	s := Stored{Current: r.record(), Promised: Ballot(r.u32()), Accepted: r.vote()}
	if s.Current.ID == 0 {
		r.bad = true
	}
	return s, r.end()
}

// Marshal encodes g as the value of a witness's register.
func (g Register) Marshal() []byte {
	b := g.Base.append(nil)
	b = binary.BigEndian.AppendUint32(b, uint32(g.Promised))
	return seal(g.Accepted.append(b))
}

// ParseRegister decodes a register's value.
func ParseRegister(b []byte) (Register, error) {
	s, err := ParseStored(b)
	return Register{Base: s.Current, Promised: s.Promised, Accepted: s.Accepted}, err
}

// Marshal encodes a message: a kind byte and its fields.
func (m Message) Marshal() []byte {
	var b []byte
	switch {
	case m.State != nil:
		b = m.State.Current.append([]byte{1})
		b = binary.BigEndian.AppendUint64(b, m.State.Witness)
		b = append(b, boolByte(m.State.Voted), boolByte(m.State.Compared), boolByte(m.State.Lacking))
	case m.Ask != nil:
		b = binary.BigEndian.AppendUint64([]byte{2}, m.Ask.Base)
		b = binary.BigEndian.AppendUint32(b, uint32(m.Ask.Ballot))
		b = binary.BigEndian.AppendUint32(b, uint32(m.Ask.Seen))
		b = m.Ask.Record.append(b)
	case m.Answer != nil:
		b = binary.BigEndian.AppendUint64([]byte{3}, m.Answer.Base)
		b = binary.BigEndian.AppendUint32(b, uint32(m.Answer.Ballot))
		b = append(b, boolByte(m.Answer.Granted))
		b = binary.BigEndian.AppendUint32(b, uint32(m.Answer.Promised))
		b = m.Answer.Accepted.append(b)
	}
	return seal(b)
}

// ParseMessage decodes a message of the other array.
func ParseMessage(b []byte) (Message, error) {
	r, err := unseal(b)
	if err != nil {
		return Message{}, err
	}
	var m Message
	switch r.u8() {
	case 1:
		m.State = &PeerState{Current: r.record(), Witness: r.u64(), Voted: r.u8() != 0, Compared: r.u8() != 0, Lacking: r.u8() != 0}
	case 2:
		m.Ask = &Ask{Base: r.u64(), Ballot: Ballot(r.u32()), Seen: Ballot(r.u32()), Record: r.record()}
	case 3:
		m.Answer = &Answer{Base: r.u64(), Ballot: Ballot(r.u32()), Granted: r.u8() != 0, Promised: Ballot(r.u32()), Accepted: r.vote()}
	default:
		r.bad = true
	}
	return m, r.end()
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
