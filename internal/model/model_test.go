// SPDX-License-Identifier: Apache-2.0

package model

import (
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// TestSearch is a small search; make model runs the large one.
func TestSearch(t *testing.T) {
	n := 150_000
	if testing.Short() {
		n = 20_000
	}
	if r := Search(Options{States: n}); r.Violation != "" {
		t.Fatalf("%s\n%v", r.Violation, r.Trace)
	}
	if r := Walk(Options{}, 1, n/200, 300); r.Violation != "" {
		t.Fatalf("%s\n%v", r.Violation, r.Trace)
	}
}

// TestMutants: a missing rule is found out by a short walk, but for the three that
// need the long ones of make model.
func TestMutants(t *testing.T) {
	long := arb.KeepPromise | arb.WitnessUpToDate | arb.RememberVotes
	for _, m := range mutants {
		if m.Without&long != 0 {
			continue
		}
		if r := Walk(Options{Without: m.Without}, 1, 6000, 300); r.Violation == "" {
			t.Errorf("a missing rule was not found out: %s", m.Sentence)
		}
	}
}

// TestSingleFailures: one failure leaves a side that serves; where arrays may not go on by
// themselves that is found out.
func TestSingleFailures(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 200
	}
	tried, bad := SingleFailures(n, nil)
	if bad != "" {
		t.Error(bad)
	}
	t.Logf("%d failures", tried)
	if _, bad := SingleFailures(n, func(c *arb.Config) { c.AutoFailover = false }); bad == "" {
		t.Error("arrays that may not go on by themselves went on")
	}
}
