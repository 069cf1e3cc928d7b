// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/scsi"
)

// fillUntilFull writes MiB after MiB until that is refused, and returns how many it were.
func (a *testArray) fillUntilFull(vv string, from, to int64) (written int64) {
	a.t.Helper()
	for n := from; n < to; n++ {
		err := a.tryWrite(vv, n<<20, filled(1<<20, 5))
		if array.KindOf(err) == array.Full && err != nil {
			return n - from
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
	return to - from
}

// notices counts what hosts of a volume are told.
func (a *testArray) notices(vv string) *chan scsi.Notice {
	c := make(chan scsi.Notice, 16)
	a.t.Cleanup(a.unit(vv).to.Watch(func(n scsi.Notice) { c <- n }))
	return &c
}

// looked returns what is told of the allocation once all is on pages.
func (a *testArray) looked(vv string) string {
	a.t.Helper()
	v := a.stored(vv)
	if err := a.cpgs[v.CPG].Flush(v.Group); err != nil {
		a.t.Fatal(err)
	}
	a.lookAtAllocation()
	return a.run("showeventlog")
}

func TestCPGLimits(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.run("createvv", "cpg0", "v", "256")
	a.refuses("does not exist", "setcpg", "-sdgw", "1g", "none")
	a.refuses("want -sdgw", "setcpg", "cpg0")
	a.refuses("would never come", "setcpg", "-sdgw", "100", "-sdgl", "64", "cpg0")
	a.refuses("size", "setcpg", "-sdgl", "much", "cpg0")
	a.refuses("the CPG has 1024", "setcpg", "-sdgl", "2g", "cpg0")
	a.run("setcpg", "-sdgw", "32", "-sdgl", "64m", "cpg0")
	told := a.notices("v")
	if text := a.run("showcpg", "-nohdtot"); strings.Join(strings.Fields(text), " ") != "cpg0 1 1 0 0.0 0.0 64.0 1024 0.0 - 32 64" {
		t.Errorf("showcpg says\n%s", text)
	}
	if n := a.fillUntilFull("v", 0, 31); n != 31 {
		t.Errorf("%d MiB could be written below the warning", n)
	}
	if text := a.looked("v"); strings.Contains(text, "passed its warning") {
		t.Errorf("told too early:\n%s", text)
	}
	n := 31 + a.fillUntilFull("v", 31, 100)
	if n < 58 || n > 64 {
		t.Errorf("%d MiB of 64 could be written", n)
	}
	a.write("v", 5<<20, filled(1<<20, 6)) // what replaces
	text := a.looked("v")
	a.lookAtAllocation()
	if strings.Count(text, "CPG cpg0 passed its warning") != 1 || strings.Count(text, "CPG cpg0 reached its limit") != 1 {
		t.Errorf("the events are\n%s", text)
	}
	if len(*told) == 0 || (<-*told).Kind != scsi.ThinSoft {
		t.Error("hosts are not told")
	}
	a.refuses("set aside", "createvv", "-full", "cpg0", "full", "64")

	a.Close() // the limit stays; nothing is left of what was refused
	a.open()
	a.until("v to be served", func() bool { return a.serves(a.stored("v").Group) })
	if n := a.fillUntilFull("v", n, 100); n != 0 {
		t.Errorf("after a restart %d MiB could be written beyond the limit", n)
	}
	a.run("setcpg", "-sdgw", "0", "-sdgl", "0", "cpg0")
	if n := a.fillUntilFull("v", n, 100); n < 30 {
		t.Errorf("without a limit %d MiB could be written", n)
	}
}

// TestFullVolumeWithoutRoom: a volume whose size isn't there to be set aside is refused with
// the figure, before anything is made, although the CPG may have as much.
func TestFullVolumeWithoutRoom(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, func(c *Config) { c.CPGs[0].LimitGiB = 1 << 20 })
	a := arrays[0]
	for _, words := range [][]string{
		{"createvv", "-full", "cpg0", "vast", "64t"},
		{"admitrcopyvv", "-createvv", "-full", "-size", "64t", "vast", "g"},
	} {
		if words[0] == "admitrcopyvv" {
			a.run("creatercopygroup", "g", "array-b:sync")
		}
		a.refuses("create volume vast in CPG cpg0: 67108864 MiB are to be set aside, the CPG has", words...)
	}
	for _, x := range arrays {
		if text := x.run("showvv"); strings.Contains(text, "vast") {
			t.Errorf("%s has something of it:\n%s", x.cfg.Name, text)
		}
		if text := x.run("showeventlog"); strings.Contains(text, "opened") {
			t.Errorf("%s tells of it:\n%s", x.cfg.Name, text)
		}
	}
	if c := a.cpgs["cpg0"].Capacity(); c.Limit >= 64<<40 || c.Reserved != 0 {
		t.Errorf("the CPG says that it has %+v", c)
	}
}

func TestAllocationLimits(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.refuses("would never come", "createvv", "-usr_aw", "50", "-usr_al", "40", "cpg0", "v", "256")
	a.refuses("percentage", "createvv", "-usr_al", "101", "cpg0", "v", "256")
	a.refuses("fully provisioned", "createvv", "-full", "-usr_al", "50", "cpg0", "v", "256")
	a.run("createvv", "-usr_aw", "20", "-usr_al", "25", "cpg0", "v", "200")
	told := a.notices("v")
	if n := a.fillUntilFull("v", 0, 100); n < 45 || n > 50 {
		t.Errorf("%d MiB of 50 could be written", n)
	}
	text := a.looked("v")
	if strings.Count(text, "volume v passed its allocation warning of 20 percent") != 1 || strings.Count(text, "volume v reached its allocation limit of 25 percent") != 1 {
		t.Errorf("the events are\n%s", text)
	}
	if len(*told) == 0 || (<-*told).Kind != scsi.ThinSoft {
		t.Error("hosts are not told")
	}
	a.run("createvv", "cpg0", "other", "200")
	if n := a.fillUntilFull("other", 0, 60); n != 60 {
		t.Errorf("another volume could be written %d MiB", n)
	}
	a.refuses("want -usr_aw", "setvv", "v")
	a.run("setvv", "-usr_al", "30", "v")
	if n := a.fillUntilFull("v", 50, 100); n < 8 || n > 14 {
		t.Errorf("%d MiB of 10 more could be written", n)
	}
	a.run("growvv", "v", "200")
	if n := a.fillUntilFull("v", 100, 200); n < 50 {
		t.Errorf("after it grew, %d MiB more could be written", n)
	}

	// In a group, on the array that serves it.
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "200", "m", "g")
	a.run("startrcopygroup", "-wait", "g")
	b.run("setvv", "-usr_al", "25", "m")
	a.until("the group to be served", func() bool { return a.serves(a.stored("m").Group) })
	if n := a.fillUntilFull("m", 0, 100); n < 45 || n > 50 {
		t.Errorf("%d MiB of 50 could be written", n)
	}
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve", func() bool { return b.serves(b.stored("m").Group) })
	if n := b.fillUntilFull("m", 60, 100); n > 3 {
		t.Errorf("on the other array %d MiB more could be written", n)
	}
}
