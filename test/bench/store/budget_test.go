// SPDX-License-Identifier: Apache-2.0

package main

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
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("median changed %v to %v", before, c.values)
		}
	}
}

func TestTheRatioIsOfRounds(t *testing.T) {
	// A machine that is half as fast in two of the rounds changes the medians of both
	// sides, not what they are to each other.
	l := compared("x", "IOPS", []float64{100, 50, 100, 50, 100}, []float64{200, 100, 200, 100, 200}, budget{atLeast, 0.5})
	if l.value != 100 || l.peer != 200 || l.ratio != 0.5 || !l.met() {
		t.Errorf("got %+v", l)
	}
	// One odd round decides nothing.
	l = compared("x", "IOPS", []float64{100, 100, 100}, []float64{100, 1, 100}, budget{atLeast, 1.5})
	if l.ratio != 1 || l.met() {
		t.Errorf("got %+v", l)
	}
	// A peer that did nothing makes nobody good.
	l = compared("x", "IOPS", []float64{100}, []float64{0}, budget{atLeast, 0.1})
	if l.met() {
		t.Errorf("got %+v", l)
	}
}

func TestBudgets(t *testing.T) {
	for _, c := range []struct {
		b    budget
		v    float64
		want bool
	}{
		{budget{atLeast, 1}, 1, true},
		{budget{atLeast, 1}, 0.999, false},
		{budget{atLeast, 1}, 3, true},
		{budget{atMost, 64}, 64, true},
		{budget{atMost, 64}, 64.1, false},
		{budget{atMost, 64}, 0, true},
	} {
		if got := c.b.met(c.v); got != c.want {
			t.Errorf("%+v of %v: met is %v", c.b, c.v, got)
		}
	}
	// Without a peer the value counts, with one the ratio.
	if l := alone("x", "s", []float64{3}, budget{atMost, 2}); l.met() {
		t.Errorf("met: %+v", l)
	}
	if l := compared("x", "IOPS", []float64{5000}, []float64{10000}, budget{atLeast, 1}); l.met() {
		t.Errorf("met: %+v", l)
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	err := report(&out, []line{
		compared("write", "IOPS", []float64{12345}, []float64{10000}, budget{atLeast, 1}),
		alone("memory-of-one", "KiB", []float64{70.25}, budget{atMost, 64}),
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

func TestFiosReport(t *testing.T) {
	const good = `{"jobs":[{"jobname":"peer","error":0,"read":{"iops":0},"write":{"iops":123.5}}]}`
	if got, err := parseFio([]byte(good)); err != nil || got != 123.5 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{
		``, `{}`, `{"jobs":[]}`, `fio: something`,
		`{"jobs":[{"error":5,"write":{"iops":1}}]}`,
		`{"jobs":[{"write":{"iops":0}}]}`,
		`{"jobs":[{"write":{"iops":1}},{"write":{"iops":1}}]}`,
	} {
		if got, err := parseFio([]byte(bad)); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

func TestStampsTellWrongBlocks(t *testing.T) {
	b := make([]byte, 3*stampEvery)
	stamp(b, 8192, 1)
	if err := checkStamps(b, 8192); err != nil {
		t.Error(err)
	}
	if checkStamps(b, 4096) == nil {
		t.Error("blocks of another place pass")
	}
	clear(b[stampEvery : 2*stampEvery])
	if checkStamps(b, 8192) == nil {
		t.Error("a block that was never written passes")
	}
	clear(b)
	if checkStamps(b, 0) == nil {
		t.Error("zeros pass")
	}
}

func TestEveryRateHasItsVariant(t *testing.T) {
	names := map[string]bool{}
	for _, v := range variants() {
		names[v.name] = true
	}
	titles := map[string]bool{}
	for _, r := range rates() {
		if !names[r.variant] {
			t.Errorf("%s: there is no such variant", r.title())
		}
		if titles[r.title()] {
			t.Errorf("%s: twice", r.title())
		}
		titles[r.title()] = true
	}
}
