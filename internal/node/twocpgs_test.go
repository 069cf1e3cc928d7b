// SPDX-License-Identifier: Apache-2.0

package node

import (
	"path/filepath"
	"strings"
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/block"
)

// TestGivenUpInTwoCPGs: the old source of a periodic group in two CPGs: one CPG had what was written after the
// point on pages when it died, the other not. It dies again in recover, after it stored that
// it is out and before it went back to the point. recover is said again.
func TestGivenUpInTwoCPGs(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, func(c *Config) {
		c.CPGs = append(c.CPGs, CPG{Name: "cpg1", Dir: filepath.Join(c.DataDir, "cpg1"), LimitGiB: 1})
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "-cpg", "cpg0", "v1", "g")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "-cpg", "cpg1", "v2", "g")
	a.until("both to talk of g", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
	a.write("v1", 0, filled(1<<20, 'a'))
	a.write("v2", 0, filled(1<<20, 'a'))
	a.run("syncrcopy", "-w", "g")
	a.write("v1", 0, filled(block.Page, 'x'))
	a.write("v1", 8<<20, filled(block.Page, 'x'))
	a.write("v2", 8<<20, filled(64<<10, 'x'))
	r0, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cpgs["cpg0"].Flush(r0.rec.ID); err != nil { // as its destage does by itself
		t.Fatal(err)
	}
	t.Logf("a has on pages up to %d and %d", a.cpgs["cpg0"].Destaged(r0.rec.ID), a.cpgs["cpg1"].Destaged(r0.rec.ID))
	a.Close()
	b.until("a to be lost", func() bool { f, err := b.Group("g"); return err == nil && !f.Contact })
	b.run("setrcopygroup", "failover", "-f", "g")
	b.until("served", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	b.write("v1", block.Page, filled(block.Page, 'b'))
	a.open()
	a.until("a to find out", func() bool {
		f, err := a.Group("g")
		return err == nil && strings.Contains(f.Reason, "a person must choose")
	})
	b.until("a to be reached", func() bool { return b.reachable() })
	r, err := b.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.described(r.rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	st, err := arb.ParseStored(d.Record)
	if err != nil {
		t.Fatal(err)
	}
	// What giveUp does up to the crash
	a.closeGroup(r.rec.ID)
	if err := (keep{a.store}).Put(r.rec.ID, "membership", arb.Stored{Current: st.Current}.Marshal()); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.open()
	t.Logf("a has on pages up to %d and %d", a.cpgs["cpg0"].Destaged(r0.rec.ID), a.cpgs["cpg1"].Destaged(r0.rec.ID))
	b.until("a to be reached", func() bool { return b.reachable() })
	b.until("contact", func() bool { f, err := b.Group("g"); return err == nil && f.Contact })
	b.run("setrcopygroup", "recover", "g")
	b.until("a to follow", func() bool { f, err := b.Group("g"); return err == nil && f.State == "Started" })
	b.run("syncrcopy", "-w", "g")
	t.Logf("a stands at the newest point: %s", a.run("showrcopy", "groups", "g"))
	a.copyHas("v1", 0, filled(block.Page, 'a'))
	a.copyHas("v1", block.Page, filled(block.Page, 'b'))
	a.copyHas("v1", 8<<20, filled(block.Page, 0))
	a.copyHas("v2", 8<<20, filled(64<<10, 0))
}
