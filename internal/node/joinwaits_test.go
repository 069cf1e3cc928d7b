// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
)

// TestAnAdmissionKeepsWhatItCopied: a volume in use that may not join yet, since the other array
// is away, is not copied again when that returns, and what its host wrote meanwhile is there.
func TestAnAdmissionKeepsWhatItCopied(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16", "first", "g")
	a.run("syncrcopy", "-w", "g")
	a.run("createvv", "cpg0", "v", "16m")
	for mib := range int64(8) {
		a.write("v", mib<<20, filled(1<<20, byte(mib+1)))
	}
	a.holdCopies()
	a.run("admitrcopyvv", "-createvv", "v", "g")
	id := a.joinerOf("v").ID
	b.Close()
	a.until("array-a to be alone", func() bool { g, err := a.Group("g"); return err == nil && g.Serving == "array-a" && g.Sync != "Synced" })
	a.letCopies()
	var run *copyRun
	a.until("the copy to wait", func() bool { run = a.copies.run(id); return run != nil && run.waits.Load() })
	written := run.done.Load()
	a.write("v", 9<<20, []byte("meanwhile"))
	b.open()
	a.until("v to be in the group", func() bool { _, g, err := a.vv("v"); return err == nil && !g.Private })
	if now := run.done.Load(); now != written {
		t.Errorf("%d bytes were copied as a whole, and then %d more", written, now-written)
	}
	a.run("syncrcopy", "-w", "g")
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve", func() bool { return b.serves(b.stored("v").Group) })
	b.has("v", 7<<20, filled(1<<20, 8))
	b.has("v", 9<<20, []byte("meanwhile"))
	if out := b.run("dismissrcopyvv", "-f", "-keepvv", "-wait", "v", "g"); strings.Contains(out, "is being copied") || !strings.Contains(out, "volume v") {
		t.Errorf("at the end of the wait it says %q", out)
	}
	if out := b.run("admitrcopyvv", "-createvv", "-wait", "v", "g"); out != "Volume v is in group g, and in sync\n" {
		t.Errorf("at the end of the wait it says %q", out)
	}
	for _, x := range arrays { // what was made to copy it is gone, and not in the audit log
		if n := x.count(""); n != 2 {
			t.Errorf("%s has %d volumes and snapshots, want 2:\n%s", x.cfg.Name, n, x.run("showvv"))
		}
		if log := x.run("showeventlog", "-audit"); !strings.Contains(log, "admitrcopyvv") && x == a || strings.Contains(log, "createsv") {
			t.Errorf("the audit log of %s has what the array did by itself:\n%s", x.cfg.Name, log)
		}
	}
}
