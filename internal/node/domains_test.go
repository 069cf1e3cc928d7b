// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// placed are the objects in domains, as domain:object.
func (a *testArray) placed() string {
	a.t.Helper()
	in, err := a.places()
	if err != nil {
		a.t.Fatal(err)
	}
	var all []string
	for k, d := range in {
		all = append(all, d+":"+string(k))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// domains are those there are.
func (a *testArray) domains() string {
	a.t.Helper()
	text := a.run("showdomain", "-csvtable", "-nohdtot")
	var all []string
	for line := range strings.Lines(text) {
		all = append(all, strings.Split(line, ",")[1])
	}
	return strings.Join(all, " ")
}

// domainsAre waits until both arrays have the same domains, and the same in them.
func domainsAre(arrays []*testArray, domains, placed string) {
	for _, x := range arrays {
		x.t.Helper()
		x.until("the domains "+domains+" with "+placed, func() bool { return x.domains() == domains && x.placed() == placed })
	}
}

// TestDomainsOfTwo: either array changes domains while the other one is away, and what each did
// is the same on both when they meet, over restarts too.
func TestDomainsOfTwo(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createdomain", "gone")
	a.run("createdomain", "old")
	a.run("createhost", "-domain", "old", "h", iqn1)
	b.run("createhost", "-domain", "old", "i", iqn2)
	domainsAre(as, "gone old", "old:host/h old:host/i")
	b.Close()
	a.until("it to be alone", func() bool { return !a.reachable() })
	a.run("removedomain", "-f", "gone")
	a.run("createdomain", "empty")
	a.refuses("array array-b does not answer: domain old gets another name", "setdomain", "-name", "new", "old")
	a.run("movetodomain", "-f", "-host", "h", "-unset")
	a.run("removehost", "-f", "i")
	a.Close()
	b.open()
	b.until("it to be alone", func() bool { return !b.reachable() })
	b.run("createhost", "-domain", "gone", "j", "iqn.2026-01.org.example:3")
	a.open()
	// Nothing is in a domain that is none: one that was removed is there again.
	domainsAre(as, "empty gone old", "gone:host/j")
	if text := b.run("showhost", "-nohdtot", "-csvtable"); strings.Contains(text, "\ni,") {
		t.Errorf("a host that was removed: %s", text)
	}
}

// TestMovedApart: what belongs together on one array only, and was moved by each of them while it
// was alone, is where the later change put it; people are told.
func TestMovedApart(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createdomain", "d")
	a.run("createdomain", "e")
	a.run("createhost", "h", iqn1)
	a.run("createvv", "cpg0", "v", "64")
	a.run("createvlun", "v", "1", "h")
	a.run("movetodomain", "-f", "-host", "h", "d")
	domainsAre(as, "d e", "d:cpg/cpg0 d:host/h")
	b.Close()
	a.until("it to be alone", func() bool { return !a.reachable() })
	a.run("movetodomain", "-f", "-host", "h", "e")
	a.Close()
	b.open()
	b.until("it to be alone", func() bool { return !b.reachable() })
	b.run("movetodomain", "-f", "-cpg", "cpg0", "e")
	b.run("movetodomain", "-f", "-cpg", "cpg0", "d")
	a.open()
	domainsAre(as, "d e", "d:cpg/cpg0 e:host/h")
	a.until("it to tell", func() bool { return a.events("array array-a: host h is not in the same domain as CPG cpg0") == 1 })
}

// TestWhatBelongsTogetherMoves on both arrays, also where only the other one has what ties it.
func TestWhatBelongsTogetherMoves(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createdomain", "d")
	a.run("createhost", "h", iqn1)
	a.run("createhost", "i", iqn2)
	a.run("createvv", "cpg0", "va", "64")
	b.run("createvv", "cpg0", "vb", "64")
	b.run("createvlun", "vb", "1", "h")
	b.run("createhostset", "s", "h", "i")
	a.refuses("CPG cpg0, host h, host i, host set s: say -f", "movetodomain", "-vv", "va", "d")
	a.run("movetodomain", "-f", "-vv", "va", "d")
	domainsAre(as, "d", "d:cpg/cpg0 d:host/h d:host/i d:hostset/s")
	a.because(array.DomainUsed, "removedomain", "-f", "d")
	b.because(array.DomainUsed, "removedomain", "-f", "d")

	// A set that one array alone has and removes leaves the domain; a host's name comes back
	// to none.
	b.run("removevlun", "-f", "vb", "1", "h")
	b.run("removehostset", "-f", "s")
	a.run("removehost", "-f", "i")
	domainsAre(as, "d", "d:cpg/cpg0 d:host/h")
	a.run("createhost", "i", iqn2)
	a.because(array.OtherDomain, "createvlun", "va", "1", "i")
	a.run("movetodomain", "-f", "-host", "h", "-unset")
	a.run("movetodomain", "-f", "-cpg", "cpg0", "-unset")
	b.run("removedomain", "-f", "d")
	domainsAre(as, "", "")
}

// TestManyDomains: more than one message has room for come whole, with their comments, to an array
// that was away.
func TestManyDomains(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	b.Close()
	a.until("it to be alone", func() bool { return !a.reachable() })
	const count = 2*domainsAtOnce + 3
	if err := a.changeBook(t.Context(), func(x *bookOf) error {
		var errs []error
		for i := range count {
			name := fmt.Sprintf("d%03d", i)
			errs = append(errs, x.putDomain(Domain{Name: name, Comment: "of " + name}, false))
			for k := range (placingsAtOnce + count) / count {
				errs = append(errs, x.place(keyOf(hostKind, fmt.Sprintf("h%03d.%03d", i, k)), name))
			}
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	want := a.run("showdomain", "-d")
	if n := strings.Count(want, "of d"); n != count {
		t.Fatalf("%d domains", n)
	}
	b.open()
	b.until("it to have all", func() bool { return b.placed() == a.placed() })
	if got := b.run("showdomain", "-d"); got != want {
		t.Errorf("the other array has %d bytes, want %d", len(got), len(want))
	}
	// A new name for one with more than fit into a message is told, too.
	if err := a.changeBook(t.Context(), func(x *bookOf) error {
		var errs []error
		for i := range placingsAtOnce + 1 {
			errs = append(errs, x.place(keyOf(hostKind, fmt.Sprintf("x%d", i)), "d000"))
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	a.run("setdomain", "-name", "large", "d000")
	b.until("it to have the new name", func() bool { return b.placed() == a.placed() && strings.Contains(b.placed(), "large:host/x9") })
	gone := func(name string) {
		t.Helper()
		a.until(name+" to be told", func() bool { return a.run("showdomain", "-d") == b.run("showdomain", "-d") })
		for _, o := range as {
			if o.hasDomain(name) == nil {
				t.Errorf("%s has domain %s again", o.cfg.Name, name)
			}
		}
	}
	gone("d000")
	// One that was emptied and removed while the other array was away stays removed.
	b.Close()
	a.until("it to be alone", func() bool { return !a.reachable() })
	if err := a.changeBook(t.Context(), func(x *bookOf) error {
		var errs []error
		for k := range (placingsAtOnce + count) / count {
			errs = append(errs, x.place(keyOf(hostKind, fmt.Sprintf("h001.%03d", k)), ""))
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	a.run("removedomain", "-f", "d001")
	b.open()
	b.until("it to have that", func() bool { return b.placed() == a.placed() })
	gone("d001")
}

// TestAUserComesIntoARemovedDomain: it is there again, on both arrays, and no other one of that name
// is made that he would be in; who makes the user here is told.
func TestAUserComesIntoARemovedDomain(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createdomain", "d")
	b.until("it to know d", func() bool { return b.hasDomain("d") == nil })
	b.Close()
	a.until("it to be alone", func() bool { return !a.reachable() })
	a.run("createuser", "-c", "secret12345", "bob", "d", "edit")
	a.Close()
	b.open()
	b.until("it to be alone", func() bool { return !b.reachable() })
	b.run("removedomain", "-f", "d")
	a.open()
	b.until("it to know bob", func() bool { _, err := b.people.User("bob"); return err == nil })
	for _, o := range as {
		o.until("d to be there", func() bool { return o.hasDomain("d") == nil })
	}
	a.nobodyLost()
	b.nobodyLost()
	a.because(array.DomainUsed, "removedomain", "-f", "d")
	c, err := a.people.NewUser("cam", people.Grants{}.With("removed", people.Edit), "secret12345")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.changeUsers(t.Context(), c); array.ReasonOf(err) != array.NoDomain {
		t.Errorf("a user of a domain that was removed meanwhile: %v", err)
	}
}

// TestRefusedBook: a change that the other array refuses is made nowhere.
func TestRefusedBook(t *testing.T) {
	t.Parallel()
	var mute atomic.Bool // what array-b tells is lost
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		c.Exchange = func(_ context.Context, ask func() ([]byte, error)) ([]byte, error) {
			if c.SystemID == 2 && mute.Load() {
				return nil, errors.New("lost")
			}
			return ask()
		}
	})
	a, b := as[0], as[1]
	a.run("createdomain", "d")
	a.run("createdomain", "e")
	a.run("createhost", "-domain", "d", "h", iqn1)
	domainsAre(as, "d e", "d:host/h")
	mute.Store(true)
	for range 3 { // its version is ahead of what array-a knows
		for _, d := range []string{"e", ""} {
			if err := b.changeBook(t.Context(), func(x *bookOf) error { return x.place("host/h", d) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.refuses("was changed on array array-b meanwhile: try again", "movetodomain", "-f", "-host", "h", "e")
	if got := a.placed(); got != "d:host/h" {
		t.Errorf("after it was refused: %s", got)
	}
	mute.Store(false)
	domainsAre(as, "d e", "")
}

// TestEvilBook: what another array could send is refused if no array sends it.
func TestEvilBook(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	a.run("createdomain", "d")
	for i, evil := range []book{
		{Domains: make([]Domain, domainsAtOnce+1)},
		{Placings: make([]placing, placingsAtOnce+1)},
		{Domains: []Domain{{Name: "all"}}},
		{Domains: []Domain{{Name: "-x"}}},
		{Domains: []Domain{{Name: "x", Comment: strings.Repeat("x", maxComment+1)}}},
		{Sets: []DomainSet{{Name: "s", Domains: make([]string, maxDomainsOfSet+1)}}},
		{Sets: []DomainSet{{Name: "s", Domains: []string{""}}}},
		{Placings: []placing{{Object: "vv/v", Domain: "d"}}},
		{Placings: []placing{{Object: "host", Domain: "d"}}},
		{Placings: []placing{{Object: "host/h", Domain: "no name"}}},
	} {
		if err := a.takeBook(evil, nil); array.KindOf(err) != array.Invalid {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := a.domains() + a.placed(); got != "d" {
		t.Errorf("there is %s", got)
	}
	// An older state changes nothing.
	if err := a.takeBook(book{Domains: []Domain{{Name: "d", entry: entry{Removed: true}}}}, nil); err != nil || a.domains() != "d" {
		t.Errorf("%v: %s", err, a.domains())
	}
	// Too many at once, and what is forgotten of those removed.
	if err := a.changeBook(t.Context(), func(b *bookOf) error {
		for i := range maxForgotten + 10 {
			k := keyOf(hostKind, "h"+strings.Repeat("x", i%20)+string(rune('a'+i%26))+string(rune('0'+i/1000))+string(rune('0'+i/100%10))+string(rune('0'+i/10%10))+string(rune('0'+i%10)))
			if err := errors.Join(b.place(k, "d"), b.place(k, "")); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	kept := 0
	if err := a.store.View(func(t *store.Tx) error {
		return tables.placings.EachKey(t, func(string) bool { kept++; return true })
	}); err != nil || kept != maxForgotten {
		t.Errorf("%d removed placings are kept, want %d; %v", kept, maxForgotten, err)
	}
}

// TestEveryCommandIsHeldToDomains, or is for those who have a role in all: a new command is
// one or the other because somebody said so.
func TestEveryCommandIsHeldToDomains(t *testing.T) {
	whole := map[string]bool{}
	for _, name := range strings.Fields(`createuser setuser removeuser showuserconn createdomain setdomain removedomain movetodomain createdomainset setdomainset removedomainset
		createcert importcert removecert showcert createsshhostkey setsshhostkey removesshhostkey startrcopy stoprcopy statrcopy showrctransport checkrclink scrub
		creatercopytarget removercopytarget admitrcopylink dismissrcopylink setrcopytarget`) {
		whole[name] = true
	}
	named := namings()
	for _, c := range commands() {
		if _, is := named[c.name]; is == whole[c.name] {
			t.Errorf("%s: with names %v, for the whole array %v", c.name, is, whole[c.name])
		}
		delete(named, c.name)
		delete(whole, c.name)
	}
	if len(named)+len(whole) > 0 {
		t.Errorf("no commands: %v", slices.Concat(slices.Collect(maps.Keys(named)), slices.Collect(maps.Keys(whole))))
	}
}

// TestNothingIsTold: each command answers one who is in another domain as it answers about what
// does not exist, word for word.
func TestNothingIsTold(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createdomain", "shop")
	a.run("createdomain", "office")
	a.run("createuser", "-c", "correct horse", "bob", "office", "edit")
	a.run("createhost", "-domain", "office", "mine", iqn1)
	a.run("createhostset", "-domain", "office", "myset", "mine")
	a.run("createhost", "h", iqn2)
	a.run("createhostset", "hs", "h")
	a.run("createvv", "cpg0", "v", "64")
	a.run("createsv", "-ro", "sv", "v")
	a.run("createvvset", "vs", "v")
	a.run("setqos", "-io", "9", "vvset:vs")
	a.run("createvlun", "v", "1", "h")
	a.run("createvlun", "v", "2", "set:hs")
	a.run("createsched", "createsv -ro s.@s@ v", "@daily", "sc")
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "gv", "g")
	a.run("movetodomain", "-f", "-cpg", "cpg0", "shop")
	names := []string{"cpg0", "v", "sv", "h", "hs", "vs", "sc", "g", "gv"}
	for _, x := range []string{
		"createvv CPG new 64", "setvv -comment c VV", "setvv -vvset SET VV", "growvv VV 64", "removevv -f VV", "sethost -comment c HOST", "removehost -f HOST", "removehost -f HOST " + iqn2,
		"createhostset -add myset HOST", "createhostset new HOST", "removehostset -f HOSTSET", "removehostset -f HOSTSET HOST", "createhostset -add HOSTSET mine", "createvvset new VV", "removevvset -f SET", "removevvset -f SET VV",
		"createvlun VV 5 mine", "createvlun VV auto set:HOSTSET", "removevlun -f VV 1 HOST", "setqos -io 5 vvset:SET", "showqos vvset:SET", "statqos vvset:SET", "createsv -ro new VV", "createsv new VV", "creategroupsv -ro new:VV", "promotesv SV",
		"createvvcopy -p VV -online CPG new", "createvvcopy -p SV VV", "createvvcopy -halt VV", "createsched createsv_-ro_x_VV @daily new", "setsched -suspend SCHED", "removesched -f SCHED",
		"creatercopygroup GROUP array-b:nothing", "protectvvset SET new array-b:sync", "removercopygroup -f -destroy GROUP", "admitrcopyvv -createvv VV GROUP", "admitrcopyvv -createvv set:SET GROUP", "dismissrcopyvv -f -keepvv VV GROUP", "admitrcopyhost GROUP mine", "dismissrcopyhost -f GROUP HOST",
		"dismissrcopyvv -f -destroy GROUPVV GROUP", "startrcopygroup GROUP", "stoprcopygroup -f GROUP", "syncrcopy GROUP", "setrcopygroup pol auto_recover GROUP", "setrcopygroup period 5m array-b GROUP", "setrcopygroup mode -f periodic array-b GROUP",
		"setrcopygroup switchover GROUP", "setrcopygroup failover GROUP", "setrcopygroup recover GROUP", "setrcopygroup restore GROUP", "setrcopygroup reverse GROUP",
		"controldrrcopygroup sync -f GROUP", "startrcopydrill GROUP", "startrcopydrill -host HOST GROUP", "stoprcopydrill -f GROUP", "showrcopydrill GROUP", "admitrcopytarget far periodic GROUP", "admitrcopytarget far periodic GROUP VV:x", "dismissrcopytarget -f far GROUP", "verify GROUP", "explain GROUP", "showrcopy groups GROUP",
		"showvv VV", "showvv -cpg CPG", "showvv -domain shop", "showcpg CPG", "showhost HOST", "showhostset HOSTSET", "showvvset SET", "showvlun -v VV", "showvlun -host HOST", "showvlun -host set:HOSTSET", "setcpg -sdgw 64 CPG", "showdomain shop",
	} {
		give := func(with *strings.Replacer) string {
			var ws []string
			for _, w := range strings.Fields(x) {
				ws = append(ws, strings.ReplaceAll(with.Replace(w), "_", " "))
			}
			_, err := a.Do(t.Context(), Asked{By: bobOf(a), Words: ws})
			if err == nil {
				return "done"
			}
			return err.Error()
		}
		there := give(strings.NewReplacer("GROUPVV", "gv", "GROUP", "g", "HOSTSET", "hs", "HOST", "h", "SCHED", "sc", "SET", "vs", "CPG", "cpg0", "VV", "v", "SV", "sv"))
		none := give(strings.NewReplacer("GROUPVV", "xgv", "GROUP", "xg", "HOSTSET", "xhs", "HOST", "xh", "SCHED", "xsc", "SET", "xvs", "CPG", "xcpg0", "VV", "xv", "SV", "xsv", "shop", "xshop"))
		for _, n := range append(names, "shop") {
			none = replaceWord(none, "x"+n, n)
		}
		if there != none || there == "done" {
			t.Errorf("%s: %q; of what does not exist: %q", x, there, none)
		}
	}
	// Lists have nothing of it, whichever way they are asked for.
	for _, x := range []string{
		"showvv -d", "showcpg -d", "showvlun", "showhost -d", "showhostset -d", "showhostset -host h", "showvvset -d", "showvvset -vv v", "showqos", "statqos", "showsched", "showtask -all", "showalert -all", "showeventlog", "showrcopy -d",
		"showrcopydrill", "showiscsisession", "showdomain -d", "showdomainset", "showuser", "status",
	} {
		for _, array := range []*testArray{a, b} {
			text, err := array.Do(t.Context(), Asked{By: bobOf(a), Words: strings.Fields(x)})
			words := textWords(strings.ReplaceAll(text, ",", " "))
			if i := slices.IndexFunc(words, func(w string) bool { return slices.Contains(names, w) }); err != nil || i >= 0 {
				t.Errorf("%s of %s: %v\n%s", x, array.cfg.Name, err, text)
			}
		}
	}
}

func bobOf(a *testArray) Caller {
	u, err := a.people.User("bob")
	if err != nil {
		a.t.Fatal(err)
	}
	return Caller{User: u.Name, Grants: u.Grants, From: "192.0.2.9:1", Over: "ssh"}
}

// TestEventsOfADomain: an event or a task is of the domain of what it names, and stays that.
func TestEventsOfADomain(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	a.run("createdomain", "shop")
	a.run("createdomain", "office")
	a.run("createvv", "cpg0", "v", "64")
	a.run("createhost", "-domain", "office", "desk", iqn1)
	a.run("createhost", "-domain", "office", "answers", iqn2)
	a.run("movetodomain", "-f", "-cpg", "cpg0", "shop")
	for text, want := range map[string]string{
		"volume v is full":                   "shop",
		"Snapshot v: gone":                   "shop",
		"CPG cpg0 is 75 percent full":        "shop",
		"host desk was changed":              "office",
		"host desk sees volume v":            "",
		"volume v of desk":                   "",
		"volume v and volume none":           "shop",
		"the other array answers":            "",
		"host nobody was changed":            "",
		"group g was changed; volume v went": "",
		"v":                                  "",
	} {
		if got := a.domainOfText(text); got != want {
			t.Errorf("%q is of %q, want %q", text, got, want)
		}
	}
	a.event("volume v is told of")
	a.run("movetodomain", "-f", "-cpg", "cpg0", "office")
	ann := Caller{User: "ann", Grants: bobIn("shop").Grants}
	all := a.As(ann).Events()
	if len(all) != 1 || all[0].Text != "volume v is told of" {
		t.Errorf("%+v", all)
	}
	if all := a.As(bobIn("office")).Events(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// bobIn may edit what is in a domain.
func bobIn(domain string) Caller {
	return Caller{User: "bob", Grants: people.Grants{}.With(domain, people.Edit)}
}
