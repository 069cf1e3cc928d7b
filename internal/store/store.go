// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

const (
	formatVersion = 2
	metaBucket    = "perdure"
	formatKey     = "format"
	// MaxValue bounds an encoded value.
	MaxValue = 1 << 20
	// maxKey bounds a key; bbolt's own limit is 32 KiB.
	maxKey = 1024
	// maxWaiting bounds the values that wait in Batch.
	maxWaiting = 1 << 16
)

// Store is an open configuration store.
type Store struct {
	db *bolt.DB

	mu      sync.Mutex
	waiting []*batch // what the next shared transaction takes
	writing bool     // somebody is at a shared transaction
	closed  bool

	room Room
}

// Tx is a transaction. It ends with the function that it was given to.
type Tx struct{ tx *bolt.Tx }

// State numbers what is seen: it is the same in two transactions if nothing was stored between them.
func (t *Tx) State() uint64 {
	id := uint64(t.tx.ID())
	if t.tx.Writable() { // which has the number of what it will store
		id--
	}
	return id
}

// Open opens the store in the file path, which it makes if there is none.
func Open(path string) (*Store, error) {
	db, err := OpenFile(path, bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	err = Guard(func() error {
		if err := db.Update(prepare); err != nil {
			return err
		}
		return db.View(whole)
	})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, errors.Join(err, db.Close()))
	}
	s := &Store{db: db}
	s.makeRoom()
	return s, nil
}

// OpenReadOnly opens a store that is there, to look at it.
func OpenReadOnly(path string) (*Store, error) {
	db, err := OpenFile(path, bolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	if err := Guard(func() error { return db.View(checkFormat) }); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, errors.Join(err, db.Close()))
	}
	return &Store{db: db}, nil
}

// prepare makes a new store's bucket; one that is there already must be of this format.
func prepare(tx *bolt.Tx) error {
	if name, _ := tx.Cursor().First(); name != nil {
		return checkFormat(tx)
	}
	b, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	return b.Put([]byte(formatKey), binary.BigEndian.AppendUint64(nil, formatVersion))
}

// whole makes sure that every value is what was written, and the file hangs together.
func whole(tx *bolt.Tx) error {
	err := tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if string(name) == metaBucket {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			_, err := Unseal(string(name), k, v)
			return err
		})
	})
	if err != nil {
		return err
	}
	return HangsTogether(tx)
}

// checkFormat refuses a store of another format, and what is no store.
func checkFormat(tx *bolt.Tx) error {
	b := tx.Bucket([]byte(metaBucket))
	if b == nil {
		return array.Errorf(array.Medium, "it is no store of an array")
	}
	v := b.Get([]byte(formatKey))
	if len(v) != 8 || binary.BigEndian.Uint64(v) != formatVersion {
		return array.Errorf(array.Invalid, "the store has format %x, this program knows %d", v, formatVersion)
	}
	return nil
}

// View runs fn on a consistent state of the store.
func (s *Store) View(fn func(*Tx) error) error {
	return s.db.View(func(tx *bolt.Tx) error { return fn(&Tx{tx}) })
}

// Update runs fn and makes what it changed durable, or nothing if it fails.
func (s *Store) Update(fn func(*Tx) error) error {
	if err := s.db.Update(func(tx *bolt.Tx) error { return fn(&Tx{tx}) }); err != nil {
		return err
	}
	s.makeRoom()
	return nil
}

// Check reports what is wrong with the file's structure.
func (s *Store) Check(report func(error)) error {
	err := Guard(func() error { return s.db.View(whole) })
	if err != nil {
		report(err)
	}
	return nil
}

// Close closes the store, after those who are in it.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.db.Close()
}
