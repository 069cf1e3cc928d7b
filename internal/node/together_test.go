// SPDX-License-Identifier: Apache-2.0

package node

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestSpaceOfOneFileSystem: two CPGs that could each take all that their file system has
// free have it once together.
func TestSpaceOfOneFileSystem(t *testing.T) {
	a := openArrays(t, 1, func(c *Config) {
		c.CPGs = []CPG{
			{Name: "cpg0", Dir: filepath.Join(c.DataDir, "cpg0"), LimitGiB: 1 << 30},
			{Name: "cpg1", Dir: filepath.Join(c.DataDir, "cpg1"), LimitGiB: 1 << 30},
		}
	})[0]
	cpgs, err := a.CPGs()
	if err != nil {
		t.Fatal(err)
	}
	one := cpgs[0].Capacity
	if one.Ground.Disk == 0 || one.Ground.Disk != cpgs[1].Ground.Disk {
		t.Fatalf("the CPGs lie on the file systems %d and %d", one.Ground.Disk, cpgs[1].Ground.Disk)
	}
	most := one.Limit + one.Limit/2 // others use the file system too
	if sum := Together(cpgs); sum.Limit > most || sum.Free() > most {
		t.Errorf("each CPG has %d MiB, and both have %d, with %d free", one.Limit>>20, sum.Limit>>20, sum.Free()>>20)
	}
	lines := strings.Split(strings.TrimSpace(a.run("showsys")), "\n")
	row := strings.Fields(lines[1])
	for _, column := range []int{6, 8} { // total and free
		if n, err := strconv.ParseInt(row[column], 10, 64); err != nil || n > most>>20 || n <= 0 {
			t.Errorf("showsys says %q of a file system with %d MiB:\n%s", row[column], one.Limit>>20, strings.Join(lines, "\n"))
		}
	}
}
