// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
)

// usedSet returns a pair with a set of two volumes that a host uses and one that nobody does.
func usedSet(t *testing.T) (a, b *testArray) {
	arrays := openArrays(t, 2, nil)
	a, b = arrays[0], arrays[1]
	a.run("createhost", "h", "iqn.2026-01.org.example:h")
	for k, v := range []string{"u", "w", "x"} {
		a.run("createvv", "cpg0", v, "32")
		if v != "x" {
			a.run("createvlun", v, "auto", "h")
			a.write(v, 0, pagesOfByte(byte(k+1), 5))
		}
	}
	a.run("createvvset", "apps", "u", "w", "x")
	return a, b
}

// TestAUsedSetIsProtected: one command makes a group of volumes that hosts use, with what they
// hold, their identities and LUNs, policies and proximities.
func TestAUsedSetIsProtected(t *testing.T) {
	t.Parallel()
	a, b := usedSet(t)
	for words, want := range map[string]string{
		"-host nobody -pol active_active -proximity all apps g array-b:sync": "host nobody does not exist",
		"-host h -proximity all apps g array-b:sync":                         "say -pol active_active with -proximity",
		"-host h -pol active_active -proximity all apps g array-b:sync":      "volume x is not exported to it",
	} {
		if _, err := a.Run(t.Context(), append([]string{"protectvvset"}, strings.Fields(words)...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("protectvvset %s: %v", words, err)
		}
		if _, err := a.findGroup("g"); err == nil {
			t.Fatal("there is a group")
		}
	}
	a.run("createhost", "i", "iqn.2026-01.org.example:i")
	a.run("createhostset", "both", "h", "i")
	a.run("createvlun", "x", "auto", "set:both") // h sees it so
	luns := a.run("showvlun", "-t", "-csvtable", "-nohdtot")
	a.run("protectvvset", "-wait", "-host", "h", "-pol", "active_active", "-proximity", "all", "apps", "g", "array-b:sync")
	if now := b.run("showvlun", "-t", "-csvtable", "-nohdtot"); now != luns {
		t.Errorf("exports were\n%sand are\n%s", luns, now)
	}
	if text := b.run("showrcopy", "-d", "groups", "g"); strings.Count(text, "Synced") != 3 || !strings.Contains(text, "all") {
		t.Errorf("%s", text)
	}
	a.run("setrcopygroup", "switchover", "g")
	b.has("u", 0, pagesOfByte(1, 5))
	b.has("w", 0, pagesOfByte(2, 5))
}

// TestAUsedSetIsProtectedWhollyOrNot: what is in the way of one volume is in the way of all, and
// they stay what they were.
func TestAUsedSetIsProtectedWhollyOrNot(t *testing.T) {
	t.Parallel()
	a, b := usedSet(t)
	b.run("createvv", "cpg0", "x", "32") // another volume of that name
	if out, err := a.Run(t.Context(), []string{"protectvvset", "apps", "g", "array-b:sync"}); err == nil {
		t.Fatal(out)
	}
	for _, n := range []*testArray{a, b} {
		n.until("no group", func() bool { _, err := n.findGroup("g"); return err != nil })
	}
	a.has("u", 0, pagesOfByte(1, 5))
	b.run("removevv", "-f", "x")

	// Later than the look at all: the first is in the group already.
	a.command.Lock()
	err := a.unprotectAfter(t, "u", "w")
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*testArray{a, b} {
		n.until("no group", func() bool { _, err := n.findGroup("g"); return err != nil })
	}
	a.has("u", 0, pagesOfByte(1, 5))
	a.has("w", 0, pagesOfByte(2, 5))
	a.run("protectvvset", "-wait", "apps", "g", "array-b:sync")
	a.run("setrcopygroup", "switchover", "g")
	b.has("w", 0, pagesOfByte(2, 5))
}

// unprotectAfter makes a group of a volume, begins to admit another, and takes both back.
func (a *testArray) unprotectAfter(t *testing.T, first, second string) error {
	g, err := a.newGroup("g", "array-b", "sync")
	if err == nil {
		err = a.found(t.Context(), &founding{d: Description{Group: g}})
	}
	if err != nil {
		return err
	}
	for _, name := range []string{first, second} {
		r, err := a.findGroup("g")
		if err != nil {
			return err
		}
		v, _, err := a.vv(name)
		if err != nil {
			return err
		}
		if name == first {
			err = a.founds(t.Context(), v, r)
		} else {
			err = a.beginJoin(t.Context(), v, r)
		}
		if err != nil {
			return err
		}
	}
	return a.unprotect(t.Context(), "g")
}
