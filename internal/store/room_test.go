// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRoomOnTheDisk: what is written next has room, however little the disk has left.
func TestRoomOnTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	onDisk := func() int64 {
		t.Helper()
		i, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return i.Sys().(*syscall.Stat_t).Blocks * 512
	}
	texts := Bucket[string]{Name: "texts"}
	for round := range 2 {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := onDisk(); n < leastRoom {
			t.Errorf("an open store has %d bytes of the disk, want %d", n, leastRoom)
		}
		value := strings.Repeat("x", 100<<10)
		for i := range 64 {
			item, err := texts.Item(fmt.Sprint(round, i), value)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Batch(item); err != nil {
				t.Fatal(err)
			}
		}
		used := int64(round+1) * 64 * 100 << 10
		if n := onDisk(); n < used*3/2 {
			t.Errorf("a store of %d bytes has %d of the disk", used, n)
		}
		if err := s.View(func(tx *Tx) error {
			v, ok, err := texts.Get(tx, fmt.Sprint(round, 63))
			if err != nil || !ok || v != value {
				return fmt.Errorf("it holds %d bytes, %v, %v", len(v), ok, err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
