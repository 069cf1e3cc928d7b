// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
)

// TestVerifySeesWhatIsHidden: an array that counts as in sync hides what it applied behind a copy
// that nobody ends. A comparison that finds nothing wrong would be a lie.
func TestVerifySeesWhatIsHidden(t *testing.T) {
	t.Parallel()
	var pool group.Copier
	arrays := openArrays(t, 2, func(c *Config) {
		if c.Name == "array-b" {
			c.Groups = func(g *group.Config) {
				if g.Name == "g" {
					pool = g.Copy
				}
			}
		}
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v1", "g")
	a.until("g to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" })
	r, err := b.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.BeginResync(r.rec.ID); err != nil {
		t.Fatal(err)
	}
	a.write("v1", 0, filled(block.Page, 'a'))
	text, err := a.Run(t.Context(), []string{"verify", "g"})
	t.Logf("%s %v", text, err)
	if err == nil || !strings.Contains(err.Error(), "hides") {
		t.Errorf("%s %v", text, err)
	}
	if err := pool.AbortResync(r.rec.ID); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyComparesWhatWasJustWritten: what is not on pages yet, too.
func TestVerifyComparesWhatWasJustWritten(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a := arrays[0]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v1", "g")
	a.until("g to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" })
	a.write("v1", 0, filled(block.Page, 'a'))
	text := a.run("verify", "g")
	if !strings.Contains(text, "1 pages compared, 0 different") {
		t.Error(text)
	}
}

// TestVerifyIsForCopiesInSync: a periodic copy is of an older state.
func TestVerifyIsForCopiesInSync(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v1", "g")
	a.run("syncrcopy", "-w", "g")
	for _, x := range []*testArray{a, b} {
		if text, err := x.Run(t.Context(), []string{"verify", "g"}); array.ReasonOf(err) != array.NotSynced || !strings.Contains(err.Error(), "its copy is of an older state") {
			t.Errorf("%s %v", text, err)
		}
	}
}
