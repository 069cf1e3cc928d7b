// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/pki"
)

// withFarArray is a pair and a third array, each of the pair a target of that and the other
// way round.
func withFarArray(t *testing.T) (a, b, c *testArray) {
	t.Helper()
	all := openArrays(t, 2, nil)
	a, b = all[0], all[1]
	dir := t.TempDir()
	if _, err := pki.LoadOrCreate(filepath.Join(dir, "identity"), "array", time.Now()); err != nil {
		t.Fatal(err)
	}
	cfg := a.cfg
	cfg.Name, cfg.SystemID, cfg.DataDir, cfg.Target = "array-c", 3, dir, Target{}
	cfg.ISCSI.Name = "iqn.2026-01.io.perdure:array-c"
	cfg.CPGs = []CPG{{Name: "cpg0", Dir: filepath.Join(dir, "cpg0"), LimitGiB: 1}}
	cfg.Links.Listen = []string{freePort(t)}
	c = &testArray{t: t, cfg: cfg}
	c.open()
	t.Cleanup(c.end)
	c.all = testArrays{a, b, c}
	a.all, b.all = c.all, c.all
	for _, x := range []*testArray{a, b} {
		at := x.cfg.Target.Links[0].Listen
		x.run("creatercopytarget", "-periodic", "-sysid", "3", "-key", c.ident.Pin().String(), "far", "IP", "0:0:1:"+cfg.Links.Listen[0])
		c.run("creatercopytarget", "-periodic", "-sysid", fmt.Sprint(x.cfg.SystemID), "-key", x.ident.Pin().String(), x.cfg.Name, "IP", "0:0:1:"+at)
	}
	for _, x := range []*testArray{a, b, c} {
		x.until("the far arrays to meet", func() bool {
			for _, f := range x.fars() {
				if !f.tie.Reachable() {
					return false
				}
			}
			for _, f := range x.FarTargets() { // is told a moment later
				for _, l := range f.Links {
					if !l.Up {
						return false
					}
				}
			}
			return len(x.fars()) > 0
		})
	}
	return a, b, c
}

func pagesOfByte(x byte, n int) []byte { return bytes.Repeat([]byte{x}, n*block.Page) }

// TestFarCopy: a group of a pair has a periodic copy on a third array, which goes on when the
// array that sent it is lost, and is what hosts use when both are.
func TestFarCopy(t *testing.T) {
	t.Parallel()
	a, b, c := withFarArray(t)
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("admitrcopyvv", "-createvv", "-size", "32", "w", "g")
	a.run("syncrcopy", "-w", "g")
	a.write("v", 0, pagesOfByte(1, 40))
	a.write("w", 0, pagesOfByte(2, 3))
	a.refuses("single synchronous", "admitrcopytarget", "far", "sync", "g")
	a.refuses("Target is already", "admitrcopytarget", "array-b", "periodic", "g")
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "g", "w:w2")
	a.refuses("Target is already", "admitrcopytarget", "far", "periodic", "g")
	a.run("syncrcopy", "-w", "-t", "far", "g")
	c.has("v", 0, pagesOfByte(1, 40))
	c.has("w2", 0, pagesOfByte(2, 3))
	c.refuses("is a periodic copy", "createvlun", "v", "auto", "h")
	c.refuses("is a periodic copy", "growvv", "v", "32")
	c.refuses("is a periodic copy", "removercopygroup", "-f", "g.r1")
	a.refuses("dismissrcopytarget", "removercopygroup", "-f", "g")

	// What changed, and only that: zeros too.
	a.write("v", 5*block.Page, pagesOfByte(0, 1))
	a.write("v", 7*block.Page, pagesOfByte(3, 2))
	a.run("growvv", "v", "32")
	a.run("syncrcopy", "-w", "-t", "far", "g")
	want := pagesOfByte(1, 40)
	copy(want[5*block.Page:], pagesOfByte(0, 1))
	copy(want[7*block.Page:], pagesOfByte(3, 2))
	c.has("v", 0, want)
	if size := c.stored("v").Size; size != 96<<20 {
		t.Errorf("the copy has %d bytes", size)
	}

	// The other array of the pair goes on where this one was.
	a.write("v", 9*block.Page, pagesOfByte(4, 1))
	copy(want[9*block.Page:], pagesOfByte(4, 1))
	a.run("setrcopygroup", "switchover", "g")
	b.until("b to serve", func() bool { return b.serves(b.stored("v").Group) })
	b.run("syncrcopy", "-w", "-t", "far", "g")
	c.has("v", 0, want)
	for _, x := range b.Events() {
		if bytes.Contains([]byte(x.Text), []byte("everything was compared")) {
			t.Error(x.Text)
		}
	}

	// A disaster: both are lost in the middle of something.
	b.write("v", 0, pagesOfByte(9, 4))
	c.refuses("can be reached", "setrcopygroup", "failover", "-f", "g.r1")
	a.Close()
	b.Close()
	c.until("the pair to be gone", func() bool { return !c.fars()[0].tie.Reachable() && !c.fars()[1].tie.Reachable() })
	c.refuses("say -f", "setrcopygroup", "failover", "g.r1")
	c.run("setrcopygroup", "failover", "-f", "g.r1")
	c.has("v", 0, want)
	c.write("v", 11*block.Page, pagesOfByte(5, 1))
	copy(want[11*block.Page:], pagesOfByte(5, 1))

	// The pair is back, and follows; what it had of after the point is given up.
	a.open()
	b.open()
	for _, x := range c.fars() {
		c.until("the pair", x.tie.Reachable)
	}
	var owner *testArray
	c.until("the group to be served", func() bool {
		for _, x := range []*testArray{a, b} {
			if i, err := x.infoOf(x.stored("v").Group); err == nil && i.Serving && i.Owner == i.Self && i.Synced {
				owner = x
			}
		}
		return owner != nil
	})
	owner.has("v", 0, pagesOfByte(9, 4))
	c.run("setrcopygroup", "recover", "g.r1")
	c.run("syncrcopy", "-w", "-t", "array-a", "g.r1")
	owner.has("v", 0, want)
	owner.refuses("is a periodic copy", "createvlun", "v", "auto", "h")

	// And gets it back without loss.
	c.write("v", 12*block.Page, pagesOfByte(6, 1))
	copy(want[12*block.Page:], pagesOfByte(6, 1))
	c.run("setrcopygroup", "reverse", "-t", "array-a", "g.r1")
	owner.has("v", 0, want)
	owner.write("v", 13*block.Page, pagesOfByte(7, 1))
	copy(want[13*block.Page:], pagesOfByte(7, 1))
	owner.run("syncrcopy", "-w", "-t", "far", "g")
	c.has("v", 0, want)

	// Dismissed, the copy stays there, and is nobody's copy.
	owner.run("dismissrcopytarget", "-f", "-keepvv", "far", "g")
	c.write("v", 0, pagesOfByte(8, 1))
	owner.has("v", 0, want)
	c.run("removercopygroup", "-f", "-destroy", "g.r1")
	owner.run("removercopygroup", "-f", "-destroy", "g")
	for _, x := range []*testArray{a, b, c} {
		for _, f := range x.fars() {
			x.run("removercopytarget", "-f", f.Name)
		}
		if left := x.volumesLeft(); left != "" {
			t.Errorf("%s has left %s", x.cfg.Name, left)
		}
	}
}

// TestFarCopyIsCompared: an array that was away when the last point was made has to send the
// next one. It sends what differs, found by checksums, and what is zeros since is emptied.
func TestFarCopyIsCompared(t *testing.T) {
	t.Parallel()
	a, b, c := withFarArray(t)
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("syncrcopy", "-w", "g")
	a.write("v", 0, pagesOfByte(1, 50))
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "g")
	a.run("syncrcopy", "-w", "-t", "far", "g")
	var d Description
	b.until("the point", func() (here bool) {
		var err error
		if d, err = b.describe(b.stored("v").Group); err != nil {
			t.Fatal(err)
		}
		p := d.Group.Far[0].Done
		return p != nil && d.Group.Far[0].Pending == nil && b.hasPoint(t.Context(), d, p)
	})
	for _, p := range d.pointOf(d.Group.Far[0].Done) { // as after an absence that its journal can't make good
		if err := b.cpgs[p.CPG].Drop(d.Group.ID, p.ID); err != nil {
			t.Fatal(err)
		}
	}
	want := pagesOfByte(1, 50)
	copy(want[3*block.Page:], pagesOfByte(2, 1))
	a.write("v", 3*block.Page, pagesOfByte(2, 1))
	if err := a.unit("v").zero(t.Context(), 30*block.Page, 10*block.Page); err != nil {
		t.Fatal(err)
	}
	copy(want[30*block.Page:], pagesOfByte(0, 10))
	a.run("setrcopygroup", "switchover", "g")
	b.until("b to serve, and reach c", func() bool { return b.serves(b.stored("v").Group) && b.farNamed("far").tie.Reachable() })
	b.run("syncrcopy", "-w", "-t", "far", "g")
	c.has("v", 0, want)
	said := ""
	for _, x := range b.Events() {
		if strings.Contains(x.Text, "everything was compared") {
			said = x.Text
		}
	}
	if !strings.Contains(said, "got 11 pages") { // ten of them zeros
		t.Errorf("b says %q, want that what differs was sent", said)
	}
}

// volumesLeft names volumes that there are.
func (a *testArray) volumesLeft() (names string) {
	all, err := a.Volumes()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, v := range all {
		names += v.Name + " "
	}
	return names
}
