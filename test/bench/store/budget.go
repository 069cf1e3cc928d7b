// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// sense says in which direction a figure may miss its budget.
type sense uint8

const (
	atLeast sense = iota
	atMost
)

// budget is what a figure is held against: its ratio to the peer's if there is a
// peer, else its value.
type budget struct {
	sense sense
	limit float64
}

func (b budget) met(v float64) bool {
	if b.sense == atLeast {
		return v >= b.limit
	}
	return v <= b.limit
}

// line is one result. Peer and ratio count only where hasPeer is set.
type line struct {
	name    string
	value   float64
	unit    string
	hasPeer bool
	peer    float64
	ratio   float64
	budget  budget
}

// compared makes a line of rounds of ours and the peer's that alternated. The ratio is
// the median of the rounds' ratios: what slows the machine for a while slows both sides
// of a round.
func compared(name, unit string, ours, peers []float64, b budget) line {
	ratios := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(peers)) {
		if peers[i] > 0 {
			ratios = append(ratios, ours[i]/peers[i])
		}
	}
	return line{name: name, value: median(ours), unit: unit, hasPeer: true, peer: median(peers), ratio: median(ratios), budget: b}
}

// alone makes a line of a figure without a peer.
func alone(name, unit string, values []float64, b budget) line {
	return line{name: name, value: median(values), unit: unit, budget: b}
}

func (l line) met() bool {
	if l.hasPeer {
		return l.budget.met(l.ratio)
	}
	return l.budget.met(l.value)
}

// columns are the line's fields, as they are printed.
func (l line) columns() []string {
	peer, ratio, limit := "-", "-", figure(l.budget.limit)
	if l.hasPeer {
		peer, ratio, limit = figure(l.peer), times(l.ratio), times(l.budget.limit)
	}
	sign, verdict := ">=", "missed"
	if l.budget.sense == atMost {
		sign = "<="
	}
	if l.met() {
		verdict = "met"
	}
	return []string{l.name, figure(l.value), l.unit, peer, ratio, sign + limit, verdict}
}

// median returns the middle of the values, 0 if there are none. It leaves them as
// they are.
func median(values []float64) float64 {
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

// report prints the lines under each other, and how many budgets were met.
func report(out io.Writer, lines []line) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	met := 0
	for _, l := range lines {
		for i, c := range l.columns() {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
		if l.met() {
			met++
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "budgets: %d met, %d missed\n", met, len(lines)-met)
	return err
}
