// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	namespaces "github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// knownFailures of libiscsi's suite, with the reason why each is the suite's.
var knownFailures = map[string]string{}

// knownSkips are the suites, or tests, that have nothing to test here.
// docs/conformance.md says more.
var knownSkips = map[string]string{
	"Sanitize":      "not supported, nor claimed",
	"PreventAllow":  "for removable media",
	"StartStopUnit": "the one about ejecting is for removable media",
	"ReadOnly":      "for a medium that is write-protected by a switch of its own",
	"ReportSupportedOpcodes": "the suite takes the INVALID FIELD IN CDB that it expects for a missing command; " +
		"internal/scsi tests the same",
	"WriteSame10":     "writing zero blocks is refused, as WSNZ announces; and for large physical blocks",
	"WriteSame16":     "the same",
	"CompareAndWrite": "for large physical blocks",
	"MultipathIO":     "needs a second path; TestLibiscsiMultipath has one",
}

// outcome of one test of the suite.
type outcome struct {
	name, verdict, detail string
}

// libiscsi runs tests of the suite against urls and returns what really came of
// each: CUnit counts a skipped test as passed.
func libiscsi(t *testing.T, tests string, urls ...string) []outcome {
	t.Helper()
	bin := namespaces.Need(t, "iscsi-test-cu")
	// Its exit status says that a test failed, which the verdicts say better.
	out, err := exec.Command(bin, append([]string{"--dataloss", "-v", "-t", tests}, urls...)...).CombinedOutput()
	var all []outcome
	suite := ""
	for _, part := range regexp.MustCompile(`(?m)^(?:Suite: |  Test: |Run Summary)`).Split(string(out), -1) {
		name, rest, isTest := strings.Cut(part, " ...")
		if !isTest {
			suite = strings.TrimSpace(part)
			continue
		}
		o := outcome{name: suite + "." + name, verdict: "pass", detail: strings.TrimSpace(rest)}
		switch {
		case strings.Contains(strings.ReplaceAll(rest, "[FAILED]", ""), "FAILED"):
			o.verdict = "fail"
		case strings.Contains(rest, "[SKIPPED]"):
			o.verdict = "skip"
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		t.Fatalf("iscsi-test-cu ran nothing (%v):\n%s", err, out)
	}
	return all
}

// judge holds outcomes against what is known and counts them.
func judge(t *testing.T, all []outcome) map[string]int {
	t.Helper()
	count := make(map[string]int)
	for _, o := range all {
		count[o.verdict]++
		suite, _, _ := strings.Cut(o.name, ".")
		switch {
		case o.verdict == "fail" && knownFailures[o.name] == "":
			t.Errorf("%s failed:\n%s", o.name, o.detail)
		case o.verdict == "skip" && knownSkips[suite] == "":
			t.Errorf("%s was skipped:\n%s", o.name, o.detail)
		case o.verdict == "pass" && knownFailures[o.name] != "":
			t.Errorf("%s passes; it is listed as a known failure", o.name)
		}
	}
	t.Logf("%d tests: %d passed, %d failed, %d skipped", len(all), count["pass"], count["fail"], count["skip"])
	return count
}

// suites lists the suite's suites; with -short some that are over soon.
func suites(t *testing.T) []string {
	if testing.Short() {
		return []string{"CompareAndWrite", "Inquiry", "OrWrite", "ProutRegister", "Read10", "Unmap", "Write10", "WriteSame16", "iSCSIdatasn"}
	}
	out, err := exec.Command(namespaces.Need(t, "iscsi-test-cu"), "--list").CombinedOutput()
	if err != nil {
		t.Fatalf("list libiscsi's tests: %v\n%s", err, out)
	}
	var all []string
	for _, line := range strings.Fields(string(out)) {
		if name, ok := strings.CutPrefix(line, "ALL."); ok && !strings.Contains(name, ".") && name != "MultipathIO" {
			all = append(all, name)
		}
	}
	return all
}

// TestLibiscsi runs libiscsi's conformance suite. Two of its suites wait for
// seconds on purpose; they run beside the others.
func TestLibiscsi(t *testing.T) {
	slow := map[string]bool{"Reserve6": true, "iSCSIcmdsn": true}
	var mu sync.Mutex
	var all []outcome
	t.Run("suites", func(t *testing.T) {
		run := func(name string, list ...string) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t, 100<<20, nil)
				for _, suite := range list {
					got := libiscsi(t, "ALL."+suite, l.url())
					mu.Lock()
					all = append(all, got...)
					mu.Unlock()
				}
			})
		}
		var rest []string
		for _, suite := range suites(t) {
			if slow[suite] {
				run(suite, suite)
			} else {
				rest = append(rest, suite)
			}
		}
		run("others", rest...)
	})
	if len(all) == 0 {
		return // no suite is here
	}
	passed := 190 // of 226 without MultipathIO
	if testing.Short() {
		passed = 40
	}
	if n := judge(t, all)["pass"]; n < passed {
		t.Errorf("only %d tests passed, %d did", n, passed)
	}
}

// TestLibiscsiMultipath runs the suite's tests for two paths, here the ports of
// two arrays that serve one disk.
func TestLibiscsiMultipath(t *testing.T) {
	a := newLab(t, 16<<20, nil)
	a.disk.SetGroups(
		scsi.PortGroup{ID: 1, State: scsi.Optimized, Preferred: true, Ports: []uint16{1}},
		scsi.PortGroup{ID: 2, State: scsi.NonOptimized, Ports: []uint16{129}})
	b := newLab(t, 1<<20, func(c *Config) {
		c.Name += "-b"
		c.Groups[0].Relative = 129
		exports := ramunit.NewExports(a.disk.Unit(1))
		c.Server = scsi.NewServer(scsi.Config{Exports: exports, Pool: c.Server.Pool(), Revision: "1"})
	})
	url := fmt.Sprintf("iscsi://%s/%s-b/0", b.addr(), testName)
	for _, o := range libiscsi(t, "ALL.MultipathIO", a.url(), url) {
		if o.verdict != "pass" {
			t.Errorf("%s: %s\n%s", o.name, o.verdict, o.detail)
		}
	}
}

// TestQEMU moves an image to the disk and compares it, with qemu's initiator.
func TestQEMU(t *testing.T) {
	img := namespaces.Need(t, "qemu-img")
	if out, _ := exec.Command(img, "--help").CombinedOutput(); !strings.Contains(string(out), "iscsi") {
		if m, _ := filepath.Glob("/usr/lib/*/qemu/block-iscsi.so"); len(m) == 0 {
			t.Skip("qemu-img has no iSCSI driver (qemu-block-extra)")
		}
	}
	l := newLab(t, 32<<20, nil)
	file := filepath.Join(t.TempDir(), "image")
	image := pattern(32<<20, 5)
	clear(image[4<<20 : 12<<20]) // zeros become unmapped pages
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"convert", "-n", "-f", "raw", "-O", "raw", file, l.url()},
		{"compare", "-f", "raw", "-F", "raw", file, l.url()},
	} {
		if out, err := exec.Command(img, args...).CombinedOutput(); err != nil {
			t.Fatalf("qemu-img %s: %v\n%s", args[0], err, out)
		}
	}
	if _, mapped := l.disk.Unit(0).Extent(8 << 20); mapped {
		t.Error("zeros take up pages")
	}
}
