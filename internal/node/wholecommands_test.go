// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/store"
)

// inDomainOrNone wants what a command makes in a domain to be there, if there is any.
func (a *testArray) inDomainOrNone(what string, words []string) {
	a.t.Helper()
	nm := namings()[words[0]]
	m := mention{kind: nm.makes, name: words[3+nm.makesAt]}
	if err := a.store.View(func(t *store.Tx) error {
		key, err := a.keyOf(t, m)
		if err != nil || key == "" {
			return err
		}
		d, err := domainIn(t, key)
		if d != words[2] {
			a.t.Errorf("%s: on %s, %v is in domain %q, want %q", what, a.cfg.Name, key, d, words[2])
		}
		return err
	}); err != nil {
		a.t.Error(err)
	}
}

// halfDone says what is half done of a command of several steps.
func (a *testArray) halfDone(p tried) string {
	set, group := fmt.Sprint("s", p.i), fmt.Sprint("g", p.i)
	f, err := a.Group(group)
	switch p.c.name {
	case "make a set of several volumes", "remove a set of several volumes":
		if got := a.members(set); got != "none" && strings.Count(got, ",") != 1 {
			return "the set has " + got
		}
	case "protect a set in use":
		if err == nil && len(f.VVs) != 2 {
			return fmt.Sprintf("the group has %d volumes", len(f.VVs))
		}
	case "admit a set":
		if err != nil || len(f.VVs) != 0 && len(f.VVs) != 2 {
			return fmt.Sprintf("the group has %d volumes: %v", len(f.VVs), err)
		}
	case "recover a group and stop it":
		if err != nil || f.Stopped != (f.ServedHere && !f.Shared) {
			return fmt.Sprintf("the group is served here: %v, stopped: %v: %v", f.ServedHere, f.Stopped, err)
		}
	}
	return ""
}

// TestARecoveryIsStoppedAfterADeath: -nostart is kept once the group is served by it, and nothing is
// stopped where the recovery was not begun.
func TestARecoveryIsStoppedAfterADeath(t *testing.T) {
	t.Parallel()
	var b *testArray
	var pledged atomic.Value
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-b" {
			c.Exchange = func(_ context.Context, ask func() ([]byte, error)) ([]byte, error) {
				if err := b.store.View(func(t *store.Tx) error {
					return tables.pledges.Each(t, func(_ string, p pledge) error { pledged.Store(p); return nil })
				}); err != nil {
					return nil, err
				}
				return ask()
			}
		}
	})
	a := as[0]
	b = as[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	b.run("controldrrcopygroup", "recovery", "-f", "-nostart", "g")
	p, ok := pledged.Load().(pledge)
	if f, err := b.Group("g"); err != nil || !ok || !f.ServedHere || !f.Stopped || !b.kept() {
		t.Fatalf("pledged %+v; %+v, %v", p, f, err)
	}
	b.run("startrcopygroup", "-wait", "g")
	b.leaveTo(&p, nil)
	b.until("it to be stopped", func() bool { f, err := b.Group("g"); return err == nil && f.Stopped && b.kept() })
	b.run("startrcopygroup", "-wait", "g")
	b.run("setrcopygroup", "switchover", "g")
	b.until("both to know", func() bool { f, err := b.Group("g"); return err == nil && f.Serving == "array-a" })
	b.leaveTo(&p, nil)
	b.until("nothing to be left", b.kept)
	if f, err := a.Group("g"); err != nil || f.Stopped {
		t.Errorf("stopped: %v, %v", f.Stopped, err)
	}
}
