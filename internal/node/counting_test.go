// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNumbersAfterLostDisks: an array whose disks are new gives nothing the number of what
// it created before and the other array still has, be it that it hears of that first or
// that a person is faster.
func TestNumbersAfterLostDisks(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.write("v", 0, []byte(strings.Repeat("x", 512)))
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve", func() bool { return b.serves(b.stored("v").Group) })
	v := b.stored("v")
	loseDisks := func() {
		b.run("stoprcopygroup", "-f", "g")
		b.until("array-b to need nobody", func() bool { return strings.Contains(b.run("explain", "g"), "role     alone") })
		a.Close()
		for _, x := range []string{"array.db", "journal", "cpg0"} {
			if err := os.RemoveAll(filepath.Join(a.cfg.DataDir, x)); err != nil {
				t.Fatal(err)
			}
		}
		a.open()
	}
	comesBack := func() {
		t.Helper()
		b.until("array-a to take the group", func() bool {
			_, err := b.Run(t.Context(), []string{"startrcopygroup", "-wait", "g"})
			text, _ := a.Run(t.Context(), []string{"showrcopy", "groups", "g"})
			return err == nil && strings.Contains(text, "Synced")
		})
	}
	loseDisks()
	comesBack()
	for _, name := range []string{"one", "two", "three"} {
		a.run("createvv", "cpg0", name, "16")
		o := a.stored(name)
		if o.ID == v.ID || uint64(o.Group) == uint64(v.Group) {
			t.Fatalf("volume %s has number %v, as v of group %v", name, o.ID, v.Group)
		}
		a.run("removevv", "-f", name)
	}
	if a.stored("v").ID != v.ID {
		t.Error("v is gone")
	}

	loseDisks()
	b.Close() // it can't tell
	a.run("createvv", "cpg0", "early", "16")
	b.open()
	a.until("array-a to say why it does not take the group", func() bool {
		text, err := b.Run(t.Context(), []string{"showeventlog"})
		other, _ := a.Run(t.Context(), []string{"showeventlog"})
		return err == nil && strings.Contains(text+other, "remove volume early here first")
	})
	a.run("removevv", "-f", "early")
	comesBack()
	if a.stored("v").ID != v.ID {
		t.Error("v did not come back")
	}
}
