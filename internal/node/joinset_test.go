// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
)

// TestASetJoins: volumes of a set are admitted by one command, whether they are in use or not;
// into a group without volumes, too. What is in the way of one is in the way of all.
func TestASetJoins(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.inUse("v")
	a.run("createvv", "cpg0", "unused", "64m")
	a.run("createvv", "cpg0", "w", "64m")
	a.write("w", 1<<20, []byte("w"))
	a.run("createvvset", "s", "v", "unused", "w")
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("createsv", "-ro", "snap", "w")
	a.refuses("volume w has snapshots", "admitrcopyvv", "-createvv", "set:s", "g")
	a.refuses("volume set none does not exist", "admitrcopyvv", "-createvv", "set:none", "g")
	a.refuses("no -size", "admitrcopyvv", "-createvv", "-size", "1g", "set:s", "g")
	if f, err := a.Group("g"); err != nil || len(f.VVs) != 0 {
		t.Errorf("%+v, %v", f.VVs, err)
	}
	a.run("removevv", "-f", "snap")
	a.run("admitrcopyvv", "-createvv", "-wait", "set:s", "g")
	a.run("admitrcopyvv", "-createvv", "-wait", "set:s", "g") // all are there
	a.run("syncrcopy", "-w", "g")
	a.run("setrcopygroup", "switchover", "g")
	b.until("b to serve", func() bool { return b.serves(b.stored("v").Group) })
	b.has("v", 0, []byte("before"))
	b.has("w", 1<<20, []byte("w"))
	if f, err := b.Group("g"); err != nil || len(f.VVs) != 3 || len(b.stored("unused").Sets) != 1 {
		t.Errorf("%+v, %v", f.VVs, err)
	}
}

// TestASetOfTheOtherArray: its volumes can't be admitted or protected where another array has
// them, and that is what the commands say, with what to do.
func TestASetOfTheOtherArray(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.inUse("v")
	a.run("createvvset", "db", "v")
	b.run("creatercopygroup", "dbg", "array-a:sync")
	b.until("the group to be served", func() bool { f, err := b.Group("dbg"); return err == nil && f.ServedHere })
	b.run("admitrcopyvv", "-createvv", "-size", "64m", "first", "dbg")
	why := "volume v is on array array-a alone, and group dbg is served by array array-b: 'setrcopygroup switchover dbg'"
	for _, x := range arrays {
		x.refuses(why, "admitrcopyvv", "-createvv", "set:db", "dbg")
	}
	b.refuses("volume set db has its volumes on array array-a alone, such as v: 'protectvvset db other array-b:sync' there protects them", "protectvvset", "db", "other", "array-a:sync")
	a.run("createvvset", "-add", "db", "first") // which is in the group already
	for _, x := range arrays {
		x.refuses(why, "admitrcopyvv", "-createvv", "set:db", "dbg")
	}
	a.run("removevvset", "-f", "db", "first")
	b.run("createvv", "cpg0", "w", "64m")
	b.run("createvvset", "-add", "db", "w")
	a.refuses("w is on array array-b alone, v on array array-a", "protectvvset", "db", "other", "array-b:sync")
	b.run("removevvset", "-f", "db", "w")
	a.run("createvvset", "none", "v")
	a.run("removevvset", "-f", "none", "v")
	b.run("setrcopygroup", "switchover", "dbg")
	a.until("a to serve", func() bool { f, err := a.Group("dbg"); return err == nil && f.ServedHere })
	b.run("admitrcopyvv", "-createvv", "-wait", "set:db", "dbg")
	a.has("v", 0, []byte("before"))
	b.refuses("volume set none has no volumes", "admitrcopyvv", "-createvv", "set:none", "dbg")
	a.Close()
	b.until("a to be missed", func() bool { return !b.reachable() })
	if err := b.emptySet("none"); !strings.Contains(err.Error(), "no volumes on array array-b, and array array-a, which may have some, does not answer") {
		t.Error(err)
	}
}

// TestJoiningIsEnded: until a volume has joined it is what it was; what could not be kept
// through that is refused, and it can be given up.
func TestJoiningIsEnded(t *testing.T) {
	t.Parallel()
	a, b, j := heldJoin(t)
	a.refuses("already", "admitrcopyvv", "-createvv", "v", "g")
	a.refuses("already", "growvv", "v", "64m")
	a.refuses("to take the place", "growvv", j.Name, "64m")
	a.refuses("to take the place", "createvlun", j.Name, "9", "host")
	a.refuses("to take the place", "createsv", "-ro", "sv", j.Name)
	a.refuses("to take the place", "createvvcopy", "-p", "first", j.Name)
	a.refuses("to take the place", "createvvcopy", "-p", j.Name, "first")
	a.refuses("dismiss it first", "removevv", "-f", j.Name)
	a.refuses("being admitted", "removercopygroup", "-f", "-destroy", "g")
	if a.fact("v").WWN == a.fact(j.Name).WWN || a.fact(j.Name).State != "copying" || b.sees(joinHost) != 0 {
		t.Errorf("%+v", a.fact(j.Name))
	}
	if text := a.run("showrcopy", "groups"); !strings.Contains(text, "Syncing") || strings.Contains(text, j.Name) {
		t.Errorf("showrcopy says %s", text)
	}
	if f, err := b.Group("g"); err != nil || len(f.VVs) != 2 || f.VVs[1].Name != "v" || f.SyncOf(f.VVs[1]) != "Syncing" || f.SyncOf(f.VVs[0]) != "Synced" {
		t.Errorf("%+v, %v", f, err)
	}
	a.run("createsv", "-ro", "mine", "v")
	a.letCopies()
	a.until("it to wait for the snapshot", func() bool { return a.copies.why(j.ID) != "" })
	a.write("v", 4096, []byte("meanwhile"))
	a.run("dismissrcopyvv", "-f", "v", "g")
	a.until("what was made for it to be gone", func() bool { return a.count("") == 3 && b.count("") == 1 })
	a.has("v", 4096, []byte("meanwhile"))
	a.run("removevv", "-f", "mine")
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
	a.has("v", 4096, []byte("meanwhile"))
	a.refuses("exported", "dismissrcopyvv", "-f", "-destroy", "v", "g")
}

// TestLeftToCopy: hosts are held for little, and longer only if that does not come.
func TestLeftToCopy(t *testing.T) {
	for round, want := range map[int]int64{1: littleLeft, patientRounds: littleLeft, patientRounds + 2: 4 * littleLeft, 100: mostLeft, 1 << 30: mostLeft} {
		if got := leftAfter(round); got != want {
			t.Errorf("after round %d %d pages may be left, want %d", round, got, want)
		}
	}
}
