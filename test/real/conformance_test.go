// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

var withPeer = flag.Bool("real.peer", false, "run the conformance suite against the other array and against tgt too")

var ownerRounds = flag.Int("real.rounds", 3, "how often the suite is played while the owner moves")

// initiators are the two hosts that the suite plays.
var initiators = [2]string{"iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test", "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test-2"}

// TestConformance runs libiscsi's suite against the serving array of a pair, its tests with
// two paths through one array and through both, and on demand the suite once more against
// the other array after a switchover, and against tgt, to compare with. docs/conformance.md lists
// what is skipped and why, and how much there is of each; anything else is an error.
func TestConformance(t *testing.T) {
	need(t, "iscsi-test-cu")
	if *withPeer {
		need(t, "tgtd", "tgtadm")
	}
	known := readKnown(t, filepath.Join("..", "..", "docs", "conformance.md"))
	p := newSuite(t)
	url := p.url
	own := url(rig.A, lab.Fabric1)
	one := p.suite(4*time.Minute, "ALL", own)
	families("one array", one)
	known.judge(t, "one array", one)
	known.judge(t, "two paths to one array", p.suite(time.Minute, "ALL.MultipathIO", own, url(rig.A, lab.Fabric2)))
	// libiscsi opens no unit in standby, so both arrays serve.
	p.command(rig.A, "setrcopygroup", "pol", "active_active", group)
	p.until(setUpIn, "array-b to serve too", func() bool { return p.shares(rig.B) })
	p.clearCompared()
	known.judge(t, "two arrays", p.suite(time.Minute, "ALL.MultipathIO", own, url(rig.B, lab.Fabric1)))
	if !*withPeer {
		return
	}
	p.until(setUpIn, "array-a to own", func() bool {
		_, _ = p.Command(t.Context(), rig.B, "setrcopygroup", "switchover", group)
		return p.serves(rig.A) && p.shares(rig.B)
	})
	known.judge(t, "the array that does not own", p.suite(4*time.Minute, "ALL", url(rig.B, lab.Fabric2)))
	p.command(rig.A, "setrcopygroup", "pol", "-f", "no_active_active", group)
	p.command(rig.A, "setrcopygroup", "switchover", group)
	p.whole()
	known.judge(t, "the other array", p.suite(4*time.Minute, "ALL", url(rig.B, lab.Fabric2)))
	p.whole()
	// The peer's figures are of its version: told, not held.
	fmt.Printf("conformance: tgt: %s\n", figures(p.suite(4*time.Minute, "ALL", p.peer(suiteBytes))))
}

// newSuite is a pair with a volume that the suite's hosts see.
func newSuite(t *testing.T) *pair {
	t.Helper()
	p := newRig(t)
	p.must(p.StartPair(t.Context()))
	for _, words := range [][]string{
		{"createhost", "suite", initiators[0], initiators[1]},
		{"creatercopygroup", group, rig.Name(rig.B) + ":sync"},
		{"admitrcopyvv", "-createvv", "-size", suiteSize, group + ".0", group},
		{"createvlun", group + ".0", "0", "suite"},
		{"startrcopygroup", "-wait", group},
	} {
		p.command(rig.A, words...)
	}
	p.whole()
	return p
}

// url names the volume through an array.
func (p *pair) url(array int, network string) string {
	return fmt.Sprintf("iscsi://%s:3260/iqn.2026-01.io.perdure:%s/0", p.Lab.Node(rig.Node(array)).Addr(network), rig.Name(array))
}

// TestOwnersMove plays the suite's tests with two paths, one to each array, while the
// group's owner moves back and forth.
func TestOwnersMove(t *testing.T) {
	need(t, "iscsi-test-cu")
	known := readKnown(t, filepath.Join("..", "..", "docs", "conformance.md"))
	p := newSuite(t)
	p.command(rig.A, "setrcopygroup", "pol", "active_active", group)
	p.until(setUpIn, "array-b to serve too", func() bool { return p.shares(rig.B) })
	stop := p.moving()
	for range *ownerRounds {
		p.clearCompared()
		known.judge(t, "two arrays", p.suite(time.Minute, "ALL.MultipathIO", p.url(rig.A, lab.Fabric1), p.url(rig.B, lab.Fabric1)))
	}
	moves := stop()
	t.Logf("meanwhile the owner moved %d times", moves)
	if moves < *ownerRounds {
		t.Errorf("the owner moved %d times in %d rounds", moves, *ownerRounds)
	}
}

// shares reports whether array i serves the group that the other owns.
func (p *pair) shares(i int) bool {
	out, err := p.Command(p.t.Context(), i, "explain", group)
	return err == nil && strings.Contains(out, "shares")
}

// clearCompared zeroes the block that MultipathIO.CompareAndWrite compares with zeros and
// does not clear itself: it clears one less than it goes through.
func (p *pair) clearCompared() {
	h, err := p.HostNamed(initiators[0], rig.A)
	p.must(err)
	defer h.Close()
	ctx, cancel := context.WithTimeout(p.t.Context(), setUpIn)
	defer cancel()
	disks, err := h.Wait(ctx, 1)
	p.must(err)
	p.must(disks[0].Write(ctx, make([]byte, 512), 256*512))
}

// moving moves the owner back and forth until stop is called, which tells how often.
func (p *pair) moving() (stop func() int) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan int, 1)
	go func() {
		n := 0
		for ctx.Err() == nil {
			if _, err := p.Command(ctx, n%2, "setrcopygroup", "switchover", group); err == nil {
				n++
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond): // so that hosts have a turn
			}
		}
		done <- n
	}()
	return func() int { cancel(); return <-done }
}

// The size of the volume that the suite has.
const (
	suiteSize  = "128m"
	suiteBytes = 128 << 20
)

// families prints what came of each of the suite's suites, in its order.
func families(title string, all []verdict) {
	var order []string
	by := map[string][]verdict{}
	for _, v := range all {
		name, _, _ := strings.Cut(v.name, ".")
		if by[name] == nil {
			order = append(order, name)
		}
		by[name] = append(by[name], v)
	}
	for _, name := range order {
		fmt.Printf("conformance: %s: %s: %s\n", title, name, figures(by[name]))
	}
}

// figures tells how many tests there were of each outcome.
func figures(all []verdict) string {
	n := tally(all)
	return fmt.Sprintf("%d run, %d passed, %d failed, %d skipped", len(all), n["passed"], n["failed"], n["skipped"])
}

// judge prints what came of a run and holds it against the page.
func (k known) judge(t *testing.T, title string, all []verdict) {
	t.Helper()
	fmt.Printf("conformance: %s: %s\n", title, figures(all))
	if got := figures(all); k.figures[title] != got {
		t.Errorf("%s: %s; docs/conformance.md says %q", title, got, k.figures[title])
	}
	exceptions := k.exceptions[title]
	met := map[string]bool{}
	for _, v := range all {
		suite, _, _ := strings.Cut(v.name, ".")
		want := "passed"
		for _, name := range []string{v.name, suite} {
			if o, ok := exceptions[name]; ok {
				want, met[name] = o, true
				break
			}
		}
		if v.outcome != want {
			t.Errorf("%s: %s %s; docs/conformance.md says %s\n%s", title, v.name, v.outcome, want, v.detail)
		}
	}
	for name := range exceptions {
		if !met[name] {
			t.Errorf("%s: docs/conformance.md excuses %s, which was not run", title, name)
		}
	}
}

// known is what docs/conformance.md says.
type known struct {
	// figures are the table's rows, by run, as figures writes them.
	figures map[string]string
	// exceptions are what does not pass: heading, then test or suite.
	exceptions map[string]map[string]string
}

// readKnown reads the page's tables. A row `| run | run | passed | failed | skipped |`
// holds figures; below a heading that names a run, a row `| test | outcome | reason |`
// is an exception.
func readKnown(t *testing.T, path string) known {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k, wrong := parseKnown(string(text))
	for _, w := range wrong {
		t.Errorf("%s: %s", path, w)
	}
	return k
}

func parseKnown(text string) (k known, wrong []string) {
	k = known{figures: map[string]string{}, exceptions: map[string]map[string]string{}}
	title := ""
	for _, line := range strings.Split(text, "\n") {
		if h, ok := strings.CutPrefix(line, "## "); ok {
			title = strings.ToLower(h)
			k.exceptions[title] = map[string]string{}
			continue
		}
		c := strings.Split(line, "|")
		for i := range c {
			c[i] = strings.Trim(c[i], " `")
		}
		switch {
		case len(c) == 7 && title == "":
			k.figures[c[1]] = fmt.Sprintf("%s run, %s passed, %s failed, %s skipped", c[2], c[3], c[4], c[5])
		case len(c) == 5 && c[2] == "skipped":
			if c[3] == "" {
				wrong = append(wrong, c[1]+": no reason is given")
			}
			k.exceptions[title][c[1]] = c[2]
		case len(c) == 5 && c[2] == "failed":
			wrong = append(wrong, c[1]+": a failure is no exception")
		}
	}
	k.exceptions["the other array"] = k.exceptions["one array"]
	k.exceptions["the array that does not own"] = k.exceptions["one array"]
	return k, wrong
}

// TestKnownIsRead: the page's tables are understood, and what excuses too much is found.
func TestKnownIsRead(t *testing.T) {
	k, wrong := parseKnown("| one array | 3 | 1 | 0 | 2 |\n\n## One array\n\n| test | outcome | reason |\n|---|---|---|\n" +
		"| `A` | skipped | it is not for disks |\n| `B.C` | skipped | |\n| `D.E` | failed | who knows |\n")
	if k.figures["one array"] != "3 run, 1 passed, 0 failed, 2 skipped" || k.exceptions["one array"]["A"] != "skipped" {
		t.Errorf("%+v", k)
	}
	if len(wrong) != 2 || !strings.HasPrefix(wrong[0], "B.C") || !strings.HasPrefix(wrong[1], "D.E") {
		t.Errorf("%q", wrong)
	}
}
