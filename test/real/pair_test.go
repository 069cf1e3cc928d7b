// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

const (
	group   = "g"
	setUpIn = 40 * time.Second
	// wholeIn is how long a lost array may take until its copy is whole again.
	wholeIn = 60 * time.Second
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// pair is a pair of arrays in a test.
type pair struct {
	*rig.Rig
	t *testing.T
}

// timed are the tests in which moments or pauses matter: they have the machine to
// themselves. The others are mostly waiting, and run beside one another.
func timed(t *testing.T) bool {
	switch t.Name() {
	case "TestConformance", "TestOwnersMove", "TestWindowsArbitration", "TestHeartbeatsOverFailovers",
		"TestStuckLink", "TestAKilledArrayEndsItsSessions", "TestKills":
		return true
	}
	return strings.Contains(t.Name(), "/")
}

// newRig makes networks, keys and configuration, and starts nothing. What the
// arrays wrote is kept if the test fails, and must not be a panic.
func newRig(t *testing.T) *pair {
	t.Helper()
	return newRigFrom(t, cli.Plan{})
}

// newRigFrom does so by a plan.
func newRigFrom(t *testing.T, plan cli.Plan) *pair {
	t.Helper()
	if !timed(t) {
		t.Parallel()
	}
	dir, err := os.MkdirTemp("", "pr-") // short: the arrays' sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("data and logs are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	r, err := rig.NewFrom(plan, binaries(t), dir, nil)
	switch {
	case errors.Is(err, lab.ErrUnsupported) && os.Getenv("PERDURE_LAB") != "required":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		noPanic(t, filepath.Join(dir, "logs"))
		if err := r.CheckDisks(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &pair{r, t}
}

// newPair starts a pair with a group of volumes that is in sync and arbitrated by
// the witness.
func newPair(t *testing.T, volumes int, size string) *pair {
	t.Helper()
	p := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	p.must(p.StartPair(ctx))
	p.must(p.Protect(ctx, group, volumes, size))
	p.whole()
	return p
}

// binaries returns where the commands are.
func binaries(t *testing.T) string {
	t.Helper()
	dir, err := rig.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// noPanic looks through all logs.
func noPanic(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(files) == 0 {
		t.Errorf("no logs in %s: %v", dir, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Error(err)
		}
		for _, bad := range []string{"panic:", "fatal error:", "\ngoroutine "} {
			if i := strings.Index(string(b), bad); i >= 0 {
				t.Errorf("%s: %.2000s", filepath.Base(f), b[i:])
				break
			}
		}
	}
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// command gives array i a command.
func (p *pair) command(i int, words ...string) string {
	p.t.Helper()
	out, err := p.Command(p.t.Context(), i, words...)
	if err != nil {
		p.t.Fatalf("%s: %s: %v", rig.Name(i), strings.Join(words, " "), err)
	}
	return out
}

// until waits for something to become true, and tells what both arrays say if it
// does not.
func (p *pair) until(limit time.Duration, what string, ok func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	if err := p.Until(ctx, what, ok); err != nil {
		p.t.Fatalf("%v\n%s", err, p.explain())
	}
}

func (p *pair) explain() (text string) {
	for i := range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		out, err := p.Command(ctx, i, "explain", group)
		cancel()
		if err != nil {
			out = err.Error() + "\n"
		}
		text += rig.Name(i) + ":\n" + out
	}
	return text
}

// whole waits until both copies are current and the witness counts.
func (p *pair) whole() {
	p.t.Helper()
	p.must(p.UntilSync(p.t.Context(), group, wholeIn))
	p.until(setUpIn, "the witness to count", func() bool {
		return strings.Contains(p.Record(p.t.Context(), rig.A, group), "two of three") &&
			strings.Contains(p.Record(p.t.Context(), rig.B, group), "two of three")
	})
}

// serves reports whether array i says of itself that it serves the group.
func (p *pair) serves(i int) bool {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
	defer cancel()
	s, err := p.Status(ctx, i, group)
	return err == nil && s.Serving == rig.Name(i)
}

// move makes array i the one that serves. It is refused while the arrays compare
// their logs.
func (p *pair) move(i int) {
	p.t.Helper()
	var err error
	p.until(15*time.Second, rig.Name(i)+" to be switched over to", func() bool {
		if !p.serves(i) {
			_, err = p.Command(p.t.Context(), 1-i, "setrcopygroup", "switchover", group)
		}
		return p.serves(i)
	})
	if err != nil {
		p.t.Logf("switchover: %v", err)
	}
}

// start starts array i.
func (p *pair) start(i int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), setUpIn)
	defer cancel()
	p.must(p.StartArray(ctx, i))
}
