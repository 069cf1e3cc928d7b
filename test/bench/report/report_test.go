// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{100, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{5, 5, 1, 9, 5}, 5},
	} {
		before := slices.Clone(c.values)
		if got := Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("median changed %v to %v", before, c.values)
		}
	}
}

func TestTheRatioIsOfRounds(t *testing.T) {
	// A machine that is half as fast in two of the rounds changes the medians of both
	// sides, not what they are to each other.
	l := Compared("x", "IOPS", []float64{100, 50, 100, 50, 100}, []float64{200, 100, 200, 100, 200}, Budget{AtLeast, 0.5})
	if l.value != 100 || l.peer != 200 || l.ratio != 0.5 || !l.met() {
		t.Errorf("got %+v", l)
	}
	// One odd round decides nothing.
	l = Compared("x", "IOPS", []float64{100, 100, 100}, []float64{100, 1, 100}, Budget{AtLeast, 1.5})
	if l.ratio != 1 || l.met() {
		t.Errorf("got %+v", l)
	}
	// A peer that did nothing makes nobody good.
	l = Compared("x", "IOPS", []float64{100}, []float64{0}, Budget{AtLeast, 0.1})
	if l.met() {
		t.Errorf("got %+v", l)
	}
}

func TestBudgets(t *testing.T) {
	for _, c := range []struct {
		b    Budget
		v    float64
		want bool
	}{
		{Budget{AtLeast, 1}, 1, true},
		{Budget{AtLeast, 1}, 0.999, false},
		{Budget{AtLeast, 1}, 3, true},
		{Budget{AtMost, 64}, 64, true},
		{Budget{AtMost, 64}, 64.1, false},
		{Budget{AtMost, 64}, 0, true},
	} {
		if got := c.b.met(c.v); got != c.want {
			t.Errorf("%+v of %v: met is %v", c.b, c.v, got)
		}
	}
	// Without a peer the value counts, with one the ratio.
	if l := Alone("x", "s", []float64{3}, Budget{AtMost, 2}); l.met() {
		t.Errorf("met: %+v", l)
	}
	if l := Compared("x", "IOPS", []float64{5000}, []float64{10000}, Budget{AtLeast, 1}); l.met() {
		t.Errorf("met: %+v", l)
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	err := Print(&out, []Line{
		Compared("write", "IOPS", []float64{12345}, []float64{10000}, Budget{AtLeast, 1}),
		Alone("memory-of-one", "KiB", []float64{70.25}, Budget{AtMost, 64}),
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "" +
		"write          12345  IOPS  10000  1.23x  >=1.00x  met\n" +
		"memory-of-one  70.2   KiB   -      -      <=64.0   missed\n" +
		"budgets: 1 met, 1 missed\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
