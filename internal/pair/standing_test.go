// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"testing"
	"time"

	"github.com/perdure/perdure/internal/link"
)

// TestMarkOfNoGrant: a grant that answers no request says nothing, and newer ones than the
// last that counted do.
func TestMarkOfNoGrant(t *testing.T) {
	p := &Pair{clock: NewClock()}
	p.lease.Start(p.clock.Now(), DefaultTiming())
	says := func(want bool) {
		t.Helper()
		if _, got, _ := p.Standing(); got != want {
			t.Errorf("the other array stands in: %v, want %v", got, want)
		}
	}
	asked := p.clock.Now()
	p.granted(link.Frame{Offset: asked + int64(time.Hour), Length: 1, Flags: flagStandsIn})
	says(false)
	p.granted(link.Frame{Offset: asked, Length: 1, Flags: flagStandsIn})
	says(true)
	p.granted(link.Frame{Offset: asked - 1, Length: 1})
	says(true)
	p.granted(link.Frame{Offset: p.clock.Now(), Length: 1})
	says(false)
}
