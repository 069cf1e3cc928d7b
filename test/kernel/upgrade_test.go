// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/rig"
)

// nextVersion is what the programs of the upgrade call themselves.
const nextVersion = "0.1.0-next"

// buildNext builds the programs of this tree under the next version, into dir.
func buildNext(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", dir,
		"-ldflags", "-X github.com/perdure/perdure/internal/array.Version="+nextVersion, "./cmd/...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build version %s: %w\n%s", nextVersion, err, out)
	}
	return nil
}

// upgrade puts the other programs in place of an array's.
func (w *world) upgrade(ctx context.Context, i int, version string) error {
	name := string(rune('A' + i))
	if err := w.steps(ctx, "terminate "+name+"; start "+name+"; wait whole"); err != nil {
		return err
	}
	out, err := w.Command(ctx, i, "showversion", "-s")
	if err == nil && strings.TrimSpace(out) != version {
		err = fmt.Errorf("after the upgrade %s says that it is %q, want %s", rig.Name(i), out, version)
	}
	return err
}

// TestRollingUpgrade changes the programs of both arrays and the witness under load, one
// after the other, to ones of another version string and back: both are of this tree, so
// what this shows is the way, not what two formats would make of it.
func TestRollingUpgrade(t *testing.T) {
	next := t.TempDir()
	must(t, buildNext(t.Context(), next))
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := stage(t, image(t).New, k)
			ctx := t.Context()
			// Hosts with one array only have none while it is upgraded.
			all := w.hosts
			w.hosts = all[:1]
			defer func() { w.hosts = all }()
			h := w.hosts[0]
			must(t, h.startLoad(ctx))
			old, err := w.Command(ctx, rig.A, "showversion", "-s")
			must(t, err)
			from, err := h.now(ctx)
			must(t, err)
			before := w.Bin
			for _, c := range []struct{ bin, version string }{{next, nextVersion}, {before, strings.TrimSpace(old)}} {
				w.Bin = c.bin
				for _, i := range []int{rig.B, rig.A} {
					must(t, w.upgrade(ctx, i, c.version))
					must(t, h.goesOn(ctx))
					must(t, w.whole(ctx)) // a person waits until hosts have their paths again
				}
				must(t, w.steps(ctx, "kill witness; wait chosen; start witness; wait armed"))
				must(t, h.goesOn(ctx))
			}
			to, err := h.now(ctx)
			must(t, err)
			s, err := h.stopLoad(ctx)
			must(t, err)
			must(t, s.bad(false))
			must(t, w.same(ctx))
			t.Logf("both arrays and the witness upgraded to %s and back under load: host paused %.2f s at most, %d writes", nextVersion, s.pause(from, to).Seconds(), s.writes)
		})
	}
}
