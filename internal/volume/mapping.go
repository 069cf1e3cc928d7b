// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/store"
)

const (
	mapFormat = 2
	// blocks is how many checksums a page has, so that a small read need not read
	// the whole page.
	blocks    = 4
	blockSize = block.Page / blocks
	// leafPages is how many pages one value of the map describes.
	leafPages = 64
	entrySize = 28
	leafSize  = leafPages * entrySize
	// chunkSlots is how many slots one value of the allocation map describes.
	chunkSlots = 4096 * 8
)

// entry is what the map knows of a page. A page without a slot reads as zeros, and
// keeps the birth of the write that zeroed it.
type entry struct {
	slot  uint32 // 0 for none, else one more than the slot's number
	crc   [blocks]uint32
	birth array.Place
}

func (e *entry) encode(b []byte) {
	binary.LittleEndian.PutUint32(b, e.slot)
	for i, c := range e.crc {
		binary.LittleEndian.PutUint32(b[4+4*i:], c)
	}
	binary.LittleEndian.PutUint64(b[20:], uint64(e.birth))
}

func decodeEntry(b []byte) entry {
	e := entry{slot: binary.LittleEndian.Uint32(b), birth: array.Place(binary.LittleEndian.Uint64(b[20:]))}
	for i := range e.crc {
		e.crc[i] = binary.LittleEndian.Uint32(b[4+4*i:])
	}
	return e
}

// The buckets of the map. Keys are big endian, so that they sort.
type bucket string

const (
	metaBucket   bucket = "meta"   // "format" -> number
	volumeBucket bucket = "volume" // VolumeID -> VolumeSpec
	groupBucket  bucket = "group"  // GroupID -> groupRecord
	pageBucket   bucket = "page"   // VolumeID, leaf -> leafPages entries
	shadowBucket bucket = "shadow" // the same, of a resync under way
	slotBucket   bucket = "slot"   // chunk -> bits of used slots
)

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

// lookup returns the entry of a page in a bucket.
func lookup(tx *bolt.Tx, in bucket, v array.VolumeID, page int64) (entry, error) {
	key := leafKey(v, page/leafPages)
	b := tx.Bucket([]byte(in)).Get(key)
	if b == nil {
		return entry{}, nil
	}
	b, err := unseal(in, key, b, leafSize)
	if err != nil {
		return entry{}, err
	}
	return decodeEntry(b[page%leafPages*entrySize:]), nil
}

// unseal returns a value of the map, of size bytes if that isn't 0.
func unseal(in bucket, key, b []byte, size int) ([]byte, error) {
	b, err := store.Unseal(string(in), key, b)
	if err == nil && size != 0 && len(b) != size {
		err = array.Errorf(array.Medium, "the value of %s %x has %d bytes", in, key, len(b))
	}
	return b, err
}

// put sets a value of the map.
func put(tx *bolt.Tx, in bucket, key, value []byte) error {
	return tx.Bucket([]byte(in)).Put(key, store.Seal(string(in), key, value))
}

// update changes the entries of pages in one leaf.
func update(tx *bolt.Tx, in bucket, v array.VolumeID, page int64, e entry) error {
	key := leafKey(v, page/leafPages)
	leaf := make([]byte, leafSize)
	old := tx.Bucket([]byte(in)).Get(key)
	if old != nil {
		var err error
		if old, err = unseal(in, key, old, leafSize); err != nil {
			return err
		}
	}
	copy(leaf, old)
	e.encode(leaf[page%leafPages*entrySize:])
	return put(tx, in, key, leaf)
}

// prepareMap makes the buckets of a new map, and refuses what is no map of this format.
func prepareMap(tx *bolt.Tx) error {
	if name, _ := tx.Cursor().First(); name != nil {
		return checkFormat(tx)
	}
	for _, b := range []bucket{metaBucket, volumeBucket, groupBucket, pageBucket, shadowBucket, slotBucket} {
		if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
			return err
		}
	}
	return tx.Bucket([]byte(metaBucket)).Put([]byte("format"), numberKey(mapFormat))
}

// checkFormat refuses a map of another format, and what is no map.
func checkFormat(tx *bolt.Tx) error {
	for _, b := range []bucket{metaBucket, volumeBucket, groupBucket, pageBucket, shadowBucket, slotBucket} {
		if tx.Bucket([]byte(b)) == nil {
			return array.Errorf(array.Medium, "it is no map of pages, or a damaged one: it has no bucket %q", b)
		}
	}
	v := tx.Bucket([]byte(metaBucket)).Get([]byte("format"))
	if len(v) != 8 || binary.BigEndian.Uint64(v) != mapFormat {
		return fmt.Errorf("map has format %x, this program knows %d", v, mapFormat)
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
