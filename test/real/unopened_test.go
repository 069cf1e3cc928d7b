// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/rig"
)

// TestAGroupThatCannotBeOpened: B is started without a CPG that one of two groups needs.
// It says so, the other group is whole, and A serves both. With the CPG B is filled.
func TestAGroupThatCannotBeOpened(t *testing.T) {
	p := newRig(t)
	second := [2]string{}
	for i := range 2 {
		dir := filepath.Join(p.Dir, rig.Name(i))
		block := func(name string) string {
			return fmt.Sprintf("[[cpg]]\nname = %q\ndir = %q\nlimit_gib = 4\n\n", name, filepath.Join(dir, name))
		}
		second[i] = block("cpg1")
		p.configure(i, "[target]", block("cpg0")+second[i]+"[target]")
		p.configure(i, "size_mib = 1024", "size_mib = 64")
	}
	p.bringUp(1, "64m")
	p.command(rig.A, "creatercopygroup", "h", "array-b:sync")
	p.command(rig.A, "admitrcopyvv", "-createvv", "-size", "16m", "-cpg", "cpg1", "h.0", "h")
	p.command(rig.A, "startrcopygroup", "-wait", "h")

	p.must(p.Array(rig.B).Kill())
	p.configure(rig.B, second[rig.B], "")
	p.start(rig.B)
	const says = "group h can't be opened: volume h.0 is in CPG cpg1, which is not configured"
	if text := p.command(rig.B, "status") + p.command(rig.B, "showeventlog"); strings.Count(text, says) < 2 {
		t.Errorf("B does not say %q in status and events:\n%s", says, text)
	}
	p.whole()
	ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	p.must(p.Until(ctx, "A to serve h alone", func() bool {
		s, err := p.Status(ctx, rig.A, "h")
		return err == nil && s.Serving == rig.Name(rig.A) && strings.Contains(p.Record(ctx, rig.A, "h"), "{A}")
	}))

	p.must(p.Array(rig.B).Kill())
	p.configure(rig.B, "[target]", second[rig.B]+"[target]")
	p.start(rig.B)
	p.command(rig.A, "startrcopygroup", "-wait", "h")
	p.whole()
}
