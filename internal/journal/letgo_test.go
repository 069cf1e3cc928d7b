// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"runtime"
	"testing"
	"weak"

	"github.com/perdure/perdure/internal/vfs"
)

// closedJournal is a journal that was used and closed.
func closedJournal(t *testing.T) weak.Pointer[Journal] {
	t.Helper()
	j := mustOpen(t, vfs.NewMem(), testOptions())
	ok(t, j.SetBase(1, pos(0)))
	ok(t, j.Append(rec(1, 1, 8)))
	j.waitFor(1, 1)
	ok(t, j.Close())
	return weak.Make(j.Journal)
}

// TestAClosedJournalIsLetGo by the next collection of garbage: with its buffers it is large.
func TestAClosedJournalIsLetGo(t *testing.T) {
	before := runtime.NumGoroutine()
	j := closedJournal(t)
	for runtime.NumGoroutine() > before && t.Context().Err() == nil { // its own end beside Close
		runtime.Gosched()
	}
	runtime.GC()
	if j.Value() != nil {
		t.Error("something keeps a journal that was closed")
	}
}
