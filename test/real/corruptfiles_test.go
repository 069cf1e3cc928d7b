// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

var fileFlips = flag.Int("real.fileflips", 6, "how often TestCorruptFiles damages a file of B")

// refusal is what B's start says of a file that is damaged.
var refusal = regexp.MustCompile(`perdured: open .*(damaged|checksum|invalid|no map|no store|format)`)

// TestCorruptFiles damages B's journal, map and store while B is down. B says so and
// does not start, or what was hit was of no use: then the copy becomes whole. In the end
// B is given new disks as the operators' document says, and is filled again.
func TestCorruptFiles(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	w := newSmall(t, 2, "64m").work(2, seed)
	w.writes(3000)
	w.must(w.Array(rig.B).Kill())
	w.alone(rig.A)
	refused, harmless := 0, 0
	for n := range *fileFlips {
		at := w.anywhere(rng, n)
		size := 1
		if rng.IntN(2) == 0 {
			at.off, size = at.off/4096*4096, 4096
		}
		before := w.flip(at, size)
		if size > 1 {
			w.put(at, make([]byte, size))
		}
		log, runs := w.triesToStart()
		if !runs {
			refused++
			if !refusal.MatchString(log) {
				t.Errorf("%s changed at %d: B says\n%s", at.file, at.off, log)
			}
			w.put(at, before)
			continue
		}
		harmless++
		w.whole()
		w.must(w.Array(rig.B).Kill())
		w.alone(rig.A)
		w.goesOn()
	}
	// The end: what docs/operators.md says to do where the disks of an array are damaged.
	w.flip(spot{file: filepath.Join(w.data(), "cpg0", "map.db")}, 8192)
	if log := w.failsToStart(); !refusal.MatchString(log) {
		t.Errorf("B says\n%s", log)
	}
	aside := filepath.Join(w.Dir, "damaged")
	w.must(os.Mkdir(aside, 0o700))
	for _, name := range []string{"array.db", "journal", "cpg0"} {
		w.must(os.Rename(filepath.Join(w.data(), name), filepath.Join(aside, name)))
	}
	w.start(rig.B)
	w.until(wholeIn, "B to be filled", func() bool {
		if w.serves(rig.B) {
			t.Fatalf("B serves with empty disks\n%s", w.explain())
		}
		return w.InSync(t.Context(), group)
	})
	w.judge("new disks", false)
	if t.Failed() {
		return
	}
	t.Logf("files: %d flips, 0 served, 0 undetected, %d refused at start, %d hit nothing in use", *fileFlips, refused, harmless)
}

// anywhere returns a place in one of B's files: journal, map and store in turn.
func (w *work) anywhere(rng *rand.Rand, turn int) spot {
	w.t.Helper()
	name := filepath.Join(w.data(), "array.db")
	switch turn % 3 {
	case 0:
		all := w.flushes()
		at := all[len(all)-1-rng.IntN(len(all)/4)] // the older ones are released
		at.off += rng.Int64N(4096)
		return at
	case 1:
		name = filepath.Join(w.data(), "cpg0", "map.db")
	}
	st, err := os.Stat(name)
	w.must(err)
	return spot{file: name, off: rng.Int64N(st.Size())}
}

// triesToStart starts B and returns what it wrote if it ends.
func (w *work) triesToStart() (log string, runs bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), setUpIn)
	defer cancel()
	p, err := w.Lab.Node(lab.B).Start(filepath.Join(w.Bin, "perdured"), "--config", filepath.Join(w.data(), "perdured.toml"))
	w.must(err)
	ended := make(chan error, 1)
	go func() { ended <- p.Wait(ctx) }()
	w.must(w.Until(ctx, "B to run or to end", func() bool {
		select {
		case <-ended:
			log = p.Log()
			return true
		default:
			_, err := w.Command(ctx, rig.B, "status")
			runs = err == nil
			return runs
		}
	}))
	if runs { // begin again, as the rig's
		w.must(p.Kill())
		w.start(rig.B)
	}
	return log, runs
}
