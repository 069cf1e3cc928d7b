// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
)

// verdict is what really came of one test of libiscsi's suite.
type verdict struct {
	name    string // Suite.Test
	outcome string // passed, failed or skipped
	detail  string
}

// suite runs tests of libiscsi's suite on the host. Its exit status and summary are
// not asked: they count a test that was skipped as one that passed. Some say that they
// were skipped only where all is told.
func (p *pair) suite(limit time.Duration, tests string, urls ...string) []verdict {
	p.t.Helper()
	const program = "iscsi-test-cu"
	args := []string{program, "--dataloss", "-V", "-i", initiators[0], "-I", initiators[1], "-t", tests}
	before, _ := filepath.Glob(filepath.Join(p.Dir, "logs", lab.Host+"-suite*.log"))
	name := fmt.Sprintf("suite%d", len(before)) // each run has a log of its own
	q, err := p.Lab.Node(lab.Host).StartCommand(lab.Command{Name: name, Args: append(args, urls...)})
	p.must(err)
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	err = q.Wait(ctx)
	_ = q.Kill()
	// It is more than the lab keeps in memory.
	files, _ := filepath.Glob(filepath.Join(p.Dir, "logs", lab.Host+"-"+name+"-*.log"))
	if len(files) != 1 {
		p.t.Fatalf("%s -t %s: logs %v", program, tests, files)
	}
	out, readErr := os.ReadFile(files[0])
	p.must(readErr)
	all := verdicts(string(out))
	if errors.Is(err, context.DeadlineExceeded) || len(all) == 0 {
		p.t.Fatalf("%s -t %s: %v\n%s", program, tests, err, end(string(out)))
	}
	return all
}

// end returns the end of a text.
func end(text string) string {
	if at := strings.Index(text, "[FAILED]"); at >= 0 {
		text = text[max(0, at-1000):]
		return text[:min(len(text), 3000)]
	}
	return text[max(0, len(text)-2000):]
}

var parts = regexp.MustCompile(`(?m)^(?:Suite: |  Test: |Run Summary)`)

// verdicts reads what the suite wrote.
func verdicts(out string) (all []verdict) {
	suite := ""
	for _, part := range parts.Split(out, -1) {
		name, rest, isTest := strings.Cut(part, " ...")
		if !isTest || strings.Contains(name, "\n") {
			suite = strings.TrimSpace(part)
			continue
		}
		v := verdict{name: suite + "." + name, outcome: "skipped", detail: end(strings.TrimSpace(rest))}
		// The suite marks each of its own complaints with [FAILED] and each omission
		// with [SKIPPED]; CUnit's word, without brackets, is the verdict.
		switch plain := strings.ReplaceAll(rest, "[FAILED]", ""); {
		case strings.Contains(plain, "FAILED"):
			v.outcome = "failed"
		case !strings.Contains(rest, "[SKIPPED]") && strings.Contains(plain, "passed"):
			v.outcome = "passed"
		case !strings.Contains(rest, "[SKIPPED]"):
			v.outcome = "failed" // it ended without a verdict: the program did, too
		}
		all = append(all, v)
	}
	return all
}

// tally counts verdicts.
func tally(all []verdict) map[string]int {
	n := map[string]int{}
	for _, v := range all {
		n[v.outcome]++
	}
	return n
}

func TestVerdictsAreHonest(t *testing.T) {
	out := `
     CUnit - A unit testing framework for C - Version 2.1-3

Suite: Read10
  Test: Simple ...
    Test READ10 of 1-256 blocks at the start of the LUN passed
passed
  Test: Beyond ...    [SKIPPED] not implemented passed
  Test: Zero ...
    [FAILED] READ10 command: failed with sense
FAILED
    1. test_read10.c:12  - CU_ASSERT_EQUAL(ret,0)
Suite: Last
  Test: Dies ...
    Test that never ends
`
	want := map[string]string{"Read10.Simple": "passed", "Read10.Beyond": "skipped", "Read10.Zero": "failed", "Last.Dies": "failed"}
	all := verdicts(out)
	if len(all) != len(want) {
		t.Fatalf("%+v", all)
	}
	for _, v := range all {
		if want[v.name] != v.outcome {
			t.Errorf("%s counts as %s, want %s", v.name, v.outcome, want[v.name])
		}
	}
	if n := tally(all); n["passed"] != 1 || n["skipped"] != 1 || n["failed"] != 2 {
		t.Errorf("%v", n)
	}
}
