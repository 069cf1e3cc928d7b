// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"io"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// Mutant is a rule left out, and the sentence it stands for.
type Mutant struct {
	Without  arb.RuleSet
	Sentence string
}

// mutants lists every rule whose absence must be found out.
var mutants = []Mutant{
	{arb.WaitForLease, "serve alone only once the other's lease has surely ended"},
	{arb.SealFirst, "who means to decide against the other stops granting first"},
	{arb.NameTheBase, "a change names the exact record it replaces"},
	{arb.KeepPromise, "a ballot below the promised one is refused"},
	{arb.TakeUpVotes, "who meets a stored change finishes it"},
	{arb.OnlyThisIncarnation, "the witness counts only in the incarnation it was armed in"},
	{arb.WitnessUpToDate, "the witness counts only when brought up to date"},
	{arb.BarredWaits, "the barred side of a pre-election never decides"},
	{arb.GiveUpOnlySynced, "a copy may be promoted only if it holds all that was committed"},
	{arb.TwoOfThree, "two of the three decide"},
	{arb.StartAsGranted, "a starting array behaves as if it had just granted"},
	{arb.NewerWins, "the newer decided record is held"},
	{arb.RememberVotes, "each decides durably"},
}

// failureWorlds is in how many worlds every single failure is tried.
const failureWorlds = 20_000

// Report runs the search and one for each mutant, and says whether all is well.
func Report(w io.Writer, states, mutantStates int) bool {
	ok := true
	if mutantStates > 0 {
		fmt.Fprintf(w, "%-66s %-10s %s\n", "rule left out", "worlds", "found")
		for _, m := range mutants {
			r := Walk(Options{Without: m.Without}, 1, mutantStates/20, 300)
			if r.Violation == "" {
				r = Search(Options{States: mutantStates, Without: m.Without})
			}
			found := r.Violation
			if found == "" {
				found, ok = "NOT CAUGHT", false
			}
			fmt.Fprintf(w, "%-66s %-10d %s in %d steps\n", m.Sentence, r.States, found, max(0, len(r.Trace)-2))
		}
	}
	tried, bad := SingleFailures(failureWorlds, nil)
	if bad != "" {
		ok = false
		fmt.Fprintf(w, "one failure, and no side serves: %s\n", bad)
	} else {
		fmt.Fprintf(w, "one failure: a side serves after each of %d\n", tried)
	}
	if _, bad := SingleFailures(failureWorlds, func(c *arb.Config) { c.AutoFailover = false }); bad == "" {
		ok = false
		fmt.Fprintln(w, "one failure: arrays that may not go on by themselves were NOT CAUGHT")
	}
	deep := Walk(Options{}, 1, min(states/100, 200_000), 400)
	r := Search(Options{States: states})
	if deep.Violation != "" {
		r = deep
	}
	n := 0
	if bad != "" {
		n++
	}
	if r.Violation != "" {
		n, ok = n+1, false
		fmt.Fprintf(w, "violation: %s\n", r.Violation)
		for i, l := range r.Trace {
			fmt.Fprintf(w, "%3d %s\n", i+1, l)
		}
	}
	fmt.Fprintf(w, "worlds at each step from a start: %v\n", r.Levels)
	fmt.Fprintf(w, "random walks: %d steps in walks of %d\n", deep.States, deep.Depth)
	fmt.Fprintf(w, "model: %d states, bound %d steps, %d violations\n", r.States, r.Depth, n)
	return ok
}
