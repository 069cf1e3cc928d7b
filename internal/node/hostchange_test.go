// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"strings"
	"testing"
)

const (
	iqn1 = "iqn.2026-01.org.example:1"
	iqn2 = "iqn.2026-01.org.example:2"
	iqn3 = "iqn.2026-01.org.example:3"
	iqn4 = "iqn.2026-01.org.example:4"
)

// hosts returns what showhost says, in one line: of each host its name, its persona's
// number and its initiators.
func (a *testArray) hosts() string {
	a.t.Helper()
	var out, names []string
	for _, line := range strings.Split(strings.TrimSpace(a.run("showhost", "-csvtable", "-nohdtot")), "\n") {
		f := strings.Split(line, ",")
		switch {
		case line == "":
		case len(f) != 4:
			a.t.Fatalf("showhost says %q", line)
		case len(names) > 0 && names[len(names)-1] == f[0]:
			out[len(out)-1] += "," + f[2]
		default:
			persona := 1
			for ; persona <= 15 && (personaOf(persona).ID != persona || personaName(persona) != f[1]); persona++ {
			}
			names = append(names, f[0])
			out = append(out, fmt.Sprint(f[0], " ", persona, " ", f[2]))
		}
	}
	return strings.Join(out, " ")
}

func bothHave(t *testing.T, arrays []*testArray, want string) {
	t.Helper()
	for _, a := range arrays {
		if got := a.hosts(); got != want {
			t.Errorf("%s has the hosts %q, want %q", a.cfg.Name, got, want)
		}
	}
}

func TestHostsAreOnBothArrays(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("createhost", "h", iqn1)
	bothHave(t, arrays, "h 2 "+iqn1)
	b.refuses("exists already", "createhost", "h", iqn2)
	b.refuses("initiator "+iqn1+" is already used by host h", "createhost", "-iscsi", "i", iqn1)
	b.run("createhost", "-add", "h", iqn2)
	a.run("sethost", "-persona", "11", "-chap", "user:secret-secret", "h")
	bothHave(t, arrays, "h 11 "+iqn1+","+iqn2)
	if h, err := b.host("h"); err != nil || h.CHAPSecret != "secret-secret" {
		t.Errorf("%+v, %v", h, err)
	}
	a.refuses("is already used by host h", "createhost", "-add", "h", iqn1)
	a.refuses("want -persona", "sethost", "h")
	a.refuses("want one of 1 (Generic)", "sethost", "-persona", "99", "h")
	a.run("sethost", "-nochap", "-persona", "2", "h")
	b.run("removehost", "-f", "h", iqn1)
	bothHave(t, arrays, "h 2 "+iqn2)
	a.refuses("no initiator left", "removehost", "-f", "h", iqn2)

	// What the other array refuses is done on neither.
	b.run("createvv", "cpg0", "v", "1")
	b.run("createvlun", "v", "3", "h")
	a.refuses("sees LUN 3", "removehost", "-f", "h")
	bothHave(t, arrays, "h 2 "+iqn2)
	b.run("removevlun", "-f", "v", "3", "h")
	a.run("removehost", "-f", "h")
	bothHave(t, arrays, "")
	a.refuses("does not exist", "removehost", "-f", "h")
	if n := len(a.untold()) + len(b.untold()); n != 0 {
		t.Errorf("%d changes are still to be told", n)
	}
}

// TestHostsChangedWhileTold: a host is changed here in the moment in which a description of the other
// array, which has not heard of that, is taken up: what was changed stays.
func TestHostsChangedWhileTold(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "1", "v", "g")
	a.run("createhost", "h", iqn1)
	a.run("createvlun", "v", "0", "h")
	d, err := b.described(a.stored("v").Group)
	if err != nil || len(d.Hosts) != 1 {
		t.Fatalf("%+v, %v", d.Hosts, err)
	}
	host := d.Hosts[0]
	a.Close()
	b.until("array-a to be missed", func() bool { return !b.reachable() })
	for i := range 40 {
		taken := make(chan error, 1)
		d.Group.Version++
		told := d
		told.Hosts = []Host{host}
		go func() { taken <- b.take(told, nil) }()
		persona := []string{"2", "7"}[i%2]
		b.run("sethost", "-persona", persona, "h")
		if err := <-taken; err != nil {
			t.Fatal(err)
		}
		if text := b.hosts(); text != "h "+persona+" "+iqn1 {
			t.Fatalf("time %d: what was changed is undone: %s", i, text)
		}
	}
}

// TestHostsOfAnArrayThatWasAway: it hears of what was changed meanwhile, and what it
// changed itself is not undone by what the other describes.
func TestHostsOfAnArrayThatWasAway(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "1", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("createhost", "h", iqn1)
	a.run("createhost", "gone", iqn2)
	a.run("createvlun", "v", "0", "h")
	b.Close()
	a.until("array-b to be missed", func() bool { return !a.reachable() })
	a.run("createhost", "new", iqn3)
	a.run("sethost", "-persona", "10", "h")
	a.run("sethost", "-persona", "6", "h")
	a.run("removehost", "-f", "gone")
	a.run("createhost", "short", iqn2)
	a.run("removehost", "-f", "short")
	b.open()
	want := "h 6 " + iqn1 + " new 2 " + iqn3
	b.until("it to hear of the hosts", func() bool { return b.hosts() == want })
	a.until("nothing to be told", func() bool { return len(a.untold()) == 0 })

	d, err := b.described(a.stored("v").Group)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	b.until("array-a to be missed", func() bool { return !b.reachable() })
	b.run("sethost", "-persona", "7", "h") // though array-a serves what is exported to it
	if d.Group.Version++; d.Hosts[0].Persona != 6 {
		t.Fatalf("the group is described with %+v", d.Hosts)
	}
	if err := b.take(d, nil); err != nil { // before it hears of that
		t.Fatal(err)
	}
	if text := b.hosts(); !strings.Contains(text, "h 7") {
		t.Errorf("what was changed is undone: %s", text)
	}
	a.open()
	want = "h 7 " + iqn1 + " new 2 " + iqn3
	a.until("it to hear of the host", func() bool { return a.hosts() == want })
	b.until("nothing to be told", func() bool { return len(b.untold()) == 0 })
	bothHave(t, arrays, want)
}

// TestTwoHostsOfOneName, made while the arrays did not reach each other, stay two until
// a person removes one.
func TestTwoHostsOfOneName(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	b.Close()
	a.until("array-b to be missed", func() bool { return !a.reachable() })
	a.run("createhost", "h", iqn1)
	a.Close()
	b.open()
	b.run("createhost", "h", iqn2)
	a.open()
	for _, x := range arrays {
		x.until("an event", func() bool { return strings.Contains(x.run("showeventlog"), "host h was changed here") })
	}
	a.run("removehost", "-f", "h")
	a.until("it to hear of the other", func() bool { return a.hosts() == "h 2 "+iqn2 })
	b.until("nothing to be told", func() bool { return len(b.untold())+len(a.untold()) == 0 })
	bothHave(t, arrays, "h 2 "+iqn2)
}
