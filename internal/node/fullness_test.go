// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/volume"
)

// told are the events that have a word, as "severity text", the oldest first.
func (a *testArray) told(word string) (all []string) {
	for _, e := range a.Events() {
		if strings.Contains(e.Text, word) {
			all = append(all, fmt.Sprintf("%s %s", e.Severity, e.Text))
		}
	}
	return all
}

// TestLevelsOfACPG: each matters as much as what it means, what is left is no bad news, and
// there is no alert when there is room again.
func TestLevelsOfACPG(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	for _, percent := range []int{75, 85, 95, volume.IsFull, 95, 85, 75, 85, 0} {
		a.cpgLevel("cpg0", percent)
		if want := map[int]string{
			75: "New Minor cpg cpg0", 85: "New Minor cpg cpg0", 95: "New Major cpg cpg0", volume.IsFull: "New Major cpg cpg0", 0: "Fixed",
		}[percent]; !strings.HasPrefix(a.stand(), want) {
			t.Errorf("at %d percent the alerts are %s, want %s", percent, a.stand(), want)
		}
	}
	want := []string{
		"Minor CPG cpg0 is 75 percent full or more: remove snapshots, or give it more room",
		"Minor CPG cpg0 is 85 percent full or more: remove snapshots, or give it more room",
		"Major CPG cpg0 is 95 percent full or more: remove snapshots, or give it more room",
		"Major CPG cpg0 is full, and writes that need room are refused: remove snapshots, or give it more room",
		"Informational CPG cpg0 is not full any more, and takes writes",
		"Informational CPG cpg0 is less full than 95 percent again",
		"Informational CPG cpg0 is less full than 85 percent again",
		"Minor CPG cpg0 is 85 percent full or more: remove snapshots, or give it more room",
		"Informational CPG cpg0 is less full than 75 percent again",
	}
	if got := a.told("CPG cpg0"); !slices.Equal(got, want) {
		t.Errorf("the events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAFullCPG says so while hosts are refused, and no longer when there is room.
func TestAFullCPG(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, func(c *Config) {
		c.Pages = func(o *volume.Options) { o.Limit = 64 << 20 }
	})[0]
	a.run("createvv", "cpg0", "v", "256")
	state := func() string {
		f, err := a.CPGs()
		if err != nil {
			t.Fatal(err)
		}
		return f[0].State()
	}
	if n := a.fillUntilFull("v", 0, 256); n == 256 {
		t.Fatal("it is never full")
	}
	a.until("it to be known as full", func() bool { return state() == "full" })
	a.alert("New Major cpg cpg0")
	if text := a.stand(); len(a.told("is full, and writes")) == 0 {
		t.Errorf("the alerts are %s, and nobody is told that it is full", text)
	}
	a.run("removevv", "-f", "v")
	a.until("it to have room", func() bool { return state() == "normal" })
	a.alert("Fixed Major cpg cpg0")
}

// TestALimitMattersMore than a warning: beyond it writes are refused.
func TestALimitMattersMore(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.run("createvv", "-usr_aw", "10", "-usr_al", "25", "cpg0", "v", "256")
	a.run("setcpg", "-sdgw", "16", "-sdgl", "128m", "cpg0")
	a.fillUntilFull("v", 0, 256)
	a.looked("v")
	id := a.stored("v").ID.String()
	for _, want := range []string{"New Minor allocation cpg warn cpg0", "New Minor allocation vv warn " + id, "New Major allocation vv limit " + id} {
		if !strings.Contains(a.stand(), want) {
			t.Errorf("the alerts are %s, want %s", a.stand(), want)
		}
	}
	a.run("setvv", "-usr_al", "0", "v")
	a.fillUntilFull("v", 64, 256)
	a.looked("v")
	if want := "New Major allocation cpg limit cpg0"; !strings.Contains(a.stand(), want) {
		t.Errorf("the alerts are %s, want %s", a.stand(), want)
	}
	a.run("removevv", "-f", "v")
	a.until("them to end", func() bool {
		a.lookAtAllocation()
		return !strings.Contains(a.stand(), "New")
	})
}
