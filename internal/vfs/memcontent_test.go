// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestClonesAreApart: a disk and its clones share what is the same, and no change of one of
// them is seen in another.
func TestClonesAreApart(t *testing.T) {
	disk := NewMem()
	f := must(disk.Open("f", Create))(t)
	write := func(f File, off int64, b byte) {
		t.Helper()
		if _, err := f.WriteAt(bytes.Repeat([]byte{b}, 3*chunkSize), off); err != nil {
			t.Fatal(err)
		}
	}
	write(f, 100, 1)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := disk.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	clone := disk.CrashClone(rand.New(rand.NewPCG(1, 1)), 100)
	second := clone.CrashClone(rand.New(rand.NewPCG(1, 1)), 100)
	content := func(m *Mem) []byte {
		b := make([]byte, 4*chunkSize)
		n, _ := must(m.Open("f", ReadOnly))(t).ReadAt(b, 0)
		return b[:n]
	}
	want := content(disk)
	if len(want) != 100+3*chunkSize || !bytes.Equal(content(clone), want) || !bytes.Equal(content(second), want) {
		t.Fatal("a clone is not what it is a clone of")
	}
	write(f, 200, 2)
	if err := clone.Flip("f", 8*chunkSize); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(content(disk), want) || content(clone)[chunkSize] != 0 || !bytes.Equal(content(second), want) {
		t.Error("a change of a disk or of its clone is seen in another one")
	}
	// What a sync makes durable is what was written, and what was flipped stays so.
	if err := disk.Flip("f", 8*100+1); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	now := content(disk)
	if now[100] != 3 || now[200] != 2 || now[199] != 1 {
		t.Errorf("the disk holds %v", now[98:202])
	}
	if left := content(disk.CrashClone(rand.New(rand.NewPCG(1, 1)), 0)); !bytes.Equal(left, now) {
		t.Error("a power cut after a sync changed something")
	}
}
