// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	now := time.Unix(1000, 0)
	var told []string
	m := &Meter{what: "x", tell: func(p Step) { told = append(told, p.String()) }, now: func() time.Time { return now }, began: now, told: now}
	for n := range int64(40) { // 10 seconds
		now = now.Add(250 * time.Millisecond)
		m.At(n, 80, n<<20, "all well")
	}
	if len(told) != 10 {
		t.Fatalf("told %d times in 10 seconds", len(told))
	}
	if want := "x: 23.8 percent, 3.8 MiB/s, 16s left, all well"; told[4] != want {
		t.Errorf("told %q, want %q", told[4], want)
	}
	m.Phase(2, 3)
	m.At(0, 80, 0, "") // a new phase is told at once
	m.Phase(2, 3)
	m.At(0, 80, 0, "")
	if len(told) != 11 || told[10] != "x: 0.0 percent, 0.0 MiB/s" {
		t.Errorf("told %q", told)
	}
	(&Meter{}).At(1, 0, 1, "") // nobody wants to know
}
