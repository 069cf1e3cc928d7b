// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/people"
)

// A command that concerns both arrays is stopped at each of its exchanges with the other
// one, in each way in which that can be, and then all is up again.

// fault is what happens at an exchange.
type fault int

const (
	loseRequest fault = iota // the link is cut before the other array hears of it
	loseAnswer               // and after it was carried out
	otherDies                // the other array dies before it hears of it
	otherDiesAfter
	thisDies
	thisDiesAfter
)

func (f fault) String() string {
	return [...]string{"the request is lost", "the answer is lost", "the other array dies before", "the other array dies after", "this array dies before", "this array dies after"}[f]
}

// stopper stops a command at an exchange.
type stopper struct {
	mu      sync.Mutex
	armed   bool
	at, now int
	fault   fault
	other   *testArray
	died    chan struct{} // closed when this array is to be ended
	dead    chan struct{} // closed when it may go on, as what nobody hears of
}

var errCut = errors.New("the link was cut")

// stoppable is in the context of the command that is to be stopped.
type stoppable struct{}

func (s *stopper) exchange(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
	if ctx.Value(stoppable{}) == nil {
		return ask()
	}
	s.mu.Lock()
	s.now++
	hit := s.armed && s.now == s.at
	if hit {
		s.armed = false
	}
	f := s.fault
	s.mu.Unlock()
	if !hit {
		return ask()
	}
	if f == loseAnswer || f == otherDiesAfter || f == thisDiesAfter {
		_, _ = ask()
	}
	switch f {
	case otherDies, otherDiesAfter:
		s.other.Close()
	case thisDies, thisDiesAfter:
		close(s.died)
		<-s.dead
	}
	return nil, errCut
}

func (s *stopper) arm(at int, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.at, s.now, s.fault = true, at, 0, f
	s.died, s.dead = make(chan struct{}), make(chan struct{})
}

// hit reports whether the exchange came, and disarms.
func (s *stopper) hit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.armed = false }()
	return !s.armed
}

// twoArrayCommand is one whose effect is on both arrays. In its words, % is what differs
// from case to case.
type twoArrayCommand struct {
	name    string
	before  []string
	command string
	// again is what the command may be refused with when it is given again after it had
	// its effect.
	again string
}

func twoArrayCommands() []twoArrayCommand {
	group := []string{"creatercopygroup g% array-b:sync", "admitrcopyvv -createvv -size 16m v% g%"}
	with := func(more ...string) []string { return append(slices.Clone(group), more...) }
	usedSet := []string{"createhost h% iqn.2026-01.org.example:h%", "createvv cpg0 p% 16m", "createvv cpg0 q% 16m", "createvlun p% 1 h%", "createvlun q% 2 h%", "createvvset s% p% q%"}
	const plain = "setrcopygroup pol no_auto_failover,no_path_management g%"
	return []twoArrayCommand{
		{"found a group", nil, "creatercopygroup g% array-b:sync", "exists already"},
		{"admit a new volume", group, "admitrcopyvv -createvv -size 16m n% g%", "already"},
		{"admit a volume that exists", with("createvv cpg0 p% 16m"), "admitrcopyvv -createvv p% g%", "already"},
		{"found with a volume in use", []string{"creatercopygroup g% array-b:sync", "createvv cpg0 p% 16m", "createhost h% iqn.2026-01.org.example:h%", "createvlun p% 1 h%"}, "admitrcopyvv -createvv p% g%", "already"},
		{"admit a volume in use", with("startrcopygroup -wait g%", "createvv cpg0 p% 16m", "createhost h% iqn.2026-01.org.example:h%", "createvlun p% 1 h%"), "admitrcopyvv -createvv -wait p% g%", "already"},
		{"keep the only volume", with("startrcopygroup -wait g%"), "dismissrcopyvv -f -keepvv v% g%", "is not in"},
		{"dismiss a volume", group, "dismissrcopyvv -f -destroy v% g%", "does not exist"},
		{"remove a group", group, "removercopygroup -f -destroy g%", "does not exist"},
		{"grow a volume", group, "growvv v% 16m", ""},
		{"export a volume", with("createhost h% iqn.2026-01.org.example:h%"), "createvlun v% auto h%", "already"},
		{"end an export", with("createhost h% iqn.2026-01.org.example:h%", "createvlun v% 1 h%"), "removevlun -f v% 1 h%", "is not LUN"},
		{"make a host", nil, "createhost h% iqn.2026-01.org.example:h%", "already"},
		{"change a host", []string{"createhost h% iqn.2026-01.org.example:h%"}, "sethost -persona 2 h%", ""},
		{"remove a host", []string{"createhost h% iqn.2026-01.org.example:h%"}, "removehost -f h%", "does not exist"},
		{"protect a set", []string{"createvv cpg0 p% 16m", "createvvset s% p%"}, "protectvvset s% g% array-b:sync", "already"},
		{"change a policy", group, "setrcopygroup pol active_active g%", ""},
		{"change the mode", with("startrcopygroup -wait g%", plain), "setrcopygroup mode -f periodic array-b g%", "is not in sync"},
		{"change the period", with("startrcopygroup -wait g%", plain, "setrcopygroup mode -f periodic array-b g%"), "setrcopygroup period 1h array-b g%", ""},
		{"make a snapshot", with("startrcopygroup -wait g%"), "createsv -ro r% v%", "exists already"},
		{"remove a snapshot", with("startrcopygroup -wait g%", "createsv -ro r% v%"), "removevv -f r%", "does not exist"},
		{"promote a snapshot", with("startrcopygroup -wait g%", "createsv -ro r% v%"), "promotesv r%", ""},
		{"make a host in a domain", []string{"createdomain d%"}, "createhost -domain d% h% iqn.2026-01.org.example:h%", "already"},
		{"make a set of hosts in a domain", []string{"createdomain d%", "createhost -domain d% h% iqn.2026-01.org.example:h%"}, "createhostset -domain d% s% h%", "exists already"},
		{"make a set of volumes in a domain", []string{"createdomain d%"}, "createvvset -domain d% s%", "exists already"},
		{"found a group in a domain", []string{"createdomain d%"}, "creatercopygroup -domain d% g% array-b:sync", "exists already"},
		{"rename a domain", []string{"createdomain d%", "createhost -domain d% h% iqn.2026-01.org.example:h%", "createuser -c secret12345 u% d% edit"}, "setdomain -name e% d%", "does not exist"},
		{"make a set of volumes", group, "createvvset s% v%", "exists already"},
		{"make a set of several volumes", with("createvv cpg0 p% 16m"), "createvvset s% v% p%", "exists already"},
		{"remove a set of several volumes", with("createvv cpg0 p% 16m", "createvvset s% v% p%"), "removevvset -f s%", "does not exist"},
		{"protect a set in use", usedSet, "protectvvset s% g% array-b:sync", "already"},
		{"admit a set", append(slices.Clone(usedSet), "creatercopygroup g% array-b:sync"), "admitrcopyvv -createvv set:s% g%", "is being admitted"},
		{"recover a group and stop it", with("startrcopygroup -wait g%", "setrcopygroup switchover g%"), "controldrrcopygroup recovery -f -nostart g%", "already"},
		{"fill a set of hosts", with("createhost h% iqn.2026-01.org.example:h%", "createhost i% iqn.2026-01.org.example:i%", "createhostset s% h%", "createvlun v% 1 set:s%"), "createhostset -add s% i%", "already"},
	}
}

func wordsFor(line string, i int) []string {
	return strings.Fields(strings.ReplaceAll(line, "%", fmt.Sprint(i)))
}

// interrupted are two arrays, of which the first can be stopped within commands.
type interrupted struct {
	t    *testing.T
	all  []*testArray
	stop *stopper
	n    int
}

func openInterrupted(t *testing.T) *interrupted {
	x := &interrupted{t: t, stop: &stopper{}}
	x.all = openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = x.stop.exchange
		}
	})
	x.stop.other = x.all[1]
	return x
}

// tried is a case that was played.
type tried struct {
	c    twoArrayCommand
	what string
	i    int
}

// play gives a command that is stopped at its k-th exchange. It returns false if the
// command has none of that number.
func (x *interrupted) play(c twoArrayCommand, k int, f fault) (tried, bool) {
	x.t.Helper()
	x.n++
	p := tried{c, fmt.Sprintf("%s: %v exchange %d", c.name, f, k), x.n}
	a, b := x.all[0], x.all[1]
	for _, line := range c.before {
		if _, err := a.Run(x.t.Context(), wordsFor(line, p.i)); err != nil {
			x.t.Fatalf("%s: before it: %s: %v", p.what, line, err)
		}
	}
	x.stop.arm(k, f)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(x.t.Context())
	defer cancel()
	var err error
	go func(n *Node) {
		defer close(ended)
		_, err = n.Run(context.WithValue(ctx, stoppable{}, true), wordsFor(c.command, p.i))
	}(a.Node)
	select {
	case <-ended:
		x.t.Logf("%s: %v", p.what, err)
	case <-x.stop.died:
		a.Close()
		a.open()
		close(x.stop.dead)
		<-ended
	}
	hit := x.stop.hit()
	if hit && (f == otherDies || f == otherDiesAfter) {
		b.open()
	}
	return p, hit
}

// known is all that an array has that the other one has too.
func (a *testArray) known() string {
	all := []Description{}
	for _, r := range a.shared() {
		d, err := a.describe(r.rec.ID)
		if err != nil {
			return err.Error()
		}
		d.Group.Gone, d.Group.GoneSnaps, d.Record = nil, nil, nil
		d.Group.Epoch, d.Group.Term = 0, 0 // of the last change here
		all = append(all, d)
	}
	hosts, err := a.Hosts()
	if err != nil {
		return err.Error()
	}
	for i := range hosts {
		hosts[i].Paths = nil
	}
	places, err := a.places()
	if err != nil {
		return err.Error()
	}
	sets, err := a.VolumeSets()
	if err != nil {
		return err.Error()
	}
	for i := range sets {
		sets[i].Members = nil // of un-mirrored ones, each array has its own
	}
	users, err := a.people.Users()
	if err != nil {
		return err.Error()
	}
	b, err := json.MarshalIndent(struct {
		Groups []Description
		Hosts  []HostFact
		Sets   []SetFact
		Places map[objectKey]string
		Users  []people.User
	}{all, hosts, sets, places, users}, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// agree waits until both arrays have the same, and all of it is open.
func (x *interrupted) agree() {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 15*time.Second)
	defer cancel()
	for {
		why := x.differ()
		if why == "" {
			return
		}
		if !pause(ctx, 5*time.Millisecond) {
			for _, o := range x.all {
				for _, e := range o.Events() {
					if e.Severity != event.Informational {
						x.t.Logf("%s: %s", o.cfg.Name, e.Text)
					}
				}
				for _, r := range o.shared() {
					if i, err := r.g.Info(); err == nil && i.Synced && i.Alike {
						continue
					}
					text, err := o.Run(context.Background(), []string{"explain", r.rec.Name})
					x.t.Logf("%s: %s%v", o.cfg.Name, text, err)
				}
			}
			x.t.Fatal("the arrays do not come to agree: " + why)
		}
	}
}

// differ says in what the arrays differ, or what is not done yet.
func (x *interrupted) differ() string {
	a, b := x.all[0], x.all[1]
	if !a.reachable() || !b.reachable() {
		return "they do not answer each other"
	}
	here, there := strings.Split(a.known(), "\n"), strings.Split(b.known(), "\n")
	for i := range here {
		if i >= len(there) || here[i] != there[i] {
			from, to := max(0, i-12), i+4
			return fmt.Sprintf("array-a has\n%s\narray-b has\n%s", strings.Join(here[from:min(to, len(here))], "\n"), strings.Join(there[min(from, len(there)):min(to, len(there))], "\n"))
		}
	}
	for _, o := range x.all {
		if name := o.unopenedVolumes(); name != "" {
			return name + " is not open on " + o.cfg.Name
		}
		if !o.kept() {
			return o.cfg.Name + " has more to do of a command"
		}
		if all := o.untold(); len(all) > 0 {
			return fmt.Sprintf("%s has not told of host %s", o.cfg.Name, all[0].Name)
		}
	}
	return ""
}

// unopenedVolumes names a volume that is known and not open.
func (a *testArray) unopenedVolumes() string {
	facts, err := a.Volumes()
	if err != nil {
		return err.Error()
	}
	for _, f := range facts {
		if f.VV.Joins != nil { // its copy would wait for a command that a death is played in
			return "the copy of " + f.VV.Joins.Name
		}
		a.mu.RLock()
		r := a.groups[f.VV.Group]
		there := r != nil && r.units[f.ID] != nil
		a.mu.RUnlock()
		if !there {
			return "volume " + f.Name
		}
	}
	return ""
}

// whole wants a case to have its effect or none, and the command to work, or to be refused
// because it has been given.
func (x *interrupted) whole(p tried) {
	x.t.Helper()
	a := x.all[0]
	for _, line := range p.c.before { // nothing that was there is lost
		words := wordsFor(line, p.i)
		if words[0] == "createvv" {
			if _, _, err := a.vv(words[2]); err != nil {
				x.t.Errorf("%s: %v", p.what, err)
			}
		}
	}
	words := wordsFor(p.c.command, p.i)
	if len(words) > 1 && words[1] == "-domain" {
		for _, o := range x.all {
			o.inDomainOrNone(p.what, words)
		}
	}
	if half := a.halfDone(p); half != "" {
		x.t.Errorf("%s: %s", p.what, half)
	}
	if text, err := a.Run(x.t.Context(), words); err != nil && (p.c.again == "" || !strings.Contains(err.Error(), p.c.again)) {
		x.t.Errorf("%s: given again: %q, %v", p.what, text, err)
	}
}

// TestLostWithinCommands: the link is cut at each exchange of each command.
func TestLostWithinCommands(t *testing.T) {
	long(t)
	t.Parallel()
	x := openInterrupted(t)
	var all []tried
	for _, c := range twoArrayCommands() {
		for _, f := range []fault{loseRequest, loseAnswer} {
			for k := 1; ; k++ {
				p, hit := x.play(c, k, f)
				if all = append(all, p); !hit {
					break
				}
			}
		}
	}
	x.agree()
	for _, p := range all {
		x.whole(p)
	}
	x.agree()
	x.check()
}

// check looks at what is on the disks.
func (x *interrupted) check() {
	x.t.Helper()
	for _, a := range x.all {
		a.Close()
		if _, err := Inspect(a.cfg, false, func(wrong string) { x.t.Errorf("%s: %s", a.cfg.Name, wrong) }); err != nil {
			x.t.Error(err)
		}
	}
}

// TestStoppedBetween: this array ends between two of a command's steps. All commands and
// both arrays are played so with the tag prove.
func TestStoppedBetween(t *testing.T) {
	for _, c := range twoArrayCommands() {
		if c.name != "make a snapshot" && c.name != "admit a volume that exists" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := openInterrupted(t)
			p, hit := x.play(c, 1, thisDies)
			if !hit {
				t.Fatal("the command asked nothing")
			}
			x.agree()
			x.whole(p)
			x.agree()
			x.check()
		})
	}
}

// TestAdmittedAfterARestart: a volume that was never written to is made anew in a group,
// however often the array was started since it was made; one that was is not.
func TestAdmittedAfterARestart(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 2, quick)[0]
	a.run("createvv", "cpg0", "fresh", "16m")
	a.run("createvv", "cpg0", "used", "16m")
	a.write("used", 0, filled(4096, 1))
	a.run("creatercopygroup", "g", "array-b:sync")
	a.Close()
	a.open()
	a.until("the arrays to meet", a.reachable)
	a.until("the volumes to be served", func() bool { return a.serves(a.stored("fresh").Group) && a.serves(a.stored("used").Group) })
	a.run("admitrcopyvv", "-createvv", "fresh", "g")
	a.run("admitrcopyvv", "-createvv", "-wait", "used", "g")
	if fresh, used := a.stored("fresh"), a.stored("used"); fresh.Joined != 0 || used.Joined == 0 {
		t.Errorf("volume fresh took the place of %v, volume used of %v", fresh.Joined, used.Joined)
	}
	a.has("used", 0, filled(4096, 1))
}
