// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

func TestPhysicalCopy(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.run("createvv", "cpg0", "from", "8")
	a.run("createvv", "cpg0", "to", "9")
	a.run("createvv", "cpg0", "small", "7")
	a.run("createhost", "h", "iqn.2026-01.org.example:h")
	a.write("from", 0, filled(block.Page, 1))
	a.write("from", 5<<20, filled(2*block.Page, 2))
	a.write("to", 1<<20, filled(block.Page, 9)) // zeros in the copy
	a.write("to", 8<<20, filled(block.Page, 8)) // beyond its end
	a.refuses("too little", "createvvcopy", "-p", "from", "small")
	a.refuses("want -p", "createvvcopy", "to")
	a.refuses("to itself", "createvvcopy", "-p", "from", "from")
	a.refuses("does not exist", "createvvcopy", "-p", "none", "to")
	a.refuses("no copy", "createvvcopy", "-halt", "to")
	a.run("createvlun", "to", "0", "h")
	a.refuses("is exported", "createvvcopy", "-p", "from", "to")
	a.run("removevlun", "-f", "to", "0", "h")

	text := a.run("createvvcopy", "-p", "from", "-b", "to")
	if !strings.Contains(text, "Copy was started. child = to, parent = from") {
		t.Errorf("createvvcopy says %q", text)
	}
	a.has("to", 0, filled(block.Page, 1))
	a.has("to", 1<<20, filled(block.Page, 0))
	a.has("to", 5<<20, filled(2*block.Page, 2))
	a.has("to", 8<<20, filled(block.Page, 8))
	if n := a.count("vvcp."); n != 0 {
		t.Errorf("%d snapshots made for copies are left", n)
	}
	a.write("from", 0, filled(block.Page, 3))
	a.has("to", 0, filled(block.Page, 1))

	a.run("createsv", "-ro", "sv", "from")
	a.write("from", 0, filled(block.Page, 4))
	a.run("createvvcopy", "-p", "sv", "-b", "-online", "-compr", "cpg0", "new")
	a.has("new", 0, filled(block.Page, 3))
	if v := a.stored("new"); v.Size != 8<<20 || !v.Compress || v.Copy != (Copying{}) || v.Taking != 0 {
		t.Errorf("the new volume is %+v", v)
	}
	a.run("createvvcopy", "-p", "from", "-s", "-b", "to") // over what was there
	a.has("to", 0, filled(block.Page, 4))
	a.has("to", 5<<20, filled(2*block.Page, 2))
	if n := a.count("vvcp."); n != 1 {
		t.Errorf("%d snapshots are kept, want one", n)
	}
	a.run("createvlun", "to", "0", "h")
}

// TestACopyGoesOn: what a restart interrupted goes on by itself, and a copy that was
// halted can't pass for one.
func TestACopyGoesOn(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.run("createvv", "cpg0", "from", "64")
	a.run("createvv", "cpg0", "to", "64")
	a.run("createhost", "h", "iqn.2026-01.org.example:h")
	for off := int64(0); off < 64<<20; off += 1 << 20 {
		a.write("from", off, filled(block.Page, byte(1+off>>20)))
	}
	a.holdCopies()
	a.run("createvvcopy", "-p", "from", "to")
	a.refuses("is being made a copy", "createvlun", "to", "0", "h")
	a.refuses("already", "createvvcopy", "-p", "from", "to")
	a.refuses("is being made a copy", "removevv", "-f", "to")
	a.refuses("not a whole copy", "createsv", "-ro", "early", "to")
	if text := a.run("showvv"); !strings.Contains(text, "copying") {
		t.Errorf("showvv says %s", text)
	}
	a.write("from", 0, filled(block.Page, 99)) // it is not of that moment yet
	a.Close()
	a.open()
	a.until("the copy to be whole", func() bool { return a.stored("to").Copy.State == "" })
	a.has("to", 0, filled(block.Page, 99))
	a.has("to", 63<<20, filled(block.Page, 64))
	if n := a.count("vvcp."); n != 0 {
		t.Errorf("%d snapshots made for copies are left", n)
	}

	a.holdCopies()
	a.run("createvvcopy", "-p", "from", "to")
	a.run("createvvcopy", "-halt", "to")
	a.copies.mu.Lock()
	clear(a.copies.runs)
	a.copies.mu.Unlock()
	a.until("the copy to be given up", func() bool { return a.stored("to").Copy.State == copyFailed })
	a.refuses("was not finished (it was halted)", "createvlun", "to", "0", "h")
	a.refuses("not a whole copy", "createvvcopy", "-p", "to", "from")
	a.run("createvvcopy", "-p", "from", "-b", "to")
	a.run("createvlun", "to", "0", "h")
}

// tinyPages makes the pages of one CPG few.
func tinyPages(dir string) func(*volume.Options) {
	return func(o *volume.Options) {
		if filepath.Dir(o.MapFile) == dir {
			o.Limit = 32 << 20
		}
	}
}

// TestACopyThatFails gives its snapshot back.
func TestACopyThatFails(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, func(c *Config) {
		c.CPGs = append(c.CPGs, CPG{Name: "tiny", Dir: c.DataDir + "/tiny", LimitGiB: 1})
		c.Pages = tinyPages(c.DataDir + "/tiny")
	})[0]
	a.run("createvv", "cpg0", "from", "64")
	for off := int64(0); off < 64<<20; off += 1 << 20 {
		a.write("from", off, filled(1<<20, byte(1+off>>20)))
	}
	_, err := a.Run(context.Background(), strings.Fields("createvvcopy -p from -b -online tiny to"))
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a copy to a CPG without room: %v", err)
	}
	if n := a.count("vvcp."); n != 0 {
		t.Errorf("%d snapshots made for copies are left", n)
	}
	a.run("removevv", "-f", "to")
}

// TestMirroredCopy: a copy to a volume in a group reaches both arrays, and goes on where
// the group is served.
func TestMirroredCopy(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16", "to", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("createvv", "cpg0", "from", "16")
	a.write("from", 3<<20, filled(block.Page, 3))
	a.run("createvvcopy", "-p", "from", "-b", "to")
	a.has("to", 3<<20, filled(block.Page, 3))
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve", func() bool { return b.serves(b.stored("to").Group) })
	b.has("to", 3<<20, filled(block.Page, 3))

	// A private volume's pages are on one array only.
	a.refuses("volume from does not exist", "createvvcopy", "-p", "from", "to")
	b.write("to", 0, filled(block.Page, 5))
	b.run("createvv", "cpg0", "back", "16")
	b.run("createvvcopy", "-p", "to", "-b", "back")
	b.has("back", 0, filled(block.Page, 5))
	a.run("createvvcopy", "-p", "to", "-b", "from") // its snapshot is made where it is served
	a.has("from", 0, filled(block.Page, 5))
	if n := a.count("vvcp.") + b.count("vvcp."); n != 0 {
		t.Errorf("%d snapshots made for copies are left", n)
	}

	// The group moves away from what is copied to it: it waits, and can be given up.
	a.run("setrcopygroup", "switchover", "g")
	a.until("array-a to serve", func() bool { return a.serves(a.stored("to").Group) })
	a.copies.mu.Lock()
	a.copies.runs[1] = &copyRun{}
	a.copies.runs[2] = &copyRun{}
	a.copies.mu.Unlock()
	a.run("createvvcopy", "-p", "from", "to")
	a.run("createsv", "-ro", a.stored("to").Copy.Snapshot, "from") // it came as far as that
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to wait", func() bool {
		return strings.Contains(b.run("showeventlog"), "from is not on array array-b")
	})
	b.run("createvvcopy", "-halt", "to")
	b.until("the copy to be given up", func() bool { return b.stored("to").Copy.State == copyFailed })
	if n := a.count("vvcp."); n != 0 {
		t.Errorf("%d snapshots made for copies are left", n)
	}
}

// TestWhatACopyHeldIsLetGo: an array that was away while a copy ended takes up that its
// snapshot is gone.
func TestWhatACopyHeldIsLetGo(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	for _, v := range []string{"from", "to"} {
		a.run("admitrcopyvv", "-createvv", "-size", "16", v, "g")
	}
	a.run("startrcopygroup", "-wait", "g")
	a.until("the group to be served", func() bool { return a.serves(a.stored("to").Group) })
	a.run("createsv", "-ro", "sv", "from")
	a.copies.mu.Lock()
	a.copies.runs[1], a.copies.runs[2] = &copyRun{}, &copyRun{}
	a.copies.mu.Unlock()
	a.run("createvvcopy", "-p", "sv", "to")
	a.refuses("is being made a copy of snapshot sv", "removevv", "-f", "sv")
	b.Close()
	a.until("array-a to go on alone", func() bool { return !a.reachable() && a.serves(a.stored("to").Group) })
	a.copies.mu.Lock()
	clear(a.copies.runs)
	a.copies.mu.Unlock()
	a.until("the copy to be whole", func() bool { return a.stored("to").Copy.State == "" })
	a.run("removevv", "-f", "sv")
	b.open()
	b.until("the snapshot to go", func() bool { return b.count("sv") == 0 })
}
