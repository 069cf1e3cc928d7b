// SPDX-License-Identifier: Apache-2.0

package group

import "time"

// An owner that does not answer a forward for long counts as lost. So no more is sent to
// it than the way there carries in a fraction of that time, however narrow the way is: the
// rest waits here, where its age is seen, and the contact does not break under the load.

const (
	// firstAllowance and leastAllowance are bytes of forwards without an answer.
	firstAllowance = 4 << 20
	leastAllowance = 64 << 10
	// slowForward is an answer that took so long that less is to be under way.
	slowForward = 250 * time.Millisecond
)

// allowance is how many bytes of forwards may be without an answer.
type allowance struct {
	bytes int64
	// lowered is when it was last made smaller: what was sent before says nothing more.
	lowered time.Time
}

func (a *allowance) size() int64 {
	if a.bytes == 0 {
		return firstAllowance
	}
	return a.bytes
}

// answered learns from one that was sent at a time and answered at another.
func (a *allowance) answered(size int64, sent, now time.Time) {
	switch took := now.Sub(sent); {
	case took > slowForward && sent.After(a.lowered):
		a.bytes, a.lowered = max(leastAllowance, a.size()/2), now
	case took < slowForward/2:
		a.bytes = min(window, a.size()+size)
	}
}
