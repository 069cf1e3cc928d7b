// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
)

// A reference is what the journal keeps of a payload that is outside: the pool's id, the
// lengths of the parts before and behind the pages, the first page's number and how many
// there are, those parts, and for each page its unit and checksums. The record's own
// checksum covers it.

// poolID names a pool, whatever it is called in the configuration.
type poolID [16]byte

const (
	idKey = "id"
	// refHeader is a reference's fixed part, refPage what it has for each page.
	refHeader = 16 + 4 + 4 + 8 + 4
	refPage   = 8 + 4*pageUnits
	// noUnit is the unit of a page of zeros.
	noUnit = ^uint64(0)
)

// name gives the pool its id, when it is made or opened by the first program that knows
// of ids.
func (p *Pool) name() error {
	err := p.db.View(p.readName)
	if err != nil || p.id != (poolID{}) {
		return err
	}
	if _, err := rand.Read(p.id[:]); err != nil {
		return err
	}
	return p.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(metaBucket)).Put([]byte(idKey), p.id[:])
	})
}

// readName reads the id; a pool without one has no outside payloads.
func (p *Pool) readName(tx *bolt.Tx) error {
	copy(p.id[:], tx.Bucket([]byte(metaBucket)).Get([]byte(idKey)))
	return nil
}

// HasOutside reports whether a reference is to this pool.
func (p *Pool) HasOutside(ref []byte) bool {
	return len(ref) >= len(p.id) && bytes.Equal(ref[:len(p.id)], p.id[:])
}

func (p *Pool) encodeOutside(w *whereabouts) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, refHeader+len(w.head)+len(w.tail)+len(w.pages)*refPage)
	b = append(b, p.id[:]...)
	b = le.AppendUint32(b, uint32(len(w.head)))
	b = le.AppendUint32(b, uint32(len(w.tail)))
	b = le.AppendUint64(b, uint64(w.first))
	b = le.AppendUint32(b, uint32(len(w.pages)))
	b = append(append(b, w.head...), w.tail...)
	for i := range w.pages {
		e := &w.pages[i]
		unit := noUnit
		if e.kind == stored {
			unit = uint64(e.addr)
		}
		b = le.AppendUint64(b, unit)
		for _, c := range e.crc {
			b = le.AppendUint32(b, c)
		}
	}
	return b
}

// decodeOutside reads a reference, which may be damaged or another pool's.
func (p *Pool) decodeOutside(b []byte) (*whereabouts, error) {
	le := binary.LittleEndian
	if !p.HasOutside(b) || len(b) < refHeader {
		return nil, errNoReference
	}
	head, tail, pages := int64(le.Uint32(b[16:])), int64(le.Uint32(b[20:])), int64(le.Uint32(b[32:]))
	w := &whereabouts{first: int64(le.Uint64(b[24:]))}
	b = b[refHeader:]
	if head >= block.Page || tail >= block.Page || pages > maxOutside || w.first < 0 || w.first > MaxSize/block.Page ||
		int64(len(b)) != head+tail+pages*refPage {
		return nil, errNoReference
	}
	w.head, w.tail, b = b[:head], b[head:head+tail], b[head+tail:]
	w.pages = make([]entry, pages)
	for i := range w.pages {
		at := b[i*refPage:]
		unit := le.Uint64(at)
		if unit == noUnit {
			w.pages[i].kind = zeroes
			continue
		}
		if unit >= maxUnits || unit%pageUnits != 0 || (int64(unit)+pageUnits)*unitSize > p.size() {
			return nil, errNoReference
		}
		e := entry{kind: stored, length: block.Page, addr: int64(unit)}
		for u := range e.crc {
			e.crc[u] = le.Uint32(at[8+4*u:])
		}
		w.pages[i] = e
	}
	return w, nil
}

// size returns how far the page file reaches.
func (p *Pool) size() int64 {
	p.growing.Lock()
	defer p.growing.Unlock()
	return p.fileSize
}

// Pools finds what lies outside the journal in any of them. It implements
// journal.Places.
type Pools []*Pool

func (s Pools) of(ref []byte) (*Pool, error) {
	for _, p := range s {
		if p.HasOutside(ref) {
			return p, nil
		}
	}
	return nil, array.Errorf(array.Medium, "%d bytes name pages of a CPG that is not here", len(ref))
}

// Claim implements journal.Places.
func (s Pools) Claim(ref []byte) (journal.Outside, error) {
	p, err := s.of(ref)
	if err != nil {
		return nil, err
	}
	o, err := p.ClaimOutside(ref)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Load implements journal.Places.
func (s Pools) Load(ref, dst []byte) error {
	p, err := s.of(ref)
	if err != nil {
		return err
	}
	return p.LoadOutside(ref, dst)
}

// Check implements journal.Places.
func (s Pools) Check(ref []byte) (bool, error) {
	p, err := s.of(ref)
	if err != nil {
		return false, err
	}
	return p.CheckOutside(ref)
}
