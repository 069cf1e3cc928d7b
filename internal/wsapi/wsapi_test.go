// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
)

// steps tells of its steps, each only when the one before was heard of.
type steps struct {
	heard chan progress.Step
	err   error
}

func (s steps) RunTelling(ctx context.Context, _ []string, tell func(progress.Step)) (string, error) {
	for n := range 3 {
		if tell == nil {
			break
		}
		tell(progress.Step{What: "x", Percent: float64(n)})
		select {
		case <-s.heard:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "text\n", s.err
}

func serve(t *testing.T, r Runner) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, path, r) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for { // until it listens
		if _, err := Do(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "no array listens") {
			return path
		}
	}
}

// TestProgressComesAtOnce: a step is heard of while the command runs, and whatever the
// command ends with comes after.
func TestProgressComesAtOnce(t *testing.T) {
	for _, fails := range []error{nil, array.Errorf(array.Conflict, "no")} {
		s := steps{make(chan progress.Step, 3), fails}
		path := serve(t, s)
		var got []float64
		text, err := DoTelling(t.Context(), path, []string{"x"}, func(p progress.Step) {
			got = append(got, p.Percent)
			s.heard <- p
		})
		if text != "text\n" || (err == nil) != (fails == nil) || err != nil && err.Error() != "no" {
			t.Errorf("%q, %v", text, err)
		}
		if len(got) != 3 || got[2] != 2 {
			t.Errorf("heard of %v", got)
		}
		if text, err := Do(t.Context(), path, []string{"x"}); text != "text\n" || (err == nil) != (fails == nil) {
			t.Errorf("without progress: %q, %v", text, err)
		}
	}
}

// TestWhoLeavesEndsIt: a command ends when nobody waits for it.
func TestWhoLeavesEndsIt(t *testing.T) {
	s := steps{make(chan progress.Step), nil}
	path := serve(t, s)
	ctx, leave := context.WithCancel(t.Context())
	if _, err := DoTelling(ctx, path, []string{"x"}, func(progress.Step) { leave() }); err == nil {
		t.Error("a command that nobody waited for has an answer")
	}
}
