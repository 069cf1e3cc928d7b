// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"fmt"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/link"
)

// TestAnswersThatNobodyAskedFor change nothing, and hold nobody up.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	var p probes
	p.heard(link.Frame{})
	x, err := p.begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.begin(); err == nil {
		t.Error("two at a time")
	}
	p.heard(link.Frame{Tag: [16]byte{1, 2, 3}})
	if len(x.heard) != 0 {
		t.Error("a stranger's answer is taken")
	}
	f := link.Frame{}
	copy(f.Tag[:8], x.id[:])
	for range 3 * ProbesOut {
		p.heard(f)
	}
	if len(x.heard) != ProbesOut {
		t.Errorf("%d answers are kept", len(x.heard))
	}
	p.end()
	p.heard(f)
	if _, err := p.begin(); err != nil {
		t.Error(err)
	}
}

// TestBeatsAreCounted in their ranges, and what can't be a time is not.
func TestBeatsAreCounted(t *testing.T) {
	var p Pair
	for _, d := range []time.Duration{-1, 0, time.Hour, 100 * time.Microsecond, 500 * time.Microsecond, 501 * time.Microsecond, 15 * time.Millisecond, time.Second} {
		p.beats.measured("1", int64(d))
	}
	b := p.Beats("1")
	if b.Count != 5 || b.Min != 100*time.Microsecond || b.Max != time.Second || b.Last != time.Second || fmt.Sprint(b.Ranges) != "[2 1 0 0 0 1 0 0 1]" {
		t.Errorf("%+v", b)
	}
	for i := range 2 * maxBeatLinks {
		p.beats.measured(fmt.Sprint("link", i), 1)
	}
	if len(p.beats.link) != maxBeatLinks || p.Beats("link200").Count != 0 || len(p.Beats("none").Ranges) != len(BeatEdges())+1 {
		t.Errorf("%d links", len(p.beats.link))
	}
}
