// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// makers are commands that make something in the domain that they say.
func makers() map[string]string {
	return map[string]string{
		"createhost":       "createhost -domain d h iqn.2026-01.org.example:h",
		"createhostset":    "createhostset -domain d hs",
		"createvvset":      "createvvset -domain d vs",
		"creatercopygroup": "creatercopygroup -domain d g array-b:sync",
	}
}

// TestMadeInADomainFromTheFirstMoment: when the other array is told of what is new it is told where
// it belongs, and here that was so before.
func TestMadeInADomainFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	var a, b *testArray
	made, checked := "", false
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
				out, err := ask()
				if ctx.Value(stoppable{}) != nil {
					for _, o := range []*testArray{a, b} {
						o.inDomainOrNone(made, strings.Fields(made))
					}
					checked = true
				}
				return out, err
			}
		}
	})
	a, b = as[0], as[1]
	a.run("createdomain", "d")
	for name, nm := range namings() {
		if nm.makes == "" || name == "protectvvset" { // which has its domain from its set
			continue
		}
		made, checked = makers()[name], false
		if made == "" {
			t.Errorf("%s makes something, and is not tested here", name)
			continue
		}
		if _, err := a.Run(context.WithValue(t.Context(), stoppable{}, true), strings.Fields(made)); err != nil || !checked {
			t.Errorf("%s: %v, asked the other array: %v", made, err, checked)
		}
	}
	const all = "d:group/g d:host/h d:hostset/hs d:vvset/vs"
	domainsAre(as, "d", all)
	a.run("createvv", "cpg0", "v", "16m")
	a.run("movetodomain", "-f", "-vv", "v", "d")
	a.run("createvvset", "-add", "vs", "v")
	a.run("protectvvset", "vs", "p", "array-b:sync")
	domainsAre(as, "d", "d:cpg/cpg0 d:group/g d:group/p d:host/h d:hostset/hs d:vvset/vs")
}

// TestRefusedThereIsInNoDomain: what the other array does not take is taken back here with its
// place, and what has its name there stays where it is.
func TestRefusedThereIsInNoDomain(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createdomain", "d")
	a.run("createdomain", "e")
	domainsAre(as, "d e", "")
	h := Host{Name: "h", Persona: 2, Initiators: []string{iqn2}}
	if err := b.takeHost(hostChange{Name: "h", Now: &h}, &book{Placings: []placing{{Object: "host/h", Domain: "e", entry: entry{Version: 1, Change: 1}}}}, nil); err != nil {
		t.Fatal(err)
	}
	a.because(array.HostExists, "createhost", "-domain", "d", "h", iqn1)
	if in, err := b.places(); err != nil || in["host/h"] != "e" {
		t.Errorf("there host h is in domain %q: %v", in["host/h"], err)
	}
	a.until("nothing to be in a domain by it", func() bool { p := a.placed(); return p == "" || p == "e:host/h" })
}
