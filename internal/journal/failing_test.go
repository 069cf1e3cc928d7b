// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestErrorsEverywhere gives an error at the first operation of the disk, at the second,
// and so on: an open or the journal fails with words that say what, where and why, and what
// was said to be durable is there afterwards.
func TestErrorsEverywhere(t *testing.T) {
	for _, verb := range []vfs.Verb{vfs.OpOpen, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpAllocate, vfs.OpRename, vfs.OpSyncDir} {
		met := 0
		for n := 0; ; n++ {
			hit := failAt(t, verb, n)
			if !hit {
				break
			}
			met++
		}
		t.Logf("%s: %d times", verb, met)
		if met == 0 {
			t.Errorf("no %s was met", verb)
		}
	}
}

// failAt lets the n-th operation of a kind fail, and reports whether there was one.
func failAt(t *testing.T, verb vfs.Verb, n int) (hit bool) {
	t.Helper()
	disk := vfs.NewInject(vfs.NewMem())
	o := testOptions()
	o.NoPrefill = true // or what is the n-th would be by chance
	failed := make(chan error, 1)
	o.Failed = func(err error) { failed <- err }
	disk.Add(vfs.Rule{Verb: verb, Skip: n, Times: 1, Err: syscall.EIO, Before: func(vfs.Op) { hit = true }})
	var durable array.Place
	err := writeSome(disk, o, failed, &durable)
	disk.Clear()
	if hit && !errors.Is(err, syscall.EIO) {
		t.Fatalf("%s %d failed, and all that is said is %v", verb, n, err)
	}
	if !hit && err != nil {
		t.Fatal(err)
	}
	if err != nil && !strings.Contains(err.Error(), "journal") {
		t.Errorf("%s %d: it is not said that it was the journal: %v", verb, n, err)
	}
	j := mustOpen(t, disk, testOptions())
	_, last, _ := j.Bounds(1)
	if last.Place < durable {
		t.Fatalf("%s %d: place %d was durable, the journal ends at %d", verb, n, durable, last.Place)
	}
	if last.Place > 0 {
		ok(t, j.Read(1, 1, func(r Record) error {
			if got := array.Place(binary.BigEndian.Uint64(r.Payload)); got != r.Pos.Place {
				return fmt.Errorf("place %d has the payload of %d", r.Pos.Place, got)
			}
			return nil
		}))
	}
	ok(t, j.Close())
	return hit
}

// writeSome opens a journal, writes records one by one over several segments and closes it,
// twice; durable is the last that was said to be.
func writeSome(disk vfs.FS, o Options, failed <-chan error, durable *array.Place) error {
	for range 2 {
		told := make(chan array.Place, 64)
		o.Durable = func(ds []Durable) { told <- ds[0].Pos.Place }
		j, err := Open(disk, "j", o)
		if err != nil {
			return err
		}
		if *durable == 0 {
			if err := j.SetBase(1, pos(0)); err != nil {
				return errors.Join(err, j.Close())
			}
		}
		for range 10 {
			place := *durable + 1
			r := rec(1, place, 6<<10)
			binary.BigEndian.PutUint64(r.Payload, uint64(place))
			if err := j.Append(r); err != nil {
				return errors.Join(err, j.Close())
			}
			select {
			case *durable = <-told:
			case err := <-failed:
				return errors.Join(err, j.Close())
			}
		}
		if err := j.Close(); err != nil {
			return err
		}
	}
	return nil
}

// TestForeignAndLaterFiles: files that are not this journal's, or of a later program, are
// refused with words, and left as they are.
func TestForeignAndLaterFiles(t *testing.T) {
	later := format{segmentSize: 1 << 20, ready: true}.encode()
	binary.LittleEndian.PutUint32(later[4:], formatVersion+1)
	reseal(later, 44)
	for name, c := range map[string]struct {
		file  string
		spoil func(b []byte) []byte
		words string
	}{
		"a later format":           {formatName, func([]byte) []byte { return later }, "format version 2, this program knows 1"},
		"a foreign format":         {formatName, func(b []byte) []byte { return []byte("#!/bin/sh\n" + strings.Repeat("x", len(b)-10)) }, "not a journal's format file"},
		"a format that is cut off": {formatName, func(b []byte) []byte { return b[:20] }, "not a journal's format file"},
		"an empty format":          {formatName, func([]byte) []byte { return nil }, "not a journal's format file"},
	} {
		disk := vfs.NewMem()
		j := mustOpen(t, disk, testOptions())
		ok(t, j.SetBase(1, pos(0)))
		ok(t, j.Append(rec(1, 1, 8)))
		j.waitFor(1, 1)
		ok(t, j.Close())
		was := replace(t, disk, "j/"+c.file, c.spoil)
		_, err := Open(disk, "j", testOptions())
		if err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "open journal j") {
			t.Errorf("%s: %v", name, err)
		}
		replace(t, disk, "j/"+c.file, func([]byte) []byte { return was })
		j = mustOpen(t, disk, testOptions())
		if _, last, _ := j.Bounds(1); last.Place != 1 {
			t.Errorf("%s: with its own file again the journal ends at %d", name, last.Place)
		}
		ok(t, j.Close())
	}
}

// reseal gives a format file that was changed its checksum.
func reseal(b []byte, at int) {
	binary.LittleEndian.PutUint32(b[at:], block.Checksum(b[:at]))
}

// replace replaces a file's content and returns what it was.
func replace(t *testing.T, disk vfs.FS, name string, with func([]byte) []byte) []byte {
	t.Helper()
	f, err := disk.Open(name, vfs.ReadOnly)
	ok(t, err)
	size, err := f.Size()
	ok(t, err)
	was := make([]byte, size)
	if _, err := f.ReadAt(was, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	ok(t, f.Close())
	ok(t, disk.Remove(name))
	f, err = disk.Open(name, vfs.Create)
	ok(t, err)
	_, err = f.WriteAt(with(bytes.Clone(was)), 0)
	ok(t, err)
	ok(t, f.Sync())
	ok(t, f.Close())
	return was
}
