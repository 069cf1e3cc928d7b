// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// fingerprint is by what pages with the same content are found: the checksums of a page's
// blocks, which are needed anyway. What is found is compared, so that nobody's data depend
// on it: two pages with one fingerprint are only stored twice.
type fingerprint [4 * pageUnits]byte

// oldFingerprint is how long those in maps of earlier programs are. They find nothing any
// more, and go with the pages that they name.
const oldFingerprint = 32

func fingerprintOf(page []byte) *fingerprint {
	f := new(fingerprint)
	for u := range pageUnits {
		binary.BigEndian.PutUint32(f[4*u:], blockSum(page[u*unitSize:(u+1)*unitSize]))
	}
	return f
}

// sums returns the checksums of the page's blocks.
func (f *fingerprint) sums() (crc [pageUnits]uint32) {
	for u := range crc {
		crc[u] = binary.BigEndian.Uint32(f[4*u:])
	}
	return crc
}

// findSame looks for stored pages with the changes' contents, and for earlier changes of the
// same batch with them. p.single is held.
func (p *Pool) findSame(changes []change) error {
	found := make([]entry, len(changes))
	seen := map[fingerprint]*change{}
	err := p.db.View(func(tx *bolt.Tx) error {
		for i := range changes {
			c := &changes[i]
			if c.print == nil {
				continue
			}
			if first := seen[*c.print]; first != nil && bytes.Equal(first.data, c.data) {
				c.same = first
				continue
			}
			seen[*c.print] = c
			b, err := get(tx, hashBucket, c.print[:], entrySize)
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
			found[i] = decodeEntry(b)
			if err := found[i].sound(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the same content: %w", err)
	}
	p.compare(changes, found)
	return nil
}

// compare compares the changes with what was found for them, several at a time, and has
// them share what is the same. What was damaged is not spread.
func (p *Pool) compare(changes []change, found []entry) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, p.o.AtOnce)
	for i := range found {
		if found[i].kind != stored {
			continue
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			c, e := &changes[i], found[i]
			page := p.scratchPage()
			defer p.scratch.Put(page)
			if p.readPart(*page, 0, &e) != nil || !bytes.Equal(*page, c.data) {
				return
			}
			e.birth = c.e.birth
			c.e, c.shared = e, true
		})
	}
	wg.Wait()
}

// getPrint returns the fingerprint under which the units at an address are found, nil if
// there is none.
func getPrint(tx *bolt.Tx, addr int64) ([]byte, error) {
	f, err := get(tx, hashedBucket, numberKey(uint64(addr)), 0)
	if err == nil && f != nil && len(f) != len(fingerprint{}) && len(f) != oldFingerprint {
		err = array.Errorf(array.Medium, "the fingerprint of what is in unit %d has %d bytes", addr, len(f))
	}
	return f, err
}

// keepPrint lets later pages with the same content find this one, in place of an older
// one that was of no use.
func (e *edit) keepPrint(f fingerprint, x entry) error {
	x.birth = 0
	b := make([]byte, entrySize)
	x.encode(b)
	old, err := get(e.tx, hashBucket, f[:], entrySize)
	if err != nil {
		return err
	}
	if old != nil {
		was := decodeEntry(old)
		if err := e.tx.Bucket([]byte(hashedBucket)).Delete(numberKey(uint64(was.addr))); err != nil {
			return err
		}
	}
	if err := put(e.tx, hashBucket, f[:], b); err != nil {
		return err
	}
	return put(e.tx, hashedBucket, numberKey(uint64(x.addr)), f[:])
}

// forgetPrint lets nobody find units that are free.
func (e *edit) forgetPrint(addr int64) error {
	f, err := getPrint(e.tx, addr)
	if err != nil || f == nil {
		return err
	}
	if err := e.tx.Bucket([]byte(hashBucket)).Delete(bytes.Clone(f)); err != nil {
		return err
	}
	return e.tx.Bucket([]byte(hashedBucket)).Delete(numberKey(uint64(addr)))
}

// isZero compares the bytes with themselves, one further: all are equal to the
// first.
func isZero(b []byte) bool { return allZero(b[:block.Page]) }

func allZero(b []byte) bool { return b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }
