// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// turnsRig is a rig with two hosts that have both been there, and a disk that holds.
type turnsRig struct {
	*rig
	noisy, quiet *scsi.Nexus
	held         <-chan struct{}
	ended        chan string
}

// newTurns makes one in which a command counts for as long as patience.
func newTurns(t *testing.T, patience time.Duration) *turnsRig {
	r := &turnsRig{rig: newRig(t), ended: make(chan string, 1000)}
	r.server.SetTurnPatience(patience)
	r.exports.Set(1, ramunit.New("vv1", array.MakeVolumeID(3, 10), 1<<20, 1).Unit(0))
	r.noisy, r.quiet = r.nexus("iqn.noisy", 1), r.nexus("iqn.quiet", 1)
	r.run(r.noisy, cdb(0x28, 1), nil)
	r.run(r.quiet, cdb(0x28, 1), nil)
	r.held = r.disk.Hold(false)
	return r
}

// read starts a read of n blocks.
func (r *turnsRig) read(x *scsi.Nexus, name string, n int) *scsi.Command {
	c := &scsi.Command{CDB: cdb(0x28, n), Arrived: boottime.Now()}
	c.Done = func(c *scsi.Command) {
		if c.InBuffer != nil {
			c.InBuffer.Release()
		}
		if c.Status != scsi.Good {
			name += " failed"
		}
		r.ended <- name
	}
	if _, ok := x.Prepare(c); ok {
		r.t.Fatal("a read wants data")
	}
	return c
}

// TestTheQuietHostDoesNotWait: beside a host with many commands, one with a single one is
// served at once, and of two with many neither gets ahead.
func TestTheQuietHostDoesNotWait(t *testing.T) {
	r := newTurns(t, time.Hour)
	most := 8 * max(runtime.GOMAXPROCS(0), 2)
	for range 3 * most {
		r.read(r.noisy, "noisy", 1)
	}
	for range most {
		<-r.held
	}
	r.read(r.quiet, "quiet", 1)
	<-r.held // although no other of the noisy one's was begun before it
	for range most {
		r.read(r.quiet, "quiet", 1)
	}
	r.disk.Resume()
	count := map[string]int{}
	for i := range 4*most + 1 {
		name := <-r.ended
		count[name]++
		if d := count["noisy"] - count["quiet"]; i > most+4 && i < 3*most && (d > 4+most || d < -4-most) {
			t.Fatalf("after %d answers %v", i, count)
		}
	}
	if count["quiet"] != most+1 || count["noisy"] != 3*most {
		t.Errorf("%v", count)
	}
}

// TestWhatWaitsElsewhereDoesNotCount: commands that are held at their unit keep nobody
// from another: each of them is begun in the end although none is answered.
func TestWhatWaitsElsewhereDoesNotCount(t *testing.T) {
	r := newTurns(t, time.Millisecond)
	for range 100 {
		r.read(r.noisy, "noisy", 1)
	}
	for range 100 {
		<-r.held
	}
	r.runLUN(r.quiet, 1<<48, cdb(0, 0), nil)
	want(t, "another unit", r.runLUN(r.quiet, 1<<48, cdb(0x28, 1), nil), scsi.Good, 0)
	r.disk.Resume()
	for range 100 {
		<-r.ended
	}
}

// TestAbortOfWhatAwaitsItsTurn: it ends at once, and never begins.
func TestAbortOfWhatAwaitsItsTurn(t *testing.T) {
	r := newTurns(t, time.Hour)
	r.read(r.noisy, "large", 2048) // one of those is more than may be under way
	<-r.held
	c := r.read(r.noisy, "waiting", 2048)
	c.Abort()
	if name := <-r.ended; name != "waiting failed" && name != "waiting" {
		t.Errorf("%s ended", name)
	}
	r.disk.Resume()
	if name := <-r.ended; name != "large" {
		t.Errorf("%s ended", name)
	}
}
