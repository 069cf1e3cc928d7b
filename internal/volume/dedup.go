// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/block"
)

// contentHash names the content of a page.
type contentHash [sha256.Size]byte

// findSame looks for a stored page with a change's content, or for an earlier change of
// the same batch with it. p.single is held.
func (p *Pool) findSame(c *change, seen map[contentHash]*change) error {
	h := contentHash(sha256.Sum256(c.data))
	c.hash = &h
	if first := seen[h]; first != nil && bytes.Equal(first.data, c.data) {
		c.same = first
		return nil
	}
	seen[h] = c
	var e entry
	err := p.db.View(func(tx *bolt.Tx) error {
		b, err := get(tx, hashBucket, h[:], entrySize)
		if err != nil || b == nil {
			return err
		}
		e = decodeEntry(b)
		return e.sound()
	})
	if err != nil {
		return fmt.Errorf("look for the same content: %w", err)
	}
	if e.kind != stored {
		return nil
	}
	// The bytes are compared: nobody's data depend on a hash, and what was damaged is
	// not spread.
	page := p.scratchPage()
	defer p.scratch.Put(page)
	if p.readPart(*page, 0, &e) != nil || !bytes.Equal(*page, c.data) {
		return nil
	}
	birth := c.e.birth
	c.e, c.shared = e, true
	c.e.birth = birth
	return nil
}

// keepHash lets later pages with the same content find this one, in place of an older
// one that was of no use.
func (e *edit) keepHash(h contentHash, x entry) error {
	x.birth = 0
	b := make([]byte, entrySize)
	x.encode(b)
	old, err := get(e.tx, hashBucket, h[:], entrySize)
	if err != nil {
		return err
	}
	if old != nil {
		was := decodeEntry(old)
		if err := e.tx.Bucket([]byte(hashedBucket)).Delete(numberKey(uint64(was.addr))); err != nil {
			return err
		}
	}
	if err := put(e.tx, hashBucket, h[:], b); err != nil {
		return err
	}
	return put(e.tx, hashedBucket, numberKey(uint64(x.addr)), h[:])
}

// forgetHash lets nobody find units that are free.
func (e *edit) forgetHash(addr int64) error {
	key := numberKey(uint64(addr))
	h, err := get(e.tx, hashedBucket, key, len(contentHash{}))
	if err != nil || h == nil {
		return err
	}
	if err := e.tx.Bucket([]byte(hashBucket)).Delete(bytes.Clone(h)); err != nil {
		return err
	}
	return e.tx.Bucket([]byte(hashedBucket)).Delete(key)
}

// isZero compares the bytes with themselves, one further: all are equal to the
// first.
func isZero(b []byte) bool { return allZero(b[:block.Page]) }

func allZero(b []byte) bool { return b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }
