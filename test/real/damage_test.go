// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// TestDamagedJournal changes bytes in the middle of B's journal while B is down. B
// says where, and does not start; A serves on; with the bytes as they were B comes
// back. With a new, empty folder for the journal B is filled again.
func TestDamagedJournal(t *testing.T) {
	w := newSmall(t, 1, "64m").work(1, uint64(time.Now().UnixNano()))
	w.writes(500)
	w.must(w.Array(rig.B).Kill())
	w.alone(rig.A)
	flushes := w.flushes()
	if len(flushes) < 20 {
		t.Fatalf("%d flushes in B's journal", len(flushes))
	}
	for _, d := range []struct {
		what  string
		at    int64 // behind the beginning of a flush
		bytes int
	}{
		{"a bit of a record's header", 60, 1},
		{"a bit of a record's data", 200, 1},
		{"a whole block", 0, 4096},
	} {
		at := flushes[len(flushes)-10]
		at.off += d.at
		before := w.flip(at, d.bytes)
		log := w.failsToStart()
		re := regexp.MustCompile(`open the journal: .*` + regexp.QuoteMeta(filepath.Base(at.file)) + ` is damaged at offset \d+`)
		if !re.MatchString(log) {
			t.Errorf("%s of %s changed at %d: B says\n%s", d.what, filepath.Base(at.file), at.off, log)
		}
		w.put(at, before)
		w.goesOn()
	}
	w.start(rig.B)
	w.judge("the bytes are as they were", true)
	w.toA()

	w.must(w.Array(rig.B).Kill())
	w.alone(rig.A)
	w.must(os.Rename(filepath.Join(w.data(), "journal"), filepath.Join(w.Dir, "damaged")))
	w.start(rig.B)
	w.until(wholeIn, "B to be filled", func() bool {
		if w.serves(rig.B) {
			t.Fatalf("B serves with an empty journal\n%s", w.explain())
		}
		return w.InSync(t.Context(), group)
	})
	w.judge("a new journal", false)
}

// spot is a place in a file.
type spot struct {
	file  string
	off   int64
	count uint64 // the flush's number
}

// flushes finds where the flushes of B's journal begin, in their order.
func (w *work) flushes() (all []spot) {
	w.t.Helper()
	const align, magic = 4096, "PDJ1"
	files, err := filepath.Glob(filepath.Join(w.data(), "journal", "segment-*"))
	w.must(err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		w.must(err)
		for off := align; off+32 <= len(b); off += align {
			if string(b[off:off+4]) == magic && binary.LittleEndian.Uint32(b[off+24:]) == uint32(off) {
				all = append(all, spot{f, int64(off), binary.LittleEndian.Uint64(b[off+16:])})
			}
		}
	}
	slices.SortFunc(all, func(a, b spot) int { return cmp.Compare(a.count, b.count) })
	return all
}

// flip changes bytes and returns what they were.
func (w *work) flip(at spot, n int) []byte {
	w.t.Helper()
	f, err := os.OpenFile(at.file, os.O_RDWR, 0)
	w.must(err)
	defer f.Close()
	was := make([]byte, n)
	_, err = f.ReadAt(was, at.off)
	w.must(err)
	now := bytes.Clone(was)
	for i := range now {
		now[i] ^= 0x10
	}
	_, err = f.WriteAt(now, at.off)
	w.must(err)
	return was
}

// put writes bytes back.
func (w *work) put(at spot, b []byte) {
	w.t.Helper()
	f, err := os.OpenFile(at.file, os.O_RDWR, 0)
	w.must(err)
	defer f.Close()
	_, err = f.WriteAt(b, at.off)
	w.must(err)
}

// failsToStart starts B, which must end, and returns what it wrote.
func (w *work) failsToStart() string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), setUpIn)
	defer cancel()
	p, err := w.Lab.Node(lab.B).Start(filepath.Join(w.Bin, "perdured"), "--config", filepath.Join(w.data(), "perdured.toml"))
	w.must(err)
	if err := p.Wait(ctx); ctx.Err() != nil || err == nil {
		w.t.Fatalf("B ended with %v\n%s", err, p.Log())
	}
	return p.Log()
}

// TestFullDisk lets the disk of an array run full under load: of the one that serves,
// and of the other. Whatever comes of it, it is told, nothing acknowledged is lost,
// and with room again all is well without a person.
func TestFullDisk(t *testing.T) {
	// Journal segments fit, pages don't.
	const room = 9 << 20
	w := newSmall(t, 1, "64m").work(1, uint64(time.Now().UnixNano()))
	for _, i := range []int{rig.A, rig.B} {
		was := w.limit(i, room)
		for _, words := range [][]string{{"CPG cpg0", "file too large"}, {"has had no room", "lets the other array go on"}} {
			w.until(setUpIn, rig.Name(i)+" to say that it has no room", func() bool {
				return lineWith(w.toldBy(t.Context(), i), words) != ""
			})
			t.Logf("said: %s", lineWith(w.toldBy(t.Context(), i), words))
		}
		w.alone(1 - i)
		w.goesOn()
		w.limit(i, was)
		w.judge(rig.Name(i)+" had no room", true)
	}
	w.load.Stop()
}

// limit bounds the size of the files that an array writes, and returns the bound that
// there was.
func (w *work) limit(i int, size uint64) uint64 {
	w.t.Helper()
	var old unix.Rlimit
	w.must(unix.Prlimit(w.Array(i).Pid(), unix.RLIMIT_FSIZE, nil, &old))
	w.must(unix.Prlimit(w.Array(i).Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: old.Max}, nil))
	return old.Cur
}
