// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// initiators are the two hosts that the suite plays.
var initiators = [2]string{"iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test", "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test-2"}

// TestConformance runs libiscsi's suite against the serving array of a pair, and its
// tests with two paths through one array and through both. docs/conformance.md lists
// what is skipped or fails, and why; anything else is an error.
func TestConformance(t *testing.T) {
	need(t, "iscsi-test-cu")
	known := readKnown(t, filepath.Join("..", "..", "docs", "conformance.md"))
	p := newRig(t)
	p.must(p.StartPair(t.Context()))
	for _, words := range [][]string{
		{"createhost", "suite", initiators[0], initiators[1]},
		{"creatercopygroup", group, rig.Name(rig.B) + ":sync"},
		{"admitrcopyvv", "-createvv", "-size", "128m", group + ".0", group},
		{"createvlun", group + ".0", "0", "suite"},
		{"startrcopygroup", "-wait", group},
	} {
		p.command(rig.A, words...)
	}
	p.whole()

	url := func(array int, network string) string {
		return fmt.Sprintf("iscsi://%s:3260/iqn.2026-01.io.perdure:%s/0", p.Lab.Node(rig.Node(array)).Addr(network), rig.Name(array))
	}
	report := func(title string, all []verdict) {
		n := tally(all)
		fmt.Printf("conformance: %s: %d run, %d passed, %d failed, %d skipped\n", title, len(all), n["passed"], n["failed"], n["skipped"])
		for _, v := range all {
			if want := known.outcome(title, v.name); v.outcome != want {
				t.Errorf("%s: %s %s; docs/conformance.md says %s\n%s", title, v.name, v.outcome, want, v.detail)
			}
		}
	}
	own := url(rig.A, lab.Fabric1)
	report("one array", p.suite(4*time.Minute, "ALL", own))
	report("two paths to one array", p.suite(time.Minute, "ALL.MultipathIO", own, url(rig.A, lab.Fabric2)))
	// libiscsi opens no unit in standby; docs/conformance.md tells more.
	out, err := p.Lab.Node(lab.Host).Run(t.Context(), "iscsi-test-cu", "--dataloss", "-v", "-i", initiators[0], "-t", "ALL.MultipathIO", own, url(rig.B, lab.Fabric1))
	if err == nil || !strings.Contains(out, "NOT READY") || !strings.Contains(out, "0x040b") {
		t.Errorf("both arrays: %v\n%s", err, out)
	}
	fmt.Println("conformance: both arrays: 0 run: libiscsi does not open standby paths")
	p.whole()
}

// known is what docs/conformance.md says does not pass: title, then test or suite.
type known map[string]map[string]string

// outcome returns what is to be expected of a test.
func (k known) outcome(title, test string) string {
	suite, _, _ := strings.Cut(test, ".")
	for _, name := range []string{test, suite} {
		if o, ok := k[title][name]; ok {
			return o
		}
	}
	return "passed"
}

// readKnown reads the tables: a heading names the run, a row `| test | outcome |
// reason |` an exception.
func readKnown(t *testing.T, path string) known {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k := known{}
	title := ""
	for in := bufio.NewScanner(f); in.Scan(); {
		line := in.Text()
		if h, ok := strings.CutPrefix(line, "## "); ok {
			title = strings.ToLower(h)
			k[title] = map[string]string{}
			continue
		}
		c := strings.Split(line, "|")
		if len(c) != 5 {
			continue
		}
		name, outcome, why := strings.Trim(c[1], " `"), strings.TrimSpace(c[2]), strings.TrimSpace(c[3])
		if outcome != "failed" && outcome != "skipped" {
			continue // the table's head
		}
		if why == "" {
			t.Errorf("%s: %s: no reason is given", path, name)
		}
		k[title][name] = outcome
	}
	return k
}
