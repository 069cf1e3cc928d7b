// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/rig"
)

const segment = 8 << 20 // of a journal as small as these tests'

// TestCheckFindsDamage changes bytes on B's disks, which were in order; `perdured
// check` says where, and nothing any more once they are as they were. It refuses disks
// that a daemon has open.
func TestCheckFindsDamage(t *testing.T) {
	w := newSmall(t, 1, "64m").work(1, uint64(time.Now().UnixNano()))
	w.writes(4000)
	if err := w.CheckDisk(t.Context(), rig.B); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("with the daemon running: %v", err)
	}
	// Damage is put into a segment that is in use to the end: the newest, once it is well begun.
	w.until(setUpIn, "a segment with some flushes and room for more", func() bool {
		flush := w.flushes()
		n := len(flush)
		return n > 3 && flush[n-3].file == flush[n-1].file && flush[n-1].off < segment/2
	})
	w.load.Stop()
	time.Sleep(3 * time.Second) // a destage or two
	for i := range 2 {
		w.must(w.Array(i).Kill())
	}
	w.must(w.CheckDisk(t.Context(), rig.B))
	flush := w.flushes()
	last := flush[len(flush)-1]
	n := len(flush) - 2 // in the same segment: older ones may have been released
	if flush[n].file != last.file {
		t.Fatalf("the newest segment, %s, has just begun", last.file)
	}
	for _, c := range []struct {
		at    spot
		bytes int
		tells string
	}{
		{spot{file: filepath.Join(w.data(), "cpg0", "pages")}, 64 << 20, "checksum is"},
		{flush[n], 1, "is damaged at offset"},
		{spot{file: filepath.Join(w.data(), "journal", "format"), off: 20}, 1, "format file fails its checksum"},
		{spot{file: filepath.Join(w.data(), "cpg0", "map.db")}, 8192, "CPG cpg0"},
		{spot{file: filepath.Join(w.data(), "array.db")}, 8192, "array.db"},
	} {
		before := w.flip(c.at, c.bytes)
		if err := w.CheckDisk(t.Context(), rig.B); err == nil || !strings.Contains(err.Error(), c.tells) {
			t.Errorf("%s changed at %d: %v; want %q", c.at.file, c.at.off, err, c.tells)
		}
		w.put(c.at, before)
	}
	lost := filepath.Join(w.data(), "cpg0", "map.db")
	w.must(os.Rename(lost, lost+".away"))
	if err := w.CheckDisk(t.Context(), rig.B); err == nil || !strings.Contains(err.Error(), "CPG cpg0: there is no map") {
		t.Errorf("without the map: %v", err)
	}
	w.must(os.Rename(lost+".away", lost))
}
