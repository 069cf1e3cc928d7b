// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// admin gives the array's administrator's commands over one interface, and nothing else.
type admin interface {
	// pair makes the two arrays one, unpair two again.
	pair()
	unpair()
	// furnish makes ten volumes, a set of them, and two hosts; protect makes a group of
	// them that is exported to a host, and in sync, and taken over by people only.
	furnish()
	protect()
	// failOver lets array B take over, rejoin waits until A is back, home brings the group there.
	failOver()
	rejoin()
	home()
	// drill shows the group to the other host through array B, drilled removes that.
	drill()
	drilled()
	// clear takes the exports, the volumes from the group, the group, and all else away.
	clear()
}

const (
	dayVolumes  = 10
	dayPassword = "correct horse battery"
	testHost    = "iqn.2026-01.org.example:test"
)

// day is what both administrators do it on.
type day struct {
	*client
	witness    [2]string // address and key
	keys       [2]string
	ids, names [2]string
}

// TestDayOfAnAdministrator: two arrays that know nothing of each other become a pair,
// protect ten volumes, lose an array, get it back, rehearse, and are left as they were;
// once through SSH alone, with OpenSSH's client, and once through REST alone, with the same
// state at each hour.
func TestDayOfAnAdministrator(t *testing.T) {
	need(t, "ssh")
	p := newRigFrom(t, cli.Plan{ByCommand: true, SSH: [2]string{"0.0.0.0:2222", "0.0.0.0:2222"}})
	d := &day{client: &client{pair: p, known: filepath.Join(p.Dir, "known")}}
	p.must(os.WriteFile(filepath.Join(p.Dir, "password"), []byte("#!/bin/sh\necho "+dayPassword+"\n"), 0o700))
	ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	p.must(p.StartWitness())
	key, err := p.Lab.Node(lab.Witness).Run(ctx, filepath.Join(p.Bin, "perdure-witness"), "key", "--config", filepath.Join(p.Dir, "witness", "witness.toml"))
	p.must(err)
	d.witness = [2]string{p.Lab.Node(lab.Witness).Addr(lab.Manage).String(), strings.TrimSpace(key)}
	for i := range 2 {
		p.configure(i, "size_mib = 1024\n", "size_mib = 64\n\n[wsapi]\nlisten = [\"0.0.0.0:8080\"]\n")
		p.must(p.StartArray(ctx, i))
		// Who owns the machine makes the first user; all that follows is that user's.
		p.command(i, "createuser", "-c", dayPassword, "admin", "all", "super")
		d.ids[i], d.names[i] = fmt.Sprint(i+1), rig.Name(i)
	}
	before := d.state()
	var hours [2][]string
	for k, a := range []admin{&overSSH{day: d}, newOverREST(d)} {
		hours[k] = d.live(a)
		if after := d.state(); after != before {
			t.Errorf("%T: something is left behind: before the day\n%s\nafter it\n%s", a, before, after)
		}
	}
	for k, over := range hours[0] {
		if hours[1][k] != over {
			t.Errorf("hour %d: through SSH\n%s\nthrough REST\n%s", k, lacking(over, hours[1][k]), lacking(hours[1][k], over))
		}
	}
}

// lacking returns the lines of one text that another hasn't, with the first, which names it.
func lacking(of, in string) string {
	var left []string
	for i, line := range strings.Split(of, "\n") {
		if i == 0 || !slices.Contains(strings.Split(in, "\n"), line) {
			left = append(left, line)
		}
	}
	return strings.Join(left, "\n")
}

// drawn are numbers of objects, which are never given again, and times.
var drawn = regexp.MustCompile(`,\d{4}-\d\d-\d\dT[0-9:]+Z|(?m)^ *\d+,|,\d+\b`)

// state is what both arrays have, without what grows by itself.
func (d *day) state() (text string) {
	d.t.Helper()
	for i := range 2 {
		text += rig.Name(i) + "\n"
		for _, words := range []string{"showvv -csvtable -showcols Name,VSize_MB", "showvlun -csvtable -t", "showhost -csvtable", "showhostset -csvtable", "showvvset -csvtable", "showuser -csvtable", "showrcopy -csvtable -qw targets", "showrcopy -csvtable groups", "showrcopydrill -csvtable", "showsched -csvtable", "showqos -csvtable"} {
			text += words + ":\n" + drawn.ReplaceAllString(d.command(i, strings.Fields(words)...), "")
		}
	}
	return text
}

// live lives a day through, and returns the state after each part of it.
func (d *day) live(a admin) (hours []string) {
	d.t.Helper()
	hour := func(what string) {
		d.t.Helper()
		d.t.Logf("%T: %s", a, what)
		for i := range 2 { // a lease may be on its way
			d.eventually("the target", func() bool { return strings.Contains(d.command(i, "showrcopy", "targets"), " ready ") })
		}
		hours = append(hours, what+"\n"+d.state())
	}
	a.pair()
	a.furnish()
	a.protect()
	d.whole()
	hour("protected")
	h, err := d.Host()
	d.must(err)
	defer h.Close()
	disks, err := h.Wait(d.t.Context(), dayVolumes)
	d.must(err)
	d.written(disks, 1)
	d.must(d.Array(rig.A).Kill())
	a.failOver()
	d.holds(disks, 1)
	d.written(disks, 2)
	d.start(rig.A)
	a.rejoin()
	d.whole()
	d.everywhere(disks)
	hour("failed over and rejoined")
	a.home()
	d.until(setUpIn, "the group to be home", func() bool { return d.serves(rig.A) })
	d.holds(disks, 2)
	a.drill()
	d.written(disks, 3)
	d.drilledHas(2)
	hour("drilled")
	a.drilled()
	d.holds(disks, 3)
	h.Close()
	a.clear()
	hour("cleared")
	a.unpair()
	return hours
}

// everywhere waits until the host is logged in at every port again: showhost tells at which.
func (d *day) everywhere(disks []*host.Disk) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), wholeIn)
	defer cancel()
	for _, disk := range disks {
		d.must(disk.WaitPaths(ctx, func(paths []host.Path) bool {
			return !slices.ContainsFunc(paths, func(p host.Path) bool { return p.State == host.Down })
		}))
	}
}

func (d *day) written(disks []*host.Disk, with byte) {
	d.t.Helper()
	for k, disk := range disks {
		d.must(disk.Write(d.t.Context(), bytes.Repeat([]byte{with}, 4096), int64(k)*4096))
	}
}

func (d *day) holds(disks []*host.Disk, with byte) {
	d.t.Helper()
	for k, disk := range disks {
		got := make([]byte, 4096)
		d.must(disk.Read(d.t.Context(), "", got, int64(k)*4096))
		if !bytes.Equal(got, bytes.Repeat([]byte{with}, 4096)) {
			d.t.Errorf("disk %d holds %x..., want %x", k, got[:4], with)
		}
	}
}

// drilledHas wants the drill's host to see what was written before, at one of ten places.
func (d *day) drilledHas(with byte) {
	d.t.Helper()
	h, err := d.HostNamed(testHost, rig.B)
	d.must(err)
	defer h.Close()
	disks, err := h.Wait(d.t.Context(), dayVolumes)
	d.must(err)
	for k, disk := range disks {
		all := make([]byte, dayVolumes*4096)
		d.must(disk.Read(d.t.Context(), "", all, 0))
		if n := bytes.Count(all, []byte{with}); n != 4096 {
			d.t.Errorf("the drill's disk %d has %d bytes of what was written before it", k, n)
		}
		d.must(disk.Write(d.t.Context(), make([]byte, 4096), 0))
	}
}

// eventually gives something again until it is well.
func (d *day) eventually(what string, ok func() bool) {
	d.t.Helper()
	d.until(wholeIn, what, ok)
}
