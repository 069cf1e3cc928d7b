// SPDX-License-Identifier: Apache-2.0

package node

import (
	"maps"
	"strings"
	"testing"
)

// TestAVolumeTheOtherArrayHasNoRoomFor: the change is taken back on both arrays, and the
// next ones reach the other.
func TestAVolumeTheOtherArrayHasNoRoomFor(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, func(c *Config) {
		if c.Name == "array-a" {
			c.CPGs[0].LimitGiB = 4
		}
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16", "small", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.refuses("are to be set aside", "admitrcopyvv", "-createvv", "-size", "1500", "-full", "big", "g")
	id := a.stored("small").Group
	version := func(n *testArray) uint64 {
		d, err := n.describe(id)
		if err != nil {
			t.Fatal(err)
		}
		return d.Group.Version
	}
	a.until("array-b to hear that it was taken back", func() bool { return version(a) == version(b) })
	for _, x := range arrays {
		if text := x.run("showvv"); strings.Contains(text, "big") {
			t.Errorf("%s has\n%s", x.cfg.Name, text)
		}
		if text := x.run("showeventlog"); strings.Contains(text, "does not take") {
			t.Errorf("%s tells of\n%s", x.cfg.Name, text)
		}
	}
	a.run("admitrcopyvv", "-createvv", "-size", "16", "next", "g")
	if len(b.groups[id].units) != 2 {
		t.Errorf("array-b knows %d volumes of the group", len(b.groups[id].units))
	}
}

// TestADescriptionHalfTaken: what was stored and not brought about is brought about when
// the other array tells it again.
func TestADescriptionHalfTaken(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	for _, v := range []string{"stays", "goes"} {
		a.run("admitrcopyvv", "-createvv", "-size", "16", v, "g")
	}
	a.run("startrcopygroup", "-wait", "g")
	goes := a.stored("goes")
	b.mu.RLock()
	r := b.groups[goes.Group]
	stale, unit := r.rec, r.units[goes.ID]
	b.mu.RUnlock()
	a.run("dismissrcopyvv", "-f", "-destroy", "goes", "g")
	now, err := b.described(goes.Group)
	if err != nil {
		t.Fatal(err)
	}
	b.publish(goes.Group, func(r *running) { // as if it had failed after it was stored
		r.rec, r.units = stale, maps.Clone(r.units)
		r.units[goes.ID] = unit
	})
	if err := b.take(now, nil); err != nil {
		t.Fatal(err)
	}
	b.mu.RLock() // array-a tells it again, too
	defer b.mu.RUnlock()
	r = b.groups[goes.Group]
	if r.rec.Version != now.Group.Version || r.units[goes.ID] != nil {
		t.Errorf("version %d with volumes %v after it was told version %d again", r.rec.Version, r.units, now.Group.Version)
	}
	if b.cpgs["cpg0"].Volume(goes.ID) != nil {
		t.Error("its pages are there")
	}
}
