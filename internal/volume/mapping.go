// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

const (
	// mapFormat 3 has split pages; a map of format 2 becomes one of 3 when it is opened.
	mapFormat, oldFormat = 3, 2
	// leafPages is how many pages one value of the map describes.
	leafPages = 64
	leafSize  = leafPages * entrySize
	// splitLeafSize is that of a leaf with split pages: where their parts lie follows the
	// entries.
	splitLeafSize = leafSize + leafPages*partsSize
)

// The buckets of the map. Keys are big endian, so that they sort.
type bucket string

const (
	metaBucket   bucket = "meta"   // "format" -> number
	volumeBucket bucket = "volume" // VolumeID -> VolumeSpec
	usageBucket  bucket = "usage"  // VolumeID -> usage
	groupBucket  bucket = "group"  // GroupID -> groupRecord
	pageBucket   bucket = "page"   // VolumeID, leaf -> leafPages entries
	shadowBucket bucket = "shadow" // the same, of a resync under way
	unitBucket   bucket = "unit"   // chunk -> bits of used units
	sharedBucket bucket = "shared" // address -> how many entries more than one have it
	hashBucket   bucket = "hash"   // content's fingerprint -> entry
	hashedBucket bucket = "hashed" // address -> content's fingerprint
)

var buckets = [...]bucket{
	metaBucket, volumeBucket, usageBucket, groupBucket, pageBucket, shadowBucket, unitBucket, sharedBucket, hashBucket, hashedBucket,
}

// groupRecord is what the map knows of a group.
type groupRecord struct {
	Destaged array.Place
	State    resyncState
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func leafKey(v array.VolumeID, leaf int64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(uint64(v)), uint64(leaf))
}

// leafOf returns the volume and number of a leaf's key.
func leafOf(key []byte) (array.VolumeID, int64, error) {
	if len(key) != 16 {
		return 0, 0, fmt.Errorf("map has a page key of %d bytes", len(key))
	}
	return array.VolumeID(binary.BigEndian.Uint64(key)), int64(binary.BigEndian.Uint64(key[8:])), nil
}

// lookup returns the entry of a page in a bucket, of the volume alone.
func lookup(tx *bolt.Tx, in bucket, v array.VolumeID, page int64) (entry, error) {
	key := leafKey(v, page/leafPages)
	b := tx.Bucket([]byte(in)).Get(key)
	if b == nil {
		return entry{}, nil
	}
	b, err := unsealLeaf(in, key, b)
	if err != nil {
		return entry{}, err
	}
	e := leafEntry(b, page%leafPages)
	if err := e.sound(); err != nil {
		return e, fmt.Errorf("volume %s page %d: %w", v, page, err)
	}
	return e, nil
}

// unseal returns a value of the map, of size bytes if that isn't 0.
func unseal(in bucket, key, b []byte, size int) ([]byte, error) {
	b, err := store.Unseal(string(in), key, b)
	if err == nil && size != 0 && len(b) != size {
		err = array.Errorf(array.Medium, "the value of %s %x has %d bytes", in, key, len(b))
	}
	return b, err
}

// unsealLeaf returns a leaf, with parts or without.
func unsealLeaf(in bucket, key, b []byte) ([]byte, error) {
	b, err := unseal(in, key, b, 0)
	if err == nil && len(b) != leafSize && len(b) != splitLeafSize {
		err = array.Errorf(array.Medium, "the value of %s %x has %d bytes", in, key, len(b))
	}
	return b, err
}

// leafEntry returns an entry of a leaf.
func leafEntry(b []byte, i int64) entry {
	e := decodeEntry(b[i*entrySize:])
	if len(b) == splitLeafSize {
		e.decodeParts(b[leafSize+i*partsSize:])
	} else if e.split {
		e.kind, e.length = stored, 0 // which is not sound
	}
	return e
}

// encodeLeaf returns a leaf's value, nil if it says nothing.
func encodeLeaf(entries *[leafPages]entry) []byte {
	empty, size := true, leafSize
	for i := range entries {
		empty = empty && entries[i].kind == nothing
		if entries[i].split {
			size = splitLeafSize
		}
	}
	if empty {
		return nil
	}
	b := make([]byte, size)
	for i := range entries {
		entries[i].encode(b[i*entrySize:])
		if entries[i].split {
			entries[i].encodeParts(b[leafSize+i*partsSize:])
		}
	}
	return b
}

// get returns a value of the map, nil if there is none.
func get(tx *bolt.Tx, in bucket, key []byte, size int) ([]byte, error) {
	b := tx.Bucket([]byte(in)).Get(key)
	if b == nil {
		return nil, nil
	}
	return unseal(in, key, b, size)
}

// put sets a value of the map.
func put(tx *bolt.Tx, in bucket, key, value []byte) error {
	return tx.Bucket([]byte(in)).Put(key, store.Seal(string(in), key, value))
}

// eachEntry calls fn for the volume's own entries of pages from start to end, in order,
// until it returns false.
func eachEntry(tx *bolt.Tx, in bucket, v array.VolumeID, start, end int64, fn func(int64, entry) bool) error {
	c := tx.Bucket([]byte(in)).Cursor()
	for k, b := c.Seek(leafKey(v, start/leafPages)); k != nil; k, b = c.Next() {
		id, leaf, err := leafOf(k)
		if err != nil || id != v || leaf*leafPages >= end {
			return err
		}
		if b, err = unsealLeaf(in, k, b); err != nil {
			return err
		}
		for i := range int64(leafPages) {
			page := leaf*leafPages + i
			if page < start || page >= end {
				continue
			}
			e := leafEntry(b, i)
			if e.kind != nothing && !fn(page, e) {
				return nil
			}
		}
	}
	return nil
}

// prepareMap makes the buckets and refuses a map of another format.
func (p *Pool) prepareMap(tx *bolt.Tx) error {
	format := uint64(mapFormat)
	if p.o.Former {
		format = oldFormat
	}
	if name, _ := tx.Cursor().First(); name != nil {
		if err := checkFormat(tx); err != nil {
			return err
		}
		if v := tx.Bucket([]byte(metaBucket)).Get([]byte("format")); p.o.Former && binary.BigEndian.Uint64(v) != oldFormat {
			return array.Errorf(array.Medium, "the map of pages has format %x, this program knows %d", v, oldFormat)
		}
		return tx.Bucket([]byte(metaBucket)).Put([]byte("format"), numberKey(format))
	}
	for _, b := range buckets {
		if _, err := tx.CreateBucket([]byte(b)); err != nil {
			return err
		}
	}
	return tx.Bucket([]byte(metaBucket)).Put([]byte("format"), numberKey(format))
}

// checkFormat refuses a map of another format, and what is no map.
func checkFormat(tx *bolt.Tx) error {
	if meta := tx.Bucket([]byte(metaBucket)); meta != nil {
		v := meta.Get([]byte("format"))
		if len(v) != 8 || binary.BigEndian.Uint64(v) != mapFormat && binary.BigEndian.Uint64(v) != oldFormat {
			return array.Errorf(array.Medium, "the map of pages has format %x, this program knows %d and %d", v, oldFormat, mapFormat)
		}
	}
	for _, b := range buckets {
		if tx.Bucket([]byte(b)) == nil {
			return array.Errorf(array.Medium, "it is no map of pages, or a damaged one: it has no bucket %q", b)
		}
	}
	return nil
}

func putJSON(tx *bolt.Tx, in bucket, key uint64, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return put(tx, in, numberKey(key), b)
}
