// SPDX-License-Identifier: Apache-2.0

package node

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
)

// halfTurned turns the first CPG of a group to a point, and then fails.
type halfTurned struct {
	group.Copier
	on *atomic.Bool
}

func (h halfTurned) FinishResync(g array.GroupID, at array.Place) error {
	if !h.on.Load() {
		return h.Copier.FinishResync(g, at)
	}
	p := h.Copier.(*pages)
	if err := p.pools()[0].FinishResync(g, at); err != nil {
		return err
	}
	return array.Errorf(array.Internal, "the power is gone")
}

// TestATurnIsOfAllCPGs: an array that stopped while it turned one CPG after the other shows
// the point in all of them when it is back, and can't be forced between.
func TestATurnIsOfAllCPGs(t *testing.T) {
	long(t)
	t.Parallel()
	var half atomic.Bool
	arrays := openArrays(t, 2, func(c *Config) {
		c.CPGs = append(c.CPGs, CPG{Name: "cpg1", Dir: filepath.Join(c.DataDir, "cpg1"), LimitGiB: 1})
		if c.Name == "array-b" {
			c.Groups = func(g *group.Config) { g.Copy = halfTurned{g.Copy, &half} }
		}
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "-cpg", "cpg0", "v1", "g")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "-cpg", "cpg1", "v2", "g")
	a.until("both to talk of g", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
	write := func(with byte) {
		a.write("v1", 0, filled(block.Page, with))
		a.write("v2", 0, filled(block.Page, with))
	}
	shows := func() (with [2]byte) {
		for i, v := range []string{"v1", "v2"} {
			x, got := b.stored(v), make([]byte, 1)
			if err := b.cpgs[x.CPG].Volume(x.ID).Read(got, 0); err != nil {
				t.Fatal(err)
			}
			with[i] = got[0]
		}
		return with
	}
	write('a')
	a.run("syncrcopy", "-w", "g")
	if shows() != [2]byte{'a', 'a'} {
		t.Fatalf("the first point shows %q", shows())
	}
	half.Store(true)
	write('b')
	a.run("syncrcopy", "g")
	b.until("one CPG to turn", func() bool { return shows() != [2]byte{'a', 'a'} })
	a.Close()
	b.until("a to be lost", func() bool { f, err := b.Group("g"); return err == nil && !f.Contact })
	b.refuses("is turning to the point of", "setrcopygroup", "override", "-f", "g")
	b.Close()
	half.Store(false)
	b.open()
	if shows() != [2]byte{'b', 'b'} {
		t.Errorf("after the restart the CPGs show %q", shows())
	}
	b.says("from the state of", "setrcopygroup", "failover", "-f", "g")
	b.has("v1", 0, filled(block.Page, 'b'))
	b.has("v2", 0, filled(block.Page, 'b'))
}

// TestAVolumeInANewCPG: a volume whose CPG the group had none in is admitted while a point is
// on its way; the target opens after a restart, and has all of it.
func TestAVolumeInANewCPG(t *testing.T) {
	t.Parallel()
	var hold atomic.Bool
	arrays := openArrays(t, 2, func(c *Config) {
		c.CPGs = append(c.CPGs, CPG{Name: "cpg1", Dir: filepath.Join(c.DataDir, "cpg1"), LimitGiB: 1})
		if c.Name == "array-b" {
			c.Groups = func(g *group.Config) { g.Shadow = heldBack{g.Shadow, &hold} }
		}
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "-cpg", "cpg0", "v1", "g")
	a.until("both to talk of g", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
	a.write("v1", 0, filled(block.Page, 'a'))
	hold.Store(true)
	a.run("syncrcopy", "g")
	a.until("the point to be held back", func() bool { f, err := a.Group("g"); return err == nil && f.PointTrouble != "" })
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "-cpg", "cpg1", "v2", "g")
	a.write("v2", 0, filled(block.Page, 'b'))
	hold.Store(false)
	a.run("syncrcopy", "-w", "g")
	b.copyHas("v1", 0, filled(block.Page, 'a'))
	b.copyHas("v2", 0, filled(block.Page, 'b'))
	b.Close()
	b.open()
	a.until("both to talk of g again", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
	a.write("v2", 0, filled(block.Page, 'c'))
	a.run("syncrcopy", "-w", "g")
	b.copyHas("v2", 0, filled(block.Page, 'c'))
}

// heldBack refuses to end a point.
type heldBack struct {
	group.Shadow
	on *atomic.Bool
}

func (h heldBack) FlushResync(g array.GroupID) error {
	if h.on.Load() {
		return array.Errorf(array.Full, "the CPG is full")
	}
	return h.Shadow.FlushResync(g)
}
