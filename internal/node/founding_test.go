// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
)

// failingKeep can't tell what a group was, as long as fails says so.
type failingKeep struct {
	group.Keep
	fails *atomic.Bool
}

func (k failingKeep) Get(g array.GroupID, name string) ([]byte, error) {
	if k.fails.Load() {
		return nil, errors.New("the disk can't be read")
	}
	return k.Keep.Get(g, name)
}

// TestFoundingRefusedLate: the other array has stored a new group and can't open it. Nothing
// is left of the group on either array, and the volumes are what they were.
func TestFoundingRefusedLate(t *testing.T) {
	const web = "iqn.2026-01.org.example:web"
	var fails atomic.Bool
	var a, b *testArray
	arrays := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-b" {
			c.Groups = func(g *group.Config) {
				g.Keep = failingKeep{g.Keep, &fails}
				if n := a.sees(web); n != 0 && fails.Load() {
					t.Errorf("hosts see %d volumes that may be taken back", n)
				}
			}
		}
	})
	a, b = arrays[0], arrays[1]
	a.run("createhost", "web", web)
	a.run("createvv", "cpg0", "v0", "64")
	a.run("createvvset", "apps", "v0")
	fails.Store(true)
	a.refuses("the disk can't be read", "protectvvset", "-host", "web", "apps", "g", "array-b:sync")
	fails.Store(false)
	if text := b.run("showrcopy", "groups"); b.count("v0") != 0 || strings.Contains(text, "g ") || len(b.leftOut()) != 0 {
		t.Errorf("array-b has what was refused:\n%s", text)
	}
	a.write("v0", 0, filled(4096, 1))
	a.run("createvv", "cpg0", "v1", "64")
	a.run("createvvset", "more", "v1")
	a.run("protectvvset", "-wait", "-host", "web", "more", "g", "array-b:sync")
	if n := a.sees(web); n != 1 {
		t.Errorf("the host sees %d volumes", n)
	}
}
