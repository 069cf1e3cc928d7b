// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Sense says in which direction a figure may miss its budget.
type Sense uint8

// The senses.
const (
	AtLeast Sense = iota
	AtMost
)

// Budget is what a figure is held against: its ratio to the peer's if there is a
// peer, else its value.
type Budget struct {
	Sense Sense
	Limit float64
}

func (b Budget) met(v float64) bool {
	if b.Sense == AtLeast {
		return v >= b.Limit
	}
	return v <= b.Limit
}

// Line is one result. Peer and ratio count only where hasPeer is set.
type Line struct {
	name    string
	value   float64
	unit    string
	hasPeer bool
	peer    float64
	ratio   float64
	budget  Budget
	shown   bool   // without a budget
	unless  string // why the budget does not count, if something else was the limit
}

// Compared makes a line of rounds of ours and the peer's that alternated. The ratio is
// the median of the rounds' ratios: what slows the machine for a while slows both sides
// of a round.
func Compared(name, unit string, ours, peers []float64, b Budget) Line {
	ratios := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(peers)) {
		if peers[i] > 0 {
			ratios = append(ratios, ours[i]/peers[i])
		}
	}
	return Line{name: name, value: Median(ours), unit: unit, hasPeer: true, peer: Median(peers), ratio: Median(ratios), budget: b}
}

// Alone makes a line of a figure without a peer.
func Alone(name, unit string, values []float64, b Budget) Line {
	return Line{name: name, value: Median(values), unit: unit, budget: b}
}

// Shown makes a line that has a peer and no budget: it is there to be seen.
func Shown(name, unit string, ours, peers []float64) Line {
	l := Compared(name, unit, ours, peers, Budget{})
	l.shown = true
	return l
}

// Unless says what else was the limit, so that the budget counts as met; empty: nothing.
func (l Line) Unless(why string) Line {
	l.unless = why
	return l
}

func (l Line) met() bool {
	if l.unless != "" {
		return true
	}
	if l.hasPeer {
		return l.budget.met(l.ratio)
	}
	return l.budget.met(l.value)
}

// columns are the line's fields, as they are printed.
func (l Line) columns() []string {
	peer, ratio, limit := "-", "-", figure(l.budget.Limit)
	if l.hasPeer {
		peer, ratio, limit = figure(l.peer), times(l.ratio), times(l.budget.Limit)
	}
	if l.shown {
		return []string{l.name, figure(l.value), l.unit, peer, ratio, "-", "shown"}
	}
	sign, verdict := ">=", "missed"
	if l.budget.Sense == AtMost {
		sign = "<="
	}
	if l.met() {
		verdict = "met"
		if l.unless != "" {
			verdict += " (" + l.unless + ")"
		}
	}
	return []string{l.name, figure(l.value), l.unit, peer, ratio, sign + limit, verdict}
}

// Median returns the middle of the values, 0 if there are none. It leaves them as
// they are.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// figure prints a number with three digits that say something.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func times(v float64) string { return fmt.Sprintf("%.2fx", v) }

// Print prints the lines under each other, and how many budgets were met.
func Print(out io.Writer, lines []Line) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	met, missed := 0, 0
	for _, l := range lines {
		for i, c := range l.columns() {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
		switch {
		case l.shown:
		case l.met():
			met++
		default:
			missed++
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "budgets: %d met, %d missed\n", met, missed)
	return err
}
