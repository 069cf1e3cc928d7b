// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/link"
)

func TestEachChangeOfALinkIsToldOnce(t *testing.T) {
	w := newLinkWatch()
	for _, step := range []struct {
		up    bool
		rtt   time.Duration
		times int
		want  string
	}{
		{false, 0, neverUp - 1, ""},
		{false, 0, 10, "is down"},
		{true, 0, 1, "is up"},
		{true, 2 * time.Millisecond, 10, ""},
		{true, 160 * time.Millisecond, inARow - 1, ""}, // pings that a cut held up
		{true, 2 * time.Millisecond, 1, ""},
		{true, 12 * time.Millisecond, inARow, "warning: link l to array b has a round trip of 12ms; synchronous mode supports 10ms"},
		{true, 13 * time.Millisecond, 10, ""},
		{true, 9 * time.Millisecond, 10, ""},
		{true, 7 * time.Millisecond, inARow, "7ms again"},
		{false, 0, 1, "is down"},
		{false, 0, 10, ""},
	} {
		var news []string
		for range step.times {
			for _, x := range w.look("b", []link.Status{{Name: "l", Up: step.up, Last: step.rtt}}) {
				news = append(news, x.text)
				if begins := strings.Contains(x.text, "is down") || strings.Contains(x.text, "warning"); x.lasts != begins {
					t.Errorf("%q: lasts %v", x.text, x.lasts)
				}
			}
		}
		got := strings.Join(news, "; ")
		if step.want == "" && got != "" || !strings.Contains(got, step.want) || len(news) > 1 {
			t.Errorf("up %v, %v: %q, want %q", step.up, step.rtt, got, step.want)
		}
	}
}
