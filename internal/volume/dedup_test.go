// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// alike returns a page with the fingerprint of another: what differs is a multiple of the
// checksum's polynomial, as it stands in the bytes, with the highest power first.
func alike(page []byte) []byte {
	b := bytes.Clone(page)
	poly := uint64(crc32.Castagnoli)<<1 | 1 // reversed: bit 0 is the highest power
	for i := range 33 {
		b[100+i/8] ^= byte(poly>>i&1) << (i % 8)
	}
	return b
}

func dedupPool(t *testing.T) (*Pool, *Volume) {
	p, _ := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<20)
	v, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: 100 * block.Page, Provisioning: Dedup})
	ok(t, err)
	return p, v
}

// TestPagesOfOneFingerprint writes pages that differ and have the same fingerprint, in one
// batch and one after another: neither may be taken for the other.
func TestPagesOfOneFingerprint(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	one := make([]byte, block.Page)
	for i := range one {
		one[i] = byte(rng.Uint32())
	}
	two := alike(one)
	if *fingerprintOf(one) != *fingerprintOf(two) || bytes.Equal(one, two) {
		t.Fatal("the test's pages should differ and have one fingerprint")
	}
	p, v := dedupPool(t)
	place := array.Place(0)
	put := func(page int64, b []byte) {
		place++
		r := data(place, page*block.Page, b)
		r.Volume = 2
		ok(t, v.Apply(r))
	}
	put(0, one)
	put(1, two)
	put(2, one)
	ok(t, p.Flush(1))
	put(3, two)
	ok(t, p.Flush(1))
	put(4, one)
	put(5, two)
	ok(t, p.Flush(1))
	for page, want := range [][]byte{one, two, one, two, one, two} {
		got := make([]byte, block.Page)
		ok(t, v.Read(got, int64(page)*block.Page))
		if !bytes.Equal(got, want) {
			t.Errorf("page %d reads as another of the same fingerprint", page)
		}
	}
	ok(t, check(p))
	for page := range int64(6) {
		place++
		r := zeros(place, page*block.Page, block.Page)
		r.Volume = 2
		ok(t, v.Apply(r))
	}
	ok(t, p.Flush(1))
	ok(t, check(p))
	if used := p.Capacity().Used; used != 0 {
		t.Errorf("%d bytes are used of nothing", used)
	}
}

// TestFormerFingerprints has a map whose fingerprints are as long as they were once: they
// go with the pages that they name, and nothing is left of them.
func TestFormerFingerprints(t *testing.T) {
	p, v := dedupPool(t)
	r := data(1, 0, page(7))
	r.Volume = 2
	ok(t, v.Apply(r))
	ok(t, p.Flush(1))
	former := bytes.Repeat([]byte{0xab}, oldFingerprint)
	ok(t, p.db.Update(func(tx *bolt.Tx) error {
		now := fingerprintOf(page(7))[:]
		b, err := get(tx, hashBucket, now, entrySize)
		if err != nil {
			return err
		}
		e := decodeEntry(b)
		ok(t, put(tx, hashBucket, former, bytes.Clone(b)))
		ok(t, put(tx, hashedBucket, numberKey(uint64(e.addr)), former))
		return tx.Bucket([]byte(hashBucket)).Delete(now)
	}))
	ok(t, check(p))
	r = data(2, 5*block.Page, page(7))
	r.Volume = 2
	ok(t, v.Apply(r)) // found no more, and stored on its own
	r = data(3, 0, page(8))
	r.Volume = 2
	ok(t, v.Apply(r))
	ok(t, p.Flush(1))
	ok(t, check(p))
	ok(t, p.db.View(func(tx *bolt.Tx) error {
		if tx.Bucket([]byte(hashBucket)).Get(former) != nil {
			t.Error("a former fingerprint leads to units that are free")
		}
		return nil
	}))
}
