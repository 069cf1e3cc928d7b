// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestProtectASet: one command makes a group of a set of volumes, with the same identity
// and LUNs on both arrays; and where one thing is in the way, nothing is changed on either.
func TestProtectASet(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	for k := range 3 {
		a.run("createvv", "-comment", fmt.Sprintf("number %d", k), "cpg0", fmt.Sprintf("v%d", k), "64")
	}
	a.run("createvvset", "apps", "v0", "v1", "v2")
	a.run("createhost", "web", "iqn.2026-01.org.example:web")
	a.run("createhost", "db", "iqn.2026-01.org.example:db")
	a.run("createvv", "cpg0", "own", "64")
	a.run("createvlun", "own", "1", "web")
	b.run("createvv", "cpg0", "there", "64")
	b.run("createvlun", "there", "2", "web") // so LUNs 1 and 2 of web are taken, on one array each

	before := a.run("showvv", "-d") + a.run("showvlun") + a.run("showrcopy") + b.run("showvv", "-d") + b.run("showvlun") + b.run("showrcopy")
	unchanged := func() {
		t.Helper()
		if after := a.run("showvv", "-d") + a.run("showvlun") + a.run("showrcopy") + b.run("showvv", "-d") + b.run("showvlun") + b.run("showrcopy"); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
	for why, words := range map[string][]string{
		"volume set none does not exist":      {"none", "g", "array-b:sync"},
		"target \"array-c\" does not exist":   {"apps", "g", "array-c:sync"},
		"host nobody does not exist":          {"-host", "web,nobody", "apps", "g", "array-b:sync"},
		"web is there twice":                  {"-host", "web,web", "apps", "g", "array-b:sync"},
		"does not have the policy active":     {"-host", "web", "-proximity", "all", "apps", "g", "array-b:sync"},
		"say -host":                           {"-proximity", "all", "apps", "g", "array-b:sync"},
		"has no period":                       {"-period", "60s", "apps", "g", "array-b:sync"},
		"policy \"nothing\"":                  {"-pol", "nothing", "apps", "g", "array-b:sync"},
		"is periodic: its copy is of a momen": {"-pol", "active_active", "apps", "g", "array-b:periodic"},
	} {
		a.refuses(why, append([]string{"protectvvset"}, words...)...)
	}
	unchanged()
	b.run("createvv", "cpg0", "v1", "64") // another volume of that name: the other array refuses
	before = a.run("showvv", "-d") + a.run("showvlun") + a.run("showrcopy") + b.run("showvv", "-d") + b.run("showvlun") + b.run("showrcopy")
	a.refuses("volume v1 exists on array array-b and is another one", "protectvvset", "-host", "web", "apps", "g", "array-b:sync")
	unchanged()
	b.run("removevv", "-f", "v1")

	text := a.run("protectvvset", "-pol", "active_active", "-host", "web,db", "-proximity", "all", "-wait", "apps", "g", "array-b:sync")
	for _, line := range []string{"volume v0 is LUN 0 of web", "volume v1 is LUN 3 of web", "volume v2 is LUN 4 of web", "volume v0 is LUN 0 of db", "volume v1 is LUN 1 of db", "volume v2 is LUN 2 of db"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
	for k := range 3 {
		name := fmt.Sprintf("v%d", k)
		x, y := a.stored(name), b.stored(name)
		if x.ID != y.ID || x.Comment != fmt.Sprintf("number %d", k) || y.Comment != x.Comment || len(x.Sets) != 1 {
			t.Errorf("%+v, %+v", x, y)
		}
	}
	if x, y := a.run("showvlun", "-v", "v*"), b.run("showvlun", "-v", "v*"); x != y || strings.Count(x, "v1 ") != 2 {
		t.Errorf("exports here\n%s\nthere\n%s", x, y)
	}
	if text := b.run("showrcopy", "-d", "groups"); !strings.Contains(text, "active_active") || strings.Count(text, " all\n") != 2 {
		t.Error(text)
	}
	a.write("v0", 0, filled(4096, 3))
	a.refuses("is in Remote Copy group g already", "protectvvset", "apps", "h", "array-b:sync")

	// What was made from volumes that were there survives a restart, and is gone for good.
	a.Close()
	a.open()
	a.until("the group to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" && f.ServedHere })
	a.has("v0", 0, filled(4096, 3))
}

// TestProtectPeriodically makes a periodic group.
func TestProtectPeriodically(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 2, quick)[0]
	a.run("createvv", "cpg0", "v0", "64")
	a.run("createvvset", "apps", "v0")
	a.run("protectvvset", "-period", "15s", "-wait", "apps", "g", "array-b:periodic")
	if f, err := a.Group("g"); err != nil || f.Period != 15 || f.LastSync.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
	a.run("admitrcopyvv", "-createvv", "-wait", written(a), "g")
	a.has("used", 0, filled(4096, 1))
}

// written makes a volume that has something.
func written(a *testArray) string {
	a.t.Helper()
	a.run("createvv", "cpg0", "used", "64")
	a.write("used", 0, filled(4096, 1))
	return "used"
}

// TestDrill: what the other site has can be seen and written to by other hosts, through
// the array that does not serve the group, while the group goes on; then nothing is left.
func TestDrill(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("createhost", "web", "iqn.2026-01.org.example:web")
	a.run("createhost", "test", "iqn.2026-01.org.example:test")
	a.run("creatercopygroup", "g", "array-b:sync")
	b.refuses("has no volumes", "startrcopydrill", "-host", "test", "g")
	for _, vv := range []string{"v0", "v1"} {
		a.run("admitrcopyvv", "-createvv", "-size", "64m", vv, "g")
		a.run("createvlun", vv, "auto", "web")
	}
	a.run("startrcopygroup", "-wait", "g")
	a.write("v0", 0, filled(4096, 1))
	a.write("v1", 4096, filled(4096, 2))
	before := a.run("showvv", "-d") + a.run("showvlun") + b.run("showvv", "-d") + b.run("showvlun")

	b.refuses("host nobody does not exist", "startrcopydrill", "-host", "nobody", "g")
	text := b.run("startrcopydrill", "-host", "test", "g")
	if !strings.Contains(text, "volume d1.g is LUN 0 of test: a copy of v0\n") || !strings.Contains(text, "2 volumes as at ") {
		t.Error(text)
	}
	a.write("v0", 0, filled(4096, 7)) // the group goes on
	b.until("the drill's volumes", func() bool { return b.serves(b.stored("d1.g").Group) && b.serves(b.stored("d2.g").Group) })
	b.has("d1.g", 0, filled(4096, 1))
	b.has("d2.g", 4096, filled(4096, 2))
	b.write("d1.g", 0, filled(8192, 9)) // and so do those who look
	a.has("v0", 0, filled(4096, 7))
	if x, y := array.MakeWWN(b.stored("d1.g").ID), array.MakeWWN(a.stored("v0").ID); x == y {
		t.Errorf("the drill's volume has the identity %v of the group's", x)
	}
	b.refuses("has a drill on array array-b", "startrcopydrill", "-host", "test", "g")
	a.refuses("has no drill on array array-a", "stoprcopydrill", "-f", "g")
	b.refuses("say -f", "stoprcopydrill", "g")
	if text := b.run("showrcopydrill", "-csvtable", "-nohdtot", "g"); !strings.HasPrefix(text, "g,ready,") || !strings.Contains(text, ",v1,d2.g,test\n") {
		t.Error(text)
	}
	if text := a.run("showvlun", "-host", "web"); strings.Contains(text, "d1.g") {
		t.Error(text)
	}
	b.run("stoprcopydrill", "-f", "g")
	if after := a.run("showvv", "-d") + a.run("showvlun") + b.run("showvv", "-d") + b.run("showvlun"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	a.has("v0", 0, filled(4096, 7))

	// What is in the way is found before anything is made.
	b.run("createvv", "cpg0", "d2.g", "64")
	b.refuses("volume d2.g exists already", "startrcopydrill", "g")
	b.run("removevv", "-f", "d2.g")
	b.refuses("has no drill", "showrcopydrill", "g")
	a.run("setrcopygroup", "switchover", "g")
	b.until("b to serve", func() bool { return b.serves(b.stored("v0").Group) })
	b.run("startrcopydrill", "g")                                      // on the array that serves, for nobody yet
	a.refuses("volume d1.g.ro exists already", "startrcopydrill", "g") // one at a time
	b.run("stoprcopydrill", "-f", "g")
}
