// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/witness"
)

// testWitness is a witness in this process that knows some arrays.
type testWitness struct {
	addr string
	key  pki.Pin
}

func openWitness(t *testing.T, arrays ...*testArray) testWitness {
	t.Helper()
	id, err := pki.Create("witness", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := witness.OpenStore(t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	cfg := witness.ServerConfig{Identity: id, Store: s, Version: "test", Logger: slog.New(slog.DiscardHandler)}
	for _, a := range arrays {
		cfg.Clients = append(cfg.Clients, witness.ClientKey{Name: a.cfg.Name, Key: a.ident.Pin()})
	}
	server, err := witness.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = s.Close()
	})
	return testWitness{l.Addr().String(), id.Pin()}
}

// openStrangers opens two arrays that know nothing of each other, with two addresses for
// links each. The words make each the other's target.
func openStrangers(t *testing.T) (arrays []*testArray, words [2][]string) {
	t.Helper()
	for i := range 2 {
		x := openArrays(t, 1, func(c *Config) {
			quick(c)
			c.Name = fmt.Sprintf("array-%c", 'a'+i)
			c.ISCSI.Name = "iqn.2026-01.io.perdure:" + c.Name
			c.Links.Listen = []string{freePort(t), freePort(t)}
			if i == 1 {
				c.SystemID = 2
			}
		})
		arrays = append(arrays, x[0])
	}
	for i, o := range []*testArray{arrays[1], arrays[0]} {
		words[i] = []string{"-sysid", fmt.Sprint(o.cfg.SystemID), "-key", o.ident.Pin().String(), o.cfg.Name, "IP", "0:0:1:" + o.cfg.Links.Listen[0]}
	}
	return arrays, words
}

func create(words []string) []string { return append([]string{"creatercopytarget"}, words...) }

// TestPairByCommand: two arrays become a pair, with links and a witness, by commands; it
// stays over restarts; and it ends by commands with nothing left behind.
func TestPairByCommand(t *testing.T) {
	t.Parallel()
	arrays, words := openStrangers(t)
	a, b := arrays[0], arrays[1]
	a.run("createhost", "web", "iqn.2026-01.org.example:web")
	a.run("createuser", "-c", "correct horse", "ann", "all", "edit")
	a.run(create(words[0])...)
	a.refuses("has the target array-b already", create(words[0])...)
	if a.reachable() {
		t.Fatal("an array that does not know this one answers")
	}
	b.run(create(words[1])...)
	for _, x := range arrays {
		x.until("the other array", x.reachable)
	}
	b.until("the host", func() bool { _, err := b.host("web"); return err == nil })
	b.until("the user", func() bool { _, err := b.people.User("ann"); return err == nil })

	// A second link, which then is the only one.
	for i, x := range arrays {
		second := "0:0:2:" + arrays[1-i].cfg.Links.Listen[1]
		x.refuses("would have no link", "dismissrcopylink", arrays[1-i].cfg.Name, words[i][len(words[i])-1])
		x.run("admitrcopylink", arrays[1-i].cfg.Name, second)
		x.refuses("has a link", "admitrcopylink", arrays[1-i].cfg.Name, second)
	}
	up := func(x *testArray, links int) func() bool {
		return func() bool {
			f, _ := x.Target()
			for _, l := range f.Links {
				if !l.Up {
					return false
				}
			}
			return len(f.Links) == links
		}
	}
	for _, x := range arrays {
		x.until("two links", up(x, 2))
	}
	for i, x := range arrays {
		x.run("dismissrcopylink", arrays[1-i].cfg.Name, words[i][len(words[i])-1])
	}
	for _, x := range arrays {
		x.until("one link", up(x, 1))
		for _, e := range x.Events() {
			if strings.Contains(e.Text, "silent") {
				t.Errorf("%s: %s", x.cfg.Name, e.Text)
			}
		}
	}
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.write("v", 0, filled(8192, 7))

	w := openWitness(t, a, b)
	witnessed := func(x *testArray) func() bool {
		return func() bool {
			return slices.ContainsFunc(strings.Split(x.run("explain", "g"), "\n"), func(l string) bool {
				return strings.HasPrefix(l, "record") && strings.Contains(l, "two of three")
			})
		}
	}
	a.refuses("say its key", "setrcopytarget", "witness", "create", w.addr, "array-b")
	a.run("setrcopytarget", "witness", "check", "-key", w.key.String(), w.addr)
	a.run("setrcopytarget", "witness", "create", "-key", w.key.String(), w.addr, "array-b")
	a.run("setrcopytarget", "witness", "create", "-remote", "-key", w.key.String(), w.addr, "array-b")
	a.refuses("has the witness", "setrcopytarget", "witness", "create", "-key", w.key.String(), w.addr, "array-b")
	for _, remote := range [][]string{{}, {"-remote"}} {
		a.run(append(append([]string{"setrcopytarget", "witness", "start"}, remote...), "array-b")...)
	}
	a.until("the witness to count", witnessed(a))
	b.until("the witness to count", witnessed(b))
	a.run("setrcopytarget", "witness", "check", "-remote", w.addr, "array-b")
	if text := a.run("setrcopytarget", "witness", "check", "-remote", "array-b"); !strings.Contains(text, "answers array array-b") {
		t.Errorf("the target's witness: %q", text)
	}
	a.run("setrcopytarget", "witness", "check", "array-b")
	a.refuses("target array-x does not exist: want array-b", "setrcopytarget", "witness", "check", "array-x")
	a.refuses("target array-x does not exist: want array-b", "setrcopytarget", "witness", "check", "-remote", "array-x")
	if text := a.run("showrcopy", "-qw", "targets"); !strings.Contains(text, "ATF-ready") {
		t.Error(text)
	}

	// All of it is there after a restart.
	for _, x := range arrays {
		x.Close()
		x.open()
	}
	for _, x := range arrays {
		x.until("the other array", x.reachable)
		x.until("one link", up(x, 1))
	}
	a.until("the group to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" })
	a.until("the witness to count", witnessed(a))
	a.has("v", 0, filled(8192, 7))
	a.refuses("has 1 Remote Copy group with array array-a", "removercopytarget", "-f", "array-b")

	// Without the witness the array that serves is chosen, on both.
	a.run("setrcopytarget", "witness", "stop", "array-b")
	b.run("setrcopytarget", "witness", "stop", "array-a")
	a.until("the witness not to count", func() bool { return !witnessed(a)() && !witnessed(b)() })
	a.until("it to be served", func() bool { return a.serves(a.stored("v").Group) })
	a.run("setrcopytarget", "witness", "remove", "array-b")
	b.run("setrcopytarget", "witness", "remove", "array-a")
	a.refuses("has no witness", "setrcopytarget", "witness", "start", "array-b")

	a.run("removercopygroup", "-f", "-destroy", "g")
	a.run("removercopytarget", "-f", "array-b")
	b.run("removercopytarget", "-f", "array-a")
	for _, x := range arrays {
		if _, ok := x.Target(); ok || x.paired() {
			t.Error("there is a target left")
		}
		x.run("createvv", "cpg0", "alone", "64m")
	}
}

// TestTakesNothingFromNobody: what the other array tells of a group is looked at when it is its
// target no more.
func TestTakesNothingFromNobody(t *testing.T) {
	t.Parallel()
	arrays, words := openStrangers(t)
	a, b := arrays[0], arrays[1]
	a.run(create(words[0])...)
	b.run(create(words[1])...)
	for _, x := range arrays {
		x.until("the other array", x.reachable)
	}
	g, err := a.newGroup("g", "array-b", modeSync)
	if err != nil {
		t.Fatal(err)
	}
	f := founding{d: Description{Group: g}}
	if err := f.number(a.Node); err != nil {
		t.Fatal(err)
	}
	f.d.Record = arb.Stored{Current: arb.First(g.Founder, g.Founding)}.Marshal()
	b.run("removercopytarget", "-f", "array-a")
	if err := b.take(f.d, nil); array.ReasonOf(err) != array.NoTarget {
		t.Errorf("a group without another array was taken up: %v", err)
	}
	b.refuses("does not exist", "removercopygroup", "-f", "g")
}
