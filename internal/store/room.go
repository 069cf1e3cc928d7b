// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// Room is what a file of the library below has of the disk for itself, beyond what it
// uses: a commit that finds the disk full leaves behind nobody knows what. Others must
// not be able to take it. The zero value is for a file that has none yet.
type Room struct {
	mu   sync.Mutex
	have int64
}

// leastRoom is the least that is had beyond what is used, in bytes. It is more than any
// one transaction here writes.
const leastRoom = 4 << 20

// Make sees to it that the file in path, of which used bytes are in use, can grow by a
// transaction or two. It fails with the kind Full if the disk has no room for that; what
// is had by then is for those who remove things.
func (r *Room) Make(path string, used int64) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	spare := max(leastRoom, used/8)
	if r.have >= used+spare {
		return nil
	}
	for _, more := range []int64{2 * spare, spare, spare / 2} {
		if err = vfs.SetAside(path, used+more); err == nil {
			r.have = used + more
			return nil
		}
	}
	if errors.Is(err, unix.ENOSPC) {
		return &array.Error{Kind: array.Full, Text: fmt.Sprintf("no room to grow %s beyond %d MiB", path, used>>20), Err: err}
	}
	return err
}

// makeRoom keeps room for the next change. A disk that is full already has none to
// give: it is tried again then.
func (s *Store) makeRoom() {
	var used int64
	if s.db.View(func(tx *bolt.Tx) error { used = tx.Size(); return nil }) == nil {
		_ = s.room.Make(s.db.Path(), used)
	}
}
