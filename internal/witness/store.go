// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/vfs"
)

const (
	storeFile = "witness.db"
	// DefaultPerPair is how many registers two owners may have together.
	DefaultPerPair = 4096
)

// The buckets: registers by key, and how many of them each pair of owners has.
const (
	bucketRegisters = "registers"
	bucketPairs     = "pairs"
)

// errUnchanged rolls back a transaction that has nothing to write.
var errUnchanged = errors.New("unchanged")

// A Store keeps registers in a bbolt file.
type Store struct {
	db      *bbolt.DB
	perPair int
	removed uint64 // see transaction; of the one who changes the database
	broken  atomic.Pointer[error]
	failed  chan struct{} // closed when broken is set
}

// OpenStore opens or creates the store in dir. perPair limits the registers that
// two owners may create, 0 means DefaultPerPair.
func OpenStore(dir string, perPair int) (*Store, error) {
	if perPair <= 0 {
		perPair = DefaultPerPair
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open witness store: %w", err)
	}
	path := filepath.Join(dir, storeFile)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open witness store %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open witness store %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{bucketRegisters, bucketPairs} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare witness store %s: %w", path, err), db.Close())
	}
	// A register that can't be written because others filled the disk would end the
	// witness. A disk that is full already has no room to give, and may do for long.
	_ = vfs.SetAside(path, room)
	return &Store{db: db, perPair: perPair, failed: make(chan struct{})}, nil
}

// room is what the file has of the disk for itself, in bytes: enough for some 10,000
// registers.
const room = 8 << 20

// Close waits for requests in progress and closes the store.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close witness store: %w", err)
	}
	return nil
}

// Broken returns why the store answers nothing any more, nil while it does.
func (s *Store) Broken() error {
	if p := s.broken.Load(); p != nil {
		return *p
	}
	return nil
}

// Read returns the registers that the caller owns, in the order of keys.
func (s *Store) Read(caller pki.Pin, keys []string) ([]Register, error) {
	if err := s.Broken(); err != nil {
		return nil, err
	}
	out := make([]Register, len(keys))
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketRegisters))
		for i, key := range keys {
			out[i] = readRegister(b, caller, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read registers: %w", err)
	}
	return out, nil
}

func readRegister(b *bbolt.Bucket, caller pki.Pin, key string) Register {
	out := Register{Key: key, Result: OK}
	if checkKey(key) != nil {
		out.Result = Invalid
		return out
	}
	r, err := load(b, key)
	switch {
	case err != nil:
		out.Result = Damaged
	case r == nil:
	case !r.owners.has(caller):
		out.Result = Denied
	default:
		out.Version, out.Owners, out.Value = r.version, r.owners, r.value
	}
	return out
}

// load returns a register, nil if there is none.
func load(b *bbolt.Bucket, key string) (*record, error) {
	raw := b.Get([]byte(key))
	if raw == nil {
		return nil, nil
	}
	return decodeRecord(key, raw)
}

// Swap carries out the swaps in order, in one durable transaction. known says
// whether a key belongs to a client, which owners of new registers must.
func (s *Store) Swap(caller pki.Pin, swaps []Swap, known func(pki.Pin) bool) ([]Outcome, error) {
	if err := s.Broken(); err != nil {
		return nil, err
	}
	out := make([]Outcome, len(swaps))
	err := s.db.Update(func(tx *bbolt.Tx) error {
		t := &transaction{
			registers: tx.Bucket([]byte(bucketRegisters)), pairs: tx.Bucket([]byte(bucketPairs)),
			caller: caller, known: known, perPair: s.perPair, removed: &s.removed,
		}
		for i := range swaps {
			var err error
			if out[i], err = t.swap(&swaps[i]); err != nil {
				return err
			}
		}
		if !t.changed {
			return errUnchanged
		}
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		err = fmt.Errorf("commit to witness store: %w; it answers nothing until the daemon is started again", err)
		if s.broken.CompareAndSwap(nil, &err) {
			close(s.failed)
		}
		return nil, err
	}
	return out, nil
}

// Count returns the number of registers.
func (s *Store) Count() (n int, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketPairs)).ForEach(func(_, v []byte) error {
			n += countOf(v)
			return nil
		})
	})
	return n, err
}

func countOf(v []byte) int {
	if len(v) != 4 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(v))
}

func pairKey(o Owners) []byte { return bytes.Join([][]byte{o[0][:], o[1][:]}, nil) }
