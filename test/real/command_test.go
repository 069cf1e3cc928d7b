// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/rig"
)

// TestBadCommands gives commands that can't be meant: each is refused with the object,
// the value and what would be right, and changes nothing.
func TestBadCommands(t *testing.T) {
	p := newSmall(t, 1, "64m")
	p.command(rig.B, "createvv", "cpg0", "twin", "64m")
	p.command(rig.A, "createvv", "cpg0", "twin", "32m")
	p.command(rig.A, "createvv", "cpg0", "used", "32m")
	p.command(rig.A, "createvlun", "used", "7", "host")
	before := p.command(rig.A, "showvv") + p.command(rig.A, "showvlun") + p.command(rig.A, "showrcopy") + p.command(rig.B, "showvv")
	for _, c := range []struct {
		command string
		tells   []string
	}{
		{"admitrcopyvv -createvv twin g", []string{"twin", "array-b", "another"}},
		{"removevv -f used", []string{"used", "exported", "VLUN"}},
		{"admitrcopyvv -createvv -size 0 small g", []string{"0", "MiB"}},
		{"admitrcopyvv -createvv -size 65t large g", []string{"65t", "64t"}},
		{"admitrcopyvv -createvv -size 9223372036854775807t large g", []string{"9223372036854775807t", "64t"}},
		{"admitrcopyvv -createvv -cpg none -size 32m x g", []string{"none", "CPG"}},
		{"admitrcopyvv -createvv -size 32m x nogroup", []string{"nogroup"}},
		{"admitrcopyvv -createvv -size 32m g.0 g", []string{"g.0", "group g already"}},
		{"creatercopygroup g array-b:sync", []string{"g", "exists"}},
		{"creatercopygroup h array-c:sync", []string{"array-c", "does not exist"}},
		{"creatercopygroup h array-b:async", []string{"async", "sync"}},
		{"creatercopygroup /etc array-b:sync", []string{"/etc", "letters"}},
		{"createvlun g.0 0 host", []string{"0", "host"}},
		{"createvlun twin 70000 host", []string{"70000", "auto"}},
		{"createvlun g.0 1 nobody", []string{"nobody", "does not exist"}},
		{"createvlun nothing 1 host", []string{"nothing", "does not exist"}},
		{"createhost host2 iqn.2026-01.org.example:host", []string{"iqn.2026-01.org.example:host", "host"}},
		{"createhost host3 not-an-iqn", []string{"not-an-iqn", "iqn."}},
		{"dismissrcopyvv -f -destroy g.0 g", []string{"g.0", "VLUN"}},
		{"removercopygroup -f -destroy g", []string{"g", "VLUN"}},
		{"setrcopygroup pol auto_nothing g", []string{"auto_nothing", "auto_failover"}},
		{"setrcopygroup nowhere g", []string{"nowhere", "switchover"}},
		{"setrcopygroup override g", []string{"-f"}},
		{"setrcopygroup discard -f g", []string{"g", "served here"}},
		{"setrcopygroup switchover nogroup", []string{"nogroup", "does not exist"}},
		{"makecoffee", []string{"makecoffee", "help"}},
	} {
		out, err := p.Command(t.Context(), rig.A, strings.Fields(c.command)...)
		if err == nil {
			t.Errorf("%s: done: %s", c.command, out)
			continue
		}
		for _, w := range c.tells {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v\n\tdoes not tell %q", c.command, err, w)
			}
		}
	}
	after := p.command(rig.A, "showvv") + p.command(rig.A, "showvlun") + p.command(rig.A, "showrcopy") + p.command(rig.B, "showvv")
	if before != after {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	p.whole()
}
