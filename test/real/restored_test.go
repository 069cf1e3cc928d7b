// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/rig"
)

// TestRestoredArray puts an old copy of B's data in the place of the new. It is left
// out and filled again, and serves nothing before that; nor does it take over where
// it hears of nobody but the witness, not even if the record never changed.
func TestRestoredArray(t *testing.T) {
	terminate := func(w *work) { w.must(w.Array(rig.B).Terminate(15 * time.Second)) }
	kill := func(w *work) { w.must(w.Array(rig.B).Kill()) }
	for _, c := range []struct {
		name string
		stop func(w *work)
		// noted: A goes on alone whenever B is away, and so there is a record of it.
		noted bool
	}{
		{"stopped in good order", terminate, true},
		{"killed", kill, true},
		{"killed, and back at once", kill, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newSmall(t, 1, "64m").work(1, uint64(time.Now().UnixNano()))
			stop := func() {
				c.stop(w)
				if c.noted {
					w.alone(rig.A)
					w.writes(100)
				}
			}
			stop()
			old := w.setAside()
			w.start(rig.B)
			w.judge("before", true)
			w.toA()
			w.writes(300)

			stop()
			w.putBack(old)
			w.start(rig.B)
			w.until(wholeIn, "the restored array to be filled", func() bool {
				if w.serves(rig.B) {
					t.Fatalf("the restored array serves\n%s", w.explain())
				}
				return w.InSync(t.Context(), group)
			})
			w.judge("restored", true)
			w.toA()
			w.writes(300)

			stop()
			if !c.noted {
				w.must(w.Array(rig.A).Kill())
			}
			w.putBack(old)
			w.must(w.CutLinks())
			w.start(rig.B)
			w.must(w.Array(rig.A).Kill())
			end := pause(5 * time.Second)
			w.until(setUpIn, "time to pass", func() bool {
				if w.serves(rig.B) {
					t.Fatalf("the restored array took over\n%s", w.explain())
				}
				return end()
			})
			w.must(w.HealLinks())
			w.start(rig.A)
			w.judge("restored, and nobody but the witness in reach", false)
		})
	}
}

// toA makes A the one that serves.
func (w *work) toA() {
	w.t.Helper()
	if !w.serves(rig.A) {
		w.move(rig.A)
	}
}

// writes waits until so many more writes were acknowledged.
func (w *work) writes(n uint64) {
	w.t.Helper()
	from := w.load.Acknowledged()
	w.until(setUpIn, "more writes", func() bool { return w.load.Acknowledged() >= from+n })
}

// setAside copies array B's data.
func (w *work) setAside() string {
	w.t.Helper()
	to := filepath.Join(w.Dir, "old")
	w.copyData(w.data(), to)
	return to
}

// putBack puts a copy in the place of array B's data.
func (w *work) putBack(old string) {
	w.t.Helper()
	w.must(os.RemoveAll(w.data()))
	w.copyData(old, w.data())
}

func (w *work) data() string { return filepath.Join(w.Dir, rig.Name(rig.B)) }

// copyData copies a folder with its holes.
func (w *work) copyData(from, to string) {
	w.t.Helper()
	if out, err := exec.Command("cp", "-a", "--sparse=always", from, to).CombinedOutput(); err != nil {
		w.t.Fatalf("copy %s: %v\n%s", from, err, out)
	}
}
