// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
)

const aioBlocks = 512

// numbered is a direct file whose blocks say which they are.
func numbered(t *testing.T) *osFile {
	t.Helper()
	file, err := NewOS(t.TempDir()).Open("x", Create|Direct)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuffer(aioBlocks * Align)
	for n := range aioBlocks {
		binary.LittleEndian.PutUint64(b[n*Align:], uint64(n)+1)
		binary.LittleEndian.PutUint64(b[(n+1)*Align-8:], uint64(n)+1)
	}
	if _, err := file.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return file.(*osFile)
}

func checkBlock(f File, b []byte, n int) error {
	if got, err := f.ReadAt(b, int64(n)*Align); err != nil || got != Align {
		return errors.Join(errors.New("short"), err)
	}
	if binary.LittleEndian.Uint64(b) != uint64(n)+1 || binary.LittleEndian.Uint64(b[Align-8:]) != uint64(n)+1 {
		return errors.New("another block")
	}
	return nil
}

// TestManyDirectReads reads with more readers than the queue takes.
func TestManyDirectReads(t *testing.T) {
	f := numbered(t)
	var wg sync.WaitGroup
	for i := range 2 * aioDepth {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			b := NewBuffer(Align)
			for range 40 {
				clear(b)
				if n := rng.IntN(aioBlocks); checkBlock(f, b, n) != nil {
					t.Errorf("block %d: %v", n, checkBlock(f, b, n))
				}
			}
		})
	}
	wg.Wait()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTheQueueReads makes sure that the kernel's queue is what the test above reads
// with, where there is one, and that it refuses what it can't read whole.
func TestTheQueueReads(t *testing.T) {
	q, err := newAIOQueue()
	if err != nil {
		t.Logf("this kernel has no queue: %v; reads are read as usual", err)
		return
	}
	defer q.close()
	f := numbered(t)
	defer f.Close()
	b := NewBuffer(2 * Align)
	for n := range 4 * aioDepth { // each place of the queue is used again
		clear(b)
		if !q.call(iocbRead, f.f.Fd(), b, int64(n%(aioBlocks-1))*Align) {
			t.Fatalf("read %d was refused", n)
		}
		if got := binary.LittleEndian.Uint64(b[Align:]); got != uint64(n%(aioBlocks-1))+2 {
			t.Fatalf("read %d found block %d", n, got)
		}
	}
	if q.call(iocbRead, f.f.Fd(), b, (aioBlocks-1)*Align) {
		t.Error("a read beyond the end passes for whole")
	}
	if q.call(iocbRead, ^uintptr(0)>>33, b, 0) {
		t.Error("a read of no file passes")
	}
}

// TestTheQueueWrites: the same for writes, and of a file that is closed.
func TestTheQueueWrites(t *testing.T) {
	f := numbered(t)
	f.queued.under.Add(1) // as if one were under way
	var wg sync.WaitGroup
	for i := range 2 * aioDepth {
		wg.Go(func() {
			b := NewBuffer(Align)
			for n := i; n < aioBlocks; n += 2 * aioDepth {
				binary.LittleEndian.PutUint64(b, uint64(n)+1)
				binary.LittleEndian.PutUint64(b[Align-8:], uint64(n)+1)
				if got, err := f.WriteAt(b, int64(n)*Align); err != nil || got != Align {
					t.Errorf("block %d: %d, %v", n, got, err)
				}
				clear(b)
				if err := checkBlock(f, b, n); err != nil {
					t.Errorf("block %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(NewBuffer(Align), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("of a closed file: %v", err)
	}
}

// TestReadsBesideOthersEndAsUsual: the end of the file, and a file that is closed.
func TestReadsBesideOthersEndAsUsual(t *testing.T) {
	f := numbered(t)
	f.queued.under.Add(1) // as if one were under way
	b := NewBuffer(2 * Align)
	if n, err := f.ReadAt(b, (aioBlocks-1)*Align); n != Align || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(nil, 0); n != 0 || err != nil {
		t.Errorf("of nothing: %d, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(b, 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("of a closed file: %v", err)
	}
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
}

// TestOneAtATimeNeedsNoQueue: a journal's recovery opens many files.
func TestOneAtATimeNeedsNoQueue(t *testing.T) {
	f := numbered(t)
	defer f.Close()
	b := NewBuffer(Align)
	for n := range aioBlocks {
		if err := checkBlock(f, b, n); err != nil {
			t.Fatal(n, err)
		}
	}
	if f.queued.queue != nil {
		t.Error("a queue was made")
	}
}
