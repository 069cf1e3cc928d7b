// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/perdure/perdure/internal/array"
)

const (
	formatVersion = 1
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
}

// Tx is a transaction. It ends with the function that it was given to.
type Tx struct{ tx *bolt.Tx }

// Open opens the store in the file path, which it makes if there is none.
func Open(path string) (*Store, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, array.Errorf(array.Conflict, "open store %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	if err := db.Update(prepare); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, errors.Join(err, db.Close()))
	}
	return &Store{db: db}, nil
}

// OpenReadOnly opens a store that is there, to look at it.
func OpenReadOnly(path string) (*Store, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: true})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, array.Errorf(array.Conflict, "open store %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	if err := db.View(checkFormat); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, errors.Join(err, db.Close()))
	}
	return &Store{db: db}, nil
}

func prepare(tx *bolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
	if err != nil {
		return err
	}
	if b.Get([]byte(formatKey)) == nil {
		return b.Put([]byte(formatKey), binary.BigEndian.AppendUint64(nil, formatVersion))
	}
	return checkFormat(tx)
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
	return s.db.Update(func(tx *bolt.Tx) error { return fn(&Tx{tx}) })
}

// Check reports what is wrong with the file's structure.
func (s *Store) Check(report func(error)) error {
	return s.db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			report(err)
		}
		return nil
	})
}

// Close closes the store, after those who are in it.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.db.Close()
}
