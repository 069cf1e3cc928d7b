// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestFarTargetSetUpAnew: the third array loses all but its identity, and is set up anew: it
// counts its groups from the beginning, in another order. Copies are made again.
func TestFarTargetSetUpAnew(t *testing.T) {
	t.Parallel()
	a, b, c := withFarArray(t)
	for _, g := range []string{"g", "h"} {
		a.run("creatercopygroup", g, "array-b:sync")
		a.run("admitrcopyvv", "-createvv", "-size", "16", "v"+g, g)
		a.run("syncrcopy", "-w", g)
		a.run("admitrcopytarget", "-period", "1h", "far", "periodic", g)
		a.run("syncrcopy", "-w", "-t", "far", g)
	}
	t.Log("ids:", a.farGroup("g").Far[0].ID, a.farGroup("h").Far[0].ID)
	c.Close()
	all, err := os.ReadDir(c.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Name() != "identity" {
			if err := os.RemoveAll(filepath.Join(c.cfg.DataDir, f.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.open()
	for _, x := range []*testArray{a, b} {
		c.run("creatercopytarget", "-periodic", "-sysid", fmt.Sprint(x.cfg.SystemID), "-key", x.ident.Pin().String(), x.cfg.Name, "IP", "0:0:1:"+x.cfg.Target.Links[0].Listen)
	}
	for _, x := range []*testArray{a, b, c} {
		x.until("the far arrays to meet", func() bool {
			for _, f := range x.fars() {
				if !f.tie.Reachable() {
					return false
				}
			}
			return len(x.fars()) > 0
		})
	}
	for round := range 2 {
		for _, g := range []string{"h", "g"} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, err := a.Run(ctx, []string{"syncrcopy", "-w", "-t", "far", g})
			cancel()
			t.Logf("round %d, %s: %v", round, g, err)
			if err != nil && round == 1 {
				t.Errorf("group %s gets no point on the target that was rebuilt: %v", g, err)
			}
		}
	}
	t.Log("ids:", a.farGroup("g").Far[0].ID, a.farGroup("h").Far[0].ID)
}
