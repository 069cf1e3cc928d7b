// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// periodic makes a periodic group g with the volumes v1 and v2.
func periodic(t *testing.T) (a, b *testArray) {
	t.Helper()
	arrays := openArrays(t, 2, nil)
	a, b = arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	for _, v := range []string{"v1", "v2"} {
		a.run("admitrcopyvv", "-createvv", "-size", "64m", v, "g")
	}
	a.until("both to talk of g", func() bool {
		f, err := a.Group("g")
		return err == nil && f.State == "Started"
	})
	return a, b
}

// copyHas wants this array's copy of a volume, which nobody serves here, to have these bytes.
func (a *testArray) copyHas(vv string, off int64, want []byte) {
	a.t.Helper()
	v := a.stored(vv)
	got := make([]byte, len(want))
	if err := a.cpgs[v.CPG].Volume(v.ID).Read(got, off); err != nil || !bytes.Equal(got, want) {
		a.t.Errorf("%s: the copy of %s has %q... at %d, want %q...: %v", a.cfg.Name, vv, got[0], off, want[0], err)
	}
}

func (a *testArray) says(want string, words ...string) {
	a.t.Helper()
	if text := a.run(words...); !strings.Contains(text, want) {
		a.t.Errorf("%s: %s does not say %q:\n%s", a.cfg.Name, strings.Join(words, " "), want, text)
	}
}

// sees reports how many units a host sees on this array.
func (a *testArray) sees(initiator string) int { return len(a.exports.LUNs(initiator)) }

func TestPeriodicGroup(t *testing.T) {
	t.Parallel()
	a, b := periodic(t)
	const iqn = "iqn.2026-01.x:h"
	a.run("createhost", "h", iqn)
	a.run("createvlun", "v1", "1", "h")
	a.write("v1", 0, filled(64<<10, 'a'))
	a.write("v2", 1<<20, filled(64<<10, 'a'))
	a.run("syncrcopy", "-w", "g")
	b.copyHas("v1", 0, filled(64<<10, 'a'))
	b.copyHas("v2", 1<<20, filled(64<<10, 'a'))
	a.write("v1", 0, filled(block.Page, 'b'))
	b.copyHas("v1", 0, filled(64<<10, 'a')) // not before the next point
	if a.sees(iqn) != 1 || b.sees(iqn) != 0 {
		t.Errorf("the host sees %d units on the source and %d on the target", a.sees(iqn), b.sees(iqn))
	}
	a.run("syncrcopy", "-w", "g")
	b.copyHas("v1", 0, filled(block.Page, 'b'))
	b.copyHas("v1", block.Page, filled(block.Page, 'a'))

	a.says("Periodic", "showrcopy", "groups", "g")
	a.says("Last-Sync 20", "showrcopy", "groups", "g")
	a.says(", Period 5m,auto_recover,over_per_alert", "showrcopy", "groups", "g")
	b.says("Secondary", "showrcopy", "groups", "g")
	b.says("Last-Sync 20", "showrcopy", "groups", "g")
	b.run("setrcopygroup", "period", "20s", "array-b", "g") // passed on to the source, whose target is named
	a.says("Period 20s", "showrcopy", "groups", "g")
	a.run("setrcopygroup", "period", "1d", "array-b", "g")
	a.says("Period 1d", "showrcopy", "groups", "g")
	a.refuses("want at least 15s", "setrcopygroup", "period", "14s", "array-b", "g")
	a.refuses("want a number with s, m, h or d", "setrcopygroup", "period", "5w", "array-b", "g")
	a.refuses("target array-x does not exist", "setrcopygroup", "period", "5m", "array-x", "g")
	for _, p := range []string{"auto_failover", "path_management", "active_active", "prefer=array-a", "follow_writes"} {
		a.refuses("group g is periodic: its copy is of a moment before", "setrcopygroup", "pol", p, "g")
	}
	a.refuses("'setrcopygroup reverse g' hands it over", "setrcopygroup", "switchover", "g")
	b.refuses("which can be reached", "setrcopygroup", "failover", "-f", "g")
	// Both are made, or none.
	a.refuses("want at least 15s", "setrcopygroup", "pol", "-period", "14s", "no_over_per_alert", "g")
	a.refuses("its copy is of a moment before", "setrcopygroup", "pol", "-period", "20s", "auto_failover", "g")
	a.says(", Period 1d,auto_recover,over_per_alert", "showrcopy", "groups", "g")
	b.run("setrcopygroup", "pol", "-period", "2d", "no_over_per_alert", "g")
	a.says(", Period 2d,auto_recover", "showrcopy", "groups", "g")
	a.run("setrcopygroup", "pol", "over_per_alert", "g")
	a.run("setrcopygroup", "period", "1d", "array-b", "g")
	a.run("setrcopygroup", "pol", "no_over_per_alert", "g")

	a.run("stoprcopygroup", "-f", "g")
	a.says("Stopped", "showrcopy", "groups", "g")
	a.write("v2", 0, filled(block.Page, 'c'))
	a.run("startrcopygroup", "-wait", "g")
	b.copyHas("v2", 0, filled(block.Page, 'c'))

	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v3", "g")
	a.write("v3", 0, filled(block.Page, 'd'))
	a.run("growvv", "v2", "64m")
	a.write("v2", 100<<20, filled(block.Page, 'e'))
	a.run("syncrcopy", "-w", "g")
	b.copyHas("v3", 0, filled(block.Page, 'd'))
	b.copyHas("v2", 100<<20, filled(block.Page, 'e'))
	a.run("dismissrcopyvv", "-f", "-destroy", "v3", "g")
	a.run("syncrcopy", "-w", "g")
	a.run("removevlun", "-f", "v1", "1", "h")
	v1 := a.stored("v1").ID
	a.run("removercopygroup", "-f", "-destroy", "g")
	for _, x := range []*testArray{a, b} {
		for _, id := range []array.VolumeID{v1, array.PointID(v1, 0), array.PointID(v1, 1)} {
			if x.cpgs["cpg0"].Volume(id) != nil {
				t.Errorf("%s: volume or snapshot %v is left", x.cfg.Name, id)
			}
		}
	}
}

// TestPeriodicSurvivesRestarts: points go on after either array was away.
func TestPeriodicSurvivesRestarts(t *testing.T) {
	t.Parallel()
	a, b := periodic(t)
	for i, x := range []*testArray{b, a, b} {
		a.write("v1", int64(i)<<20, filled(64<<10, 'r'))
		a.run("syncrcopy", "-w", "g")
		a.write("v1", int64(i)<<20+32<<10, filled(block.Page, 's'))
		x.Close()
		x.open()
		b.copyHas("v1", int64(i)<<20, filled(64<<10, 'r'))
		a.until("both to talk again", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
		a.run("syncrcopy", "-w", "g")
		b.copyHas("v1", int64(i)<<20+32<<10, filled(block.Page, 's'))
	}
}

// TestPeriodicFailover: the target goes on from the point that it names, the source serves
// nothing when it returns, and follows after recover without a whole copy.
func TestPeriodicFailover(t *testing.T) {
	t.Parallel()
	a, b := periodic(t)
	const iqn = "iqn.2026-01.x:h"
	a.run("createhost", "h", iqn)
	a.run("createvlun", "v1", "1", "h")
	a.write("v1", 0, filled(1<<20, 'a'))
	a.run("syncrcopy", "-w", "g")
	a.write("v1", 0, filled(block.Page, 'x'))     // lost with the failover
	a.write("v1", 8<<20, filled(block.Page, 'x')) // a page that the point lacks
	a.write("v2", 8<<20, filled(64<<10, 'x'))
	at := lastOf(t, b)
	a.Close()
	b.until("a to be lost", func() bool { f, err := b.Group("g"); return err == nil && !f.Contact })
	b.refuses("array array-b has the state of "+at, "setrcopygroup", "failover", "g")
	b.says("from the state of "+at, "setrcopygroup", "failover", "-f", "g")
	b.says("Primary-Rev", "showrcopy", "groups", "g")
	b.says("Stopped", "showrcopy", "groups", "g")
	b.until("the host to see v1 on b", func() bool { return b.sees(iqn) == 1 })
	b.has("v1", 0, filled(1<<20, 'a'))
	b.write("v1", block.Page, filled(block.Page, 'b'))
	b.refuses("does not answer", "setrcopygroup", "recover", "g")

	a.open()
	a.until("a to find out", func() bool {
		f, err := a.Group("g")
		return err == nil && strings.Contains(f.Reason, "a person must choose")
	})
	if f, err := a.Group("g"); err != nil || f.ServedHere {
		t.Errorf("the old source serves: %v", err)
	}
	b.until("a to be reached", func() bool { return b.reachable() })
	b.run("setrcopygroup", "recover", "g")
	b.until("a to follow", func() bool { f, err := b.Group("g"); return err == nil && f.State == "Started" })
	if !strings.Contains(fmt.Sprint(a.Events()), "gave up what it had of after the point") {
		t.Error("the old source did not go back to its own point")
	}
	b.run("syncrcopy", "-w", "g")
	a.copyHas("v1", 0, filled(block.Page, 'a'))
	a.copyHas("v1", block.Page, filled(block.Page, 'b'))
	a.copyHas("v1", 8<<20, filled(block.Page, 0))
	a.copyHas("v2", 8<<20, filled(64<<10, 0))
	if a.sees(iqn) != 0 || b.sees(iqn) != 1 {
		t.Errorf("the host sees %d units on the target and %d on the source", a.sees(iqn), b.sees(iqn))
	}
	a.says("Secondary-Rev", "showrcopy", "groups", "g")

	b.write("v1", 2*block.Page, filled(block.Page, 'c'))
	b.run("setrcopygroup", "restore", "g")
	a.has("v1", 2*block.Page, filled(block.Page, 'c'))
	a.until("exports to follow", func() bool { return a.sees(iqn) == 1 && b.sees(iqn) == 0 })
	a.says("Primary ", "showrcopy", "groups", "g")
	a.until("both to talk of g", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
	a.write("v1", 3*block.Page, filled(block.Page, 'd'))
	a.run("syncrcopy", "-w", "g")
	b.copyHas("v1", 3*block.Page, filled(block.Page, 'd'))
	b.refuses("is served by its home array already", "setrcopygroup", "restore", "g")
	a.run("setrcopygroup", "reverse", "g")
	b.has("v1", 3*block.Page, filled(block.Page, 'd'))
}

func lastOf(t *testing.T, a *testArray) string {
	t.Helper()
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	i, err := r.g.Info()
	if err != nil || i.Period.At.IsZero() {
		t.Fatalf("no point: %v", err)
	}
	return lastSync(i)
}

// aloneOn reports whether array-a has left the other one out of group g, and serves it.
func aloneOn(a *testArray) bool {
	r, err := a.findGroup("g")
	if err != nil {
		return false
	}
	i, err := r.g.Info()
	return err == nil && i.Record.Members == array.OnlyA && i.Serving
}

// TestModes: a group changes its mode while it is used, where that is safe.
func TestModes(t *testing.T) {
	t.Parallel()
	a, b := periodic(t)
	a.write("v1", 0, filled(block.Page, 'a'))
	a.refuses(`mode "both": want sync or periodic`, "setrcopygroup", "mode", "both", "array-b", "g")
	a.says("no array takes it over by itself", "setrcopygroup", "mode", "sync", "array-b", "g")
	a.until("g to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" })
	b.copyHas("v1", 0, filled(block.Page, 'a'))
	a.refuses("is synchronous and has no period", "setrcopygroup", "period", "5m", "array-b", "g")
	a.refuses("over_per_alert is for periodic groups", "setrcopygroup", "pol", "over_per_alert", "g")
	a.run("setrcopygroup", "pol", "auto_failover,path_management", "g")
	a.refuses("'setrcopygroup pol no_auto_failover,no_path_management g' takes them off", "setrcopygroup", "mode", "periodic", "array-b", "g")
	a.run("setrcopygroup", "pol", "no_auto_failover,no_path_management", "g")
	a.run("createhost", "h", "iqn.2026-01.x:h")
	a.run("createvlun", "v1", "1", "h")
	a.refuses("is not logged in at array array-a", "setrcopygroup", "mode", "periodic", "array-b", "g")
	a.run("setrcopygroup", "mode", "-f", "periodic", "array-b", "g")
	a.until("both to talk of g", func() bool {
		f, err := a.Group("g")
		return err == nil && f.State == "Started" && f.Period > 0 && aloneOn(a)
	})
	a.run("setrcopygroup", "mode", "sync", "array-b", "g")
	a.until("g to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" && f.Period == 0 })
	a.run("removevlun", "-f", "v1", "1", "h")
	// The target is array-b for whoever asks that, which passes it on, too.
	b.says("every 5m", "setrcopygroup", "mode", "periodic", "array-b", "g")
	a.until("a to serve alone", func() bool { return aloneOn(a) })
	a.write("v1", 0, filled(block.Page, 'b'))
	b.copyHas("v1", 0, filled(block.Page, 'a'))
	a.run("syncrcopy", "-w", "g")
	b.copyHas("v1", 0, filled(block.Page, 'b'))
}

// TestPeriodicTranscript: what people read of a periodic group, letter by letter.
func TestPeriodicTranscript(t *testing.T) {
	t.Parallel()
	a, b := periodic(t)
	a.run("syncrcopy", "-w", "g")
	b.until("the point", func() bool { f, err := b.Group("g"); return err == nil && f.Sync == "Synced" })
	a.until("the point", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" })
	at := lastOf(t, a)
	if lastOf(t, b) != at {
		t.Errorf("the arrays name different points: %s and %s", at, lastOf(t, b))
	}
	plain := func(text string) string {
		text = strings.ReplaceAll(text, at, "TIME")
		return strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", " | ")), " ")
	}
	for _, c := range []struct {
		on   *testArray
		want string
	}{
		{a, `Name Target Status Role Mode Options | g array-b Started Primary Periodic Last-Sync TIME , Period 5m,auto_recover,over_per_alert | LocalVV ID RemoteVV ID SyncStatus LastSyncTime | v1 3 v1 3 Synced TIME | v2 5 v2 5 Synced TIME |`},
		{b, `Name Target Status Role Mode Options | g array-a Started Secondary Periodic Last-Sync TIME , Period 5m,auto_recover,over_per_alert | LocalVV ID RemoteVV ID SyncStatus LastSyncTime | v1 3 v1 3 Synced TIME | v2 5 v2 5 Synced TIME |`},
	} {
		got := plain(c.on.run("showrcopy", "groups", "g"))
		for _, v := range []string{"v1", "v2"} {
			id := fmt.Sprint(uint32(a.stored(v).ID))
			got = strings.ReplaceAll(got, v+" "+id+" ", v+" ID ")
		}
		if !strings.HasSuffix(got, c.want) {
			t.Errorf("%s says\n%s\nwant\n%s", c.on.cfg.Name, got, c.want)
		}
	}
	a.says("newest point "+at, "explain", "g")
}
