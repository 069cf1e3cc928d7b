// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
)

func TestWriteDurable(t *testing.T) {
	each(t, func(t *testing.T, fs FS) {
		f := must(fs.Open("f", Create|Direct))(t)
		defer f.Close()
		ok(t, f.Allocate(8*Align))
		b, got := NewBuffer(3*Align), NewBuffer(3*Align)
		for i := range b {
			b[i] = byte(1 + i%251)
		}
		ok(t, WriteDurable(f, b, 2*Align))
		if _, err := f.ReadAt(got, 2*Align); err != nil || !bytes.Equal(got, b) {
			t.Error("something else was written:", err)
		}
		if WriteDurable(f, b, 100) == nil || WriteDurable(f, b[:100], 0) == nil {
			t.Error("what is not aligned was written")
		}
	})
}

func TestWriteDurableOutlastsPower(t *testing.T) {
	disk := NewMem()
	f := must(disk.Open("f", Create))(t)
	ok(t, disk.SyncDir("."))
	ok(t, WriteDurable(f, []byte("kept"), 0))
	got := make([]byte, 4)
	left := must(disk.CrashClone(rand.New(rand.NewPCG(1, 2)), 0).Open("f", ReadOnly))(t)
	if _, err := left.ReadAt(got, 0); err != nil || string(got) != "kept" {
		t.Errorf("after a power cut there is %q, %v", got, err)
	}
}

// TestInjectReachesDurableWrites: tests that make writes and flushes fail mean these too.
func TestInjectReachesDurableWrites(t *testing.T) {
	for _, verb := range []Verb{OpWrite, OpSync} {
		disk := NewInject(NewMem())
		f := must(disk.Open("f", Create))(t)
		disk.Add(Rule{Verb: verb, Match: "f", Err: syscall.EIO})
		if err := WriteDurable(f, []byte("x"), 0); !errors.Is(err, syscall.EIO) {
			t.Errorf("a durable write whose %v fails: %v", verb, err)
		}
	}
}
