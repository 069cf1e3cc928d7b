// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

const blocks = 4096

// rig is a server with one disk, and as many nexuses as a test wants.
type rig struct {
	t       *testing.T
	disk    *ramunit.Disk
	exports *ramunit.Exports
	server  *scsi.Server
	pool    *block.Pool
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, pool: block.NewPool(64 << 20)}
	r.disk = ramunit.New("vv0", array.MakeVolumeID(3, 9), blocks*block.Sector, 1, 2)
	r.exports = ramunit.NewExports(r.disk.Unit(0))
	r.server = scsi.NewServer(scsi.Config{Exports: r.exports, Pool: r.pool, Revision: "0.1"})
	t.Cleanup(func() {
		r.server.Close()
		if n := r.pool.Used(); n != 0 {
			t.Errorf("%d bytes of buffers were never given back", n)
		}
	})
	return r
}

// nexus returns a nexus whose first unit attention has been told.
func (r *rig) nexus(host string, port uint16) *scsi.Nexus {
	n := r.server.NewNexus(host, host+",i,0x000000000001", scsi.Port{Target: "iqn.target", Tag: port, Relative: port})
	if c := r.run(n, cdb(0, 6), nil); senseOf(c) != 0x062900 {
		r.t.Fatalf("first command of a nexus: status %#x, sense %06x", c.Status, senseOf(c))
	}
	return n
}

// begin starts a command; the channel gets it at its end.
func (r *rig) begin(n *scsi.Nexus, cmd [16]byte, out []byte, edit func(*scsi.Command)) (*scsi.Command, <-chan *scsi.Command) {
	done := make(chan *scsi.Command, 2) // a second Done would be seen
	c := &scsi.Command{CDB: cmd, Expected: len(out), Arrived: boottime.Now(), Done: func(c *scsi.Command) { done <- c }}
	if edit != nil {
		edit(c)
	}
	if want, ok := n.Prepare(c); ok {
		if k := min(want, len(out)); k > 0 {
			c.Out, _ = r.pool.Get(k)
			copy(c.Out.Bytes(), out)
		}
		n.Execute(c)
	}
	return c, done
}

// run runs a command that the disk answers at once.
func (r *rig) run(n *scsi.Nexus, cmd [16]byte, out []byte) *scsi.Command {
	r.t.Helper()
	return r.runLUN(n, 0, cmd, out)
}

func (r *rig) runLUN(n *scsi.Nexus, lun uint64, cmd [16]byte, out []byte) *scsi.Command {
	r.t.Helper()
	_, done := r.begin(n, cmd, out, func(c *scsi.Command) { c.LUN = lun })
	select {
	case c := <-done:
		c.In = bytes.Clone(c.In)
		if c.InBuffer != nil {
			c.InBuffer.Release()
			c.InBuffer = nil
		}
		if len(done) > 0 {
			r.t.Error("Done came twice")
		}
		return c
	default:
		r.t.Fatal("the command did not end")
		return nil
	}
}

// cdb builds a CDB with its allocation or transfer length, by operation code.
func cdb(op byte, n int) (c [16]byte) {
	c[0] = op
	switch op >> 5 {
	case 0:
		c[4] = byte(n)
		if op == 0x12 {
			c[3] = byte(n >> 8)
		}
		if op == 0 {
			c[4] = 0
		}
	case 1, 2:
		binary.BigEndian.PutUint16(c[7:], uint16(n))
	case 4:
		binary.BigEndian.PutUint32(c[10:], uint32(n))
	case 5:
		binary.BigEndian.PutUint32(c[6:], uint32(n))
	}
	return c
}

// with sets bytes of a CDB: offset, value, offset, value ...
func with(c [16]byte, edits ...int) [16]byte {
	for i := 0; i < len(edits); i += 2 {
		c[edits[i]] = byte(edits[i+1])
	}
	return c
}

func senseOf(c *scsi.Command) int {
	if len(c.Sense) < 14 {
		return 0
	}
	return int(c.Sense[2])<<16 | int(c.Sense[12])<<8 | int(c.Sense[13])
}

func want(t *testing.T, what string, c *scsi.Command, status scsi.Status, sense int) {
	t.Helper()
	if c.Status != status || senseOf(c) != sense {
		t.Errorf("%s: status %#x, sense %06x; want %#x, %06x", what, c.Status, senseOf(c), status, sense)
	}
}

const check = scsi.CheckCondition

func TestPathStates(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	commands := map[string][16]byte{
		"INQUIRY": cdb(0x12, 255), "REPORT LUNS": cdb(0xA0, 1024), "RTPG": with(cdb(0xA3, 255), 1, 0x0A),
		"READ CAPACITY": cdb(0x25, 0), "MODE SENSE": with(cdb(0x1A, 255), 2, 0x3F), "READ KEYS": cdb(0x5E, 255),
		"TEST UNIT READY": cdb(0, 0), "READ": cdb(0x28, 1),
	}
	for _, tt := range []struct {
		state scsi.PathState
		sense int
		good  string // the commands that are answered
	}{
		{scsi.NonOptimized, 0, "INQUIRY REPORT LUNS RTPG READ CAPACITY MODE SENSE READ KEYS TEST UNIT READY READ"},
		{scsi.Standby, 0x02040B, "INQUIRY REPORT LUNS RTPG READ CAPACITY MODE SENSE READ KEYS"},
		{scsi.Unavailable, 0x02040C, "INQUIRY REPORT LUNS RTPG"},
		{scsi.Lost, 0x052500, "INQUIRY REPORT LUNS RTPG"},
	} {
		r.disk.SetGroups(scsi.PortGroup{ID: 1, State: tt.state, Ports: []uint16{1, 2}})
		want(t, "after a change of paths", r.run(n, cdb(0, 0), nil), check, 0x062A06)
		for name, cmd := range commands {
			c := r.run(n, cmd, nil)
			if bytes.Contains([]byte(tt.good), []byte(name)) && (name != "READ" || tt.state == scsi.NonOptimized) {
				want(t, name, c, scsi.Good, 0)
			} else {
				want(t, name, c, check, tt.sense)
			}
		}
	}
}

// TestOutcomes is the table of error kinds.
func TestOutcomes(t *testing.T) {
	for kind, w := range map[array.Kind]struct {
		status scsi.Status
		sense  int
	}{
		array.Busy: {scsi.Busy, 0}, array.Moved: {scsi.Busy, 0}, array.Conflict: {scsi.Busy, 0},
		array.Reserved: {scsi.ReservationConflict, 0}, array.Aborted: {scsi.TaskAborted, 0},
		array.Standby: {check, 0x02040B}, array.Unavailable: {check, 0x02040C}, array.Medium: {check, 0x031100},
		array.Range: {check, 0x052100}, array.Invalid: {check, 0x052400}, array.NotFound: {check, 0x052500},
		array.Full: {check, 0x072707}, array.Denied: {check, 0x072700}, array.Internal: {check, 0x044400},
	} {
		r := newRig(t)
		r.exports.Set(1, &failing{Unit: r.disk.Unit(0), err: array.Errorf(kind, "x")})
		n := r.nexus("iqn.h", 1)
		r.runLUN(n, 1<<48, cdb(0, 0), nil)
		want(t, kind.String(), r.runLUN(n, 1<<48, cdb(0x28, 1), nil), w.status, w.sense)
	}
}

// failing is a unit whose reads fail.
type failing struct {
	scsi.Unit
	err   error
	reads int
	then  func() // called before the first answer
}

func (f *failing) Read(op *scsi.Op, off int64, dst []byte, done func(error)) {
	f.reads++
	if f.then != nil && f.reads == 1 {
		f.then()
	}
	done(f.err)
}

// TestReservationsChangeUnderACommand: the unit refuses a command that was checked
// under old rights; it is checked again.
func TestReservationsChangeUnderACommand(t *testing.T) {
	r := newRig(t)
	a, b := r.nexus("iqn.a", 1), r.nexus("iqn.b", 1)
	held := r.disk.Hold(false)
	_, done := r.begin(a, cdb(0x2A, 1), make([]byte, 512), nil)
	<-held
	for _, p := range [][]byte{prOut(0, 7), prOut(7, 0)} {
		action := 0
		if p[7] == 7 {
			action = 1
		}
		want(t, "reserve", r.run(b, with(cdb(0x5F, 24), 1, action, 2, 1), p), scsi.Good, 0)
	}
	r.disk.Resume()
	want(t, "a write checked before the reservation", <-done, scsi.ReservationConflict, 0)
	if r.disk.Stores() != 0 {
		t.Error("it was executed")
	}
	// One that has the right passes at the second look.
	held = r.disk.Hold(false)
	_, done = r.begin(b, cdb(0x2A, 1), make([]byte, 512), nil)
	<-held
	want(t, "release", r.run(b, with(cdb(0x5F, 24), 1, 2, 2, 1), prOut(7, 0)), scsi.Good, 0)
	r.disk.Resume()
	want(t, "a write whose rights remain", <-done, scsi.Good, 0)
}

// prOut is a PERSISTENT RESERVE OUT parameter list.
func prOut(key, newKey uint64) []byte {
	p := make([]byte, 24)
	binary.BigEndian.PutUint64(p, key)
	binary.BigEndian.PutUint64(p[8:], newKey)
	return p
}

// TestRefusalsAreConfirmed: a snapshot that is behind the truth never reaches the
// host as a refusal.
func TestRefusalsAreConfirmed(t *testing.T) {
	r := newRig(t)
	old := &behind{Unit: r.disk.Unit(0), size: 512, res: &reservation.State{
		Type: reservation.ExclusiveAccess, Holder: reservation.Nexus{Initiator: "x"},
		Registrations: []reservation.Registration{{Nexus: reservation.Nexus{Initiator: "x"}, Key: 1}},
	}}
	r.exports.Set(1, old)
	n := r.nexus("iqn.h", 1)
	r.runLUN(n, 1<<48, cdb(0, 0), nil)
	want(t, "reserved only in the snapshot", r.runLUN(n, 1<<48, cdb(0x28, 1), nil), scsi.Good, 0)
	old.res = &reservation.State{}
	want(t, "beyond the end only in the snapshot", r.runLUN(n, 1<<48, with(cdb(0x28, 1), 5, 9), nil), scsi.Busy, 0)
	old.err = array.Errorf(array.Unavailable, "no lease")
	want(t, "who can't know", r.runLUN(n, 1<<48, with(cdb(0x28, 1), 5, 9), nil), check, 0x02040C)
	want(t, "READ CAPACITY of who can't know", r.runLUN(n, 1<<48, cdb(0x25, 0), nil), check, 0x02040C)
	want(t, "READ KEYS of who can't know", r.runLUN(n, 1<<48, cdb(0x5E, 255), nil), check, 0x02040C)
}

// behind is a unit whose snapshots are old.
type behind struct {
	scsi.Unit
	size int64
	res  *reservation.State
	err  error
}

func (b *behind) Size() int64                      { return b.size }
func (b *behind) Reservations() *reservation.State { return b.res }
func (b *behind) Inspect(op *scsi.Op, done func(scsi.Facts, error)) {
	if b.err != nil {
		done(scsi.Facts{}, b.err)
		return
	}
	b.Unit.Inspect(op, done)
}

// TestLateCommandsAreRefused: nothing is handed to the unit after Late.
func TestLateCommandsAreRefused(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	_, done := r.begin(n, cdb(0x2A, 1), make([]byte, 512), func(c *scsi.Command) { c.Arrived = boottime.Now().Add(-scsi.Late) })
	want(t, "a late write", <-done, scsi.Busy, 0)
	if r.disk.Stores() != 0 {
		t.Error("it was executed")
	}
}

func TestOrderedCommands(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	held := r.disk.Hold(false)
	var order []string
	start := func(name string, ordered bool) <-chan *scsi.Command {
		c := &scsi.Command{CDB: cdb(0x2A, 1), Expected: 512, Arrived: boottime.Now(), Ordered: ordered}
		done := make(chan *scsi.Command, 1)
		c.Done = func(c *scsi.Command) { order = append(order, name); done <- c }
		if _, ok := n.Prepare(c); !ok {
			t.Fatal("refused")
		}
		c.Out, _ = r.pool.Get(512)
		n.Execute(c)
		return done
	}
	a := start("a", false)
	<-held
	b := start("b", true)
	c := start("c", false)
	if len(held) != 0 {
		t.Error("an ORDERED command overtook, or was overtaken")
	}
	r.disk.Resume()
	for _, done := range []<-chan *scsi.Command{a, b, c} {
		want(t, "write", <-done, scsi.Good, 0)
	}
	if len(order) != 3 || order[0] != "a" || order[1] != "b" {
		t.Errorf("ended in the order %v", order)
	}
}

// TestAbortWhileWaiting: an aborted command that waits its turn never runs.
func TestAbortWhileWaiting(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	held := r.disk.Hold(false)
	_, a := r.begin(n, cdb(0x2A, 1), make([]byte, 512), nil)
	<-held
	cmd, b := r.begin(n, cdb(0x2A, 1), make([]byte, 512), func(c *scsi.Command) { c.Ordered = true })
	cmd.Abort()
	r.disk.Resume()
	want(t, "the first", <-a, scsi.Good, 0)
	want(t, "the aborted", <-b, scsi.TaskAborted, 0)
	if r.disk.Stores() != 1 {
		t.Error("the aborted command was executed")
	}
}
