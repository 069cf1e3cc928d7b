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
		up   bool
		rtt  time.Duration
		want string
	}{
		{false, 0, ""},
		{true, 0, "is up"},
		{true, 2 * time.Millisecond, ""},
		{true, 12 * time.Millisecond, "warning: link l to array b has a round trip of 12ms; synchronous mode supports 10ms"},
		{true, 13 * time.Millisecond, ""},
		{true, 9 * time.Millisecond, ""},
		{true, 7 * time.Millisecond, "again"},
		{false, 0, "is down"},
		{false, 0, ""},
	} {
		got := strings.Join(w.look("b", []link.Status{{Name: "l", Up: step.up, RTT: step.rtt}}), "; ")
		if step.want == "" && got != "" || !strings.Contains(got, step.want) {
			t.Errorf("up %v, %v: %q, want %q", step.up, step.rtt, got, step.want)
		}
	}
}
