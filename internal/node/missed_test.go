// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/store"
)

// shown is all that says which host sees what, and as whom it logs in: as it is stored.
func (a *testArray) shown() string {
	a.t.Helper()
	x := struct {
		Hosts []Host
		Sets  []HostSet
		VLUNs []VLUN
		VVs   []string
		VVSet []string
	}{}
	if err := a.store.View(func(t *store.Tx) error {
		_ = tables.hosts.Each(t, func(_ string, h Host) error { x.Hosts = append(x.Hosts, h); return nil })
		_ = tables.sets.Each(t, func(_ string, s HostSet) error { x.Sets = append(x.Sets, s); return nil })
		_ = tables.vluns.Each(t, func(_ string, l VLUN) error { x.VLUNs = append(x.VLUNs, l); return nil })
		_ = tables.vvs.Each(t, func(_ string, v VV) error { x.VVs = append(x.VVs, v.Name+" "+strings.Join(v.Sets, ",")); return nil })
		return tables.vvsets.Each(t, func(_ string, s VVSet) error {
			if !s.Removed {
				x.VVSet = append(x.VVSet, s.Name+" "+s.Comment)
			}
			return nil
		})
	}); err != nil {
		a.t.Fatal(err)
	}
	b, err := json.Marshal(x)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(b)
}

// TestHostSetsAreOnBothArrays, whether anything is exported to them or not.
func TestHostSetsAreOnBothArrays(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	same := func(what string) {
		t.Helper()
		if x, y := a.shown(), b.shown(); x != y {
			t.Errorf("%s:\n%s has %s\n%s has %s", what, a.cfg.Name, x, b.cfg.Name, y)
		}
	}
	a.run("createhost", "h", iqn1)
	a.run("createhost", "i", iqn2)
	a.run("createhostset", "-comment", "c", "s", "h")
	same("a set is made")
	b.refuses("exists already", "createhostset", "s")
	b.run("createhostset", "-add", "s", "i")
	same("it gets a member")
	a.run("createvv", "cpg0", "own", "16m")
	a.run("createvlun", "own", "1", "set:s")
	b.refuses("sees LUN 1", "removehostset", "-f", "s")
	b.refuses("is in host set s", "removehost", "-f", "h")
	a.run("removevlun", "-f", "own", "1", "set:s")
	a.run("removevv", "-f", "own")
	a.run("removehostset", "-f", "s", "h")
	same("it loses one")
	a.run("removehostset", "-f", "s")
	a.run("removehost", "-f", "i")
	same("it is removed")
	if n := len(a.untold()) + len(b.untold()); n != 0 {
		t.Errorf("%d changes are still to be told", n)
	}
}

// TestWhatAnArrayMissed of hosts, sets, exports and names it has when it has returned, also
// what was removed and made again as something else; and nobody is warned of that.
func TestWhatAnArrayMissed(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	for _, line := range []string{
		"creatercopygroup g array-b:sync", "admitrcopyvv -createvv -size 16m v g", "admitrcopyvv -createvv -size 16m w g", "startrcopygroup -wait g",
		"createhost -chap user:secret-secret h " + iqn1, "createhost x " + iqn2, "createhost z " + iqn4, "createvlun w 9 z",
		"createhostset s h", "createhostset old x", "createhostset used x", "createhostset grows h",
		"createvlun v 5 set:used", "createvlun w 6 set:grows", "createvlun v 7 x", "createvvset vs v", "createvvset gone",
	} {
		a.run(strings.Fields(line)...)
	}
	b.until("both to have it", func() bool { return a.shown() == b.shown() })
	b.Close()
	a.until("array-b to be missed", func() bool { return !a.reachable() })
	a.alone()
	for _, line := range []string{
		"sethost -chap other:other-secret-1 -persona 11 -os linux h",
		"createhostset -add -comment more s x", "removehostset -f old", "createhostset new h",
		"createhostset -add grows x", "removehostset -f grows h",
		"removevlun -f v 5 set:used", "removehostset -f used", "removevlun -f v 7 x", "removevlun -f w 6 set:grows", "removehostset -f grows", "removehostset -f s x",
		"removevlun -f w 9 z", "removehost -f z", "createhost a " + iqn4, "createvlun w 9 a",
		"removehost -f x", "createhost x " + iqn3, "createhost y " + iqn2, "createhostset used x y", "createvlun v 8 set:used", "createvlun w 7 x",
		"setvv -name renamed w", "removevvset -f vs", "createvvset vs renamed", "removevvset -f gone", "createvvset -comment c gone v",
	} {
		a.run(strings.Fields(line)...)
	}
	b.open()
	b.until("all that it missed to be there", func() bool { return b.shown() == a.shown() })
	for _, x := range as {
		x.until("nothing to be told", func() bool { return len(x.untold()) == 0 })
		for _, e := range x.Events() {
			if strings.Contains(e.Text, "does not take") {
				t.Errorf("%s: %s", x.cfg.Name, e.Text)
			}
		}
	}
}
