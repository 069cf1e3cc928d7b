// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// cscd is an identification descriptor of a volume, for EXTENDED COPY.
func cscd(id array.VolumeID) []byte {
	d := make([]byte, 32)
	name := array.MakeWWN(id)
	d[0], d[4], d[5], d[7] = 0xE4, 1, 3, 16
	copy(d[8:], name[:])
	d[30] = block.Sector >> 8
	return d
}

// copied is a segment descriptor: n blocks at source of unit from, to target of unit to.
func copied(from, to int, source, target uint64, n int) []byte {
	d := make([]byte, 28)
	d[0], d[3], d[5], d[7] = 0x02, 24, byte(from), byte(to)
	binary.BigEndian.PutUint16(d[10:], uint16(n))
	binary.BigEndian.PutUint64(d[12:], source)
	binary.BigEndian.PutUint64(d[20:], target)
	return d
}

// copyParameters is EXTENDED COPY's parameter list; segments begin with byte 02.
func copyParameters(id, usage byte, descriptors ...[]byte) []byte {
	p := make([]byte, 16)
	p[0], p[1] = id, usage<<3
	units, segments := 0, 0
	for _, d := range descriptors {
		if d[0] >= 0xE0 {
			units += len(d)
		} else {
			segments += len(d)
		}
		p = append(p, d...)
	}
	binary.BigEndian.PutUint16(p[2:], uint16(units))
	binary.BigEndian.PutUint32(p[8:], uint32(segments))
	return p
}

func (r *rig) copy(n *scsi.Nexus, list []byte) *scsi.Command {
	r.t.Helper()
	return r.run(n, cdb(0x83, len(list)), list)
}

// copyRig has a second disk, at LUN 1, and a nexus that uses both.
func copyRig(t *testing.T) (*rig, *ramunit.Disk, *scsi.Nexus) {
	r := newRig(t)
	second := ramunit.New("vv1", other, 4096*block.Sector, 1, 2)
	r.exports.Set(1, second.Unit(0))
	n := r.nexus("iqn.h", 1)
	r.runLUN(n, 1<<48, cdb(0, 0), nil)
	return r, second, n
}

// lun1 is where the second disk is, other its volume.
const lun1 = 1 << 48

var other = array.MakeVolumeID(3, 10)

func first() array.VolumeID { return array.MakeVolumeID(3, 9) }

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>9*13 + 1)
	}
	return b
}

func (r *rig) store(n *scsi.Nexus, lba int, data []byte) {
	r.t.Helper()
	c := with(cdb(0x8A, len(data)/512), 8, lba>>8, 9, lba)
	want(r.t, "write", r.run(n, c, data), scsi.Good, 0)
}

func (r *rig) load(n *scsi.Nexus, lun uint64, lba, blocks int) []byte {
	r.t.Helper()
	return r.runLUN(n, lun, with(cdb(0x88, blocks), 8, lba>>8, 9, lba), nil).In
}

// TestCopyBetweenUnits, with what RECEIVE COPY STATUS tells of it.
func TestCopyBetweenUnits(t *testing.T) {
	r, second, n := copyRig(t)
	data := noise(3000 * 512)
	r.store(n, 10, data[:2000*512])
	r.store(n, 2010, data[2000*512:])
	status := func(id int) *scsi.Command { return r.run(n, with(cdb(0x84, 64), 2, id), nil) }
	want(t, "the status of no copy", status(7), check, 0x052400)
	list := copyParameters(7, 0, cscd(first()), cscd(other), copied(0, 1, 10, 1000, 3000), copied(1, 1, 1000, 0, 20))
	want(t, "copy", r.copy(n, list), scsi.Good, 0)
	if !bytes.Equal(r.load(n, lun1, 1000, 2048), data[:2048*512]) || !bytes.Equal(r.load(n, lun1, 0, 20), data[:20*512]) {
		t.Error("the copy differs")
	}
	got := status(7).In
	if !bytes.Equal(got[:7], []byte{0, 0, 0, 8, 1, 0, 2}) || binary.BigEndian.Uint32(got[8:]) != 3020*512 {
		t.Errorf("status: % x", got)
	}
	// Zeros take up no pages.
	stores := second.Stores()
	want(t, "copy of zeros", r.copy(n, copyParameters(8, 2, cscd(first()), cscd(other), copied(0, 1, 3900, 1024, 96))), scsi.Good, 0)
	if _, mapped := second.Unit(0).Extent(1056 * 512); second.Stores() != stores+1 || mapped {
		t.Error("zeros were written as data")
	}
	want(t, "the status of a copy to be forgotten", status(8), check, 0x052400)
	named := cscd(first())
	named[1] = 0x80 // LU ID TYPE
	want(t, "a name with a type of another kind", r.copy(n, copyParameters(9, 0, named, cscd(other), copied(0, 1, 0, 0, 1))), scsi.Good, 0)
	want(t, "nothing to copy", r.run(n, cdb(0x83, 0), nil), scsi.Good, 0)
}

// TestCopyOverlapping: a range moved by less than its length, either way.
func TestCopyOverlapping(t *testing.T) {
	for _, target := range []int{100, 900} {
		r, _, n := copyRig(t)
		data := noise(3000 * 512)
		r.store(n, 500, data[:1500*512])
		r.store(n, 2000, data[1500*512:2400*512])
		list := copyParameters(0, 3, cscd(first()), copied(0, 0, 500, uint64(target), 2400))
		want(t, "copy", r.copy(n, list), scsi.Good, 0)
		if !bytes.Equal(r.load(n, 0, target, 2000), data[:2000*512]) || !bytes.Equal(r.load(n, 0, target+2000, 400), data[2000*512:2400*512]) {
			t.Errorf("moved to %d it differs", target)
		}
	}
}

// TestCopyRefused goes through SPC-4 (r37) 6.4 and 6.25: what each wrong list is answered, and
// that nothing was written.
func TestCopyRefused(t *testing.T) {
	edit := func(d []byte, at int, v byte) []byte { d[at] = v; return d }
	a, b, seg := cscd(first()), cscd(other), copied(0, 1, 0, 0, 8)
	many := func(n int, d []byte) (all [][]byte) {
		for range n {
			all = append(all, d)
		}
		return all
	}
	for _, tt := range []struct {
		clause string
		list   []byte
		sense  int
	}{
		{"6.4.1: cut off in the header", make([]byte, 15), 0x051A00},
		{"6.4.1: cut off in a CSCD descriptor", copyParameters(1, 0, a, b, seg)[:16+40], 0x051A00},
		{"6.4.1: cut off in a segment", copyParameters(1, 0, a, b, seg)[:16+64+27], 0x051A00},
		{"6.4.3.2: reserved LIST ID USAGE", copyParameters(1, 1, a, b, seg), 0x052600},
		{"6.4.3.2: an identifier that is said to be unused", copyParameters(1, 3, a, b, seg), 0x052600},
		{"6.4.3.4: half a CSCD descriptor", edit(copyParameters(1, 0, a, b, seg), 3, 63), 0x051A00},
		{"6.4.3.4: too many CSCD descriptors", copyParameters(1, 0, append(many(9, a), seg)...), 0x052606},
		{"6.4.5: a segment in place of a CSCD descriptor", copyParameters(1, 0, append(many(2, seg), a, b)...), 0x052607},
		{"6.4.3.5: too many segments, in order", copyParameters(1, 0, append([][]byte{a, b}, many(5, seg)...)...), 0x052608},
		{"6.4.3.5: a list longer than announced", copyParameters(1, 0, append(many(9, a), many(5, seg)...)...), 0x051A00},
		{"6.4.3.6: inline data", edit(copyParameters(1, 0, a, b, seg), 15, 4), 0x05260B},
		{"6.4.5: a CSCD descriptor of Fibre Channel", copyParameters(1, 0, edit(cscd(first()), 0, 0xE0), b, seg), 0x052607},
		{"6.4.5: a null device", copyParameters(1, 0, edit(cscd(first()), 1, 0x20), b, seg), 0x0A0D02},
		{"6.4.5: a tape", copyParameters(1, 0, edit(cscd(first()), 1, 0x01), b, seg), 0x0A0D03},
		{"6.4.5: a unit by its vendor's name", copyParameters(1, 0, edit(cscd(first()), 5, 1), b, seg), 0x0A0D02},
		{"6.4.5: a port", copyParameters(1, 0, edit(cscd(first()), 5, 0x13), b, seg), 0x0A0D02},
		{"6.4.5: a unit that the host doesn't see", copyParameters(1, 0, a, cscd(array.MakeVolumeID(3, 11)), seg), 0x0A0D02},
		{"6.4.5: blocks of another length", copyParameters(1, 0, a, edit(cscd(other), 30, 0x10), seg), 0x052600},
		{"6.4.6: an index without CSCD descriptor", copyParameters(1, 0, a, b, copied(0, 2, 0, 0, 8)), 0x0A0D02},
		{"6.4.6: a segment from stream to stream", copyParameters(1, 0, a, b, edit(copied(0, 1, 0, 0, 8), 0, 3)), 0x052609},
		{"6.4.6: a segment of another length", copyParameters(1, 0, a, b, edit(copied(0, 1, 0, 0, 8), 3, 20)), 0x052600},
		{"6.4.6: a segment larger than announced", copyParameters(1, 0, a, b, copied(0, 1, 0, 0, 8193)), 0x052600},
		{"6.4.6: beyond the source's end", copyParameters(1, 0, a, b, copied(0, 1, 4090, 0, 8)), 0x0A0000},
		{"6.4.6: beyond the target's end", copyParameters(1, 0, a, b, seg, copied(0, 1, 0, 4090, 8)), 0x0A0000},
		{"6.4.6: beyond all numbers", copyParameters(1, 0, a, b, copied(0, 1, 1<<63, 0, 8)), 0x0A0000},
		{"6.25: a service action that isn't there", nil, 0},
	} {
		r, second, n := copyRig(t)
		before := second.Stores()
		c := r.copy(n, tt.list)
		if tt.list == nil {
			c = r.run(n, with(cdb(0x84, 64), 1, 1), nil)
			tt.sense = 0x052400
		}
		want(t, tt.clause, c, check, tt.sense)
		if second.Stores() != before {
			t.Errorf("%s: something was written", tt.clause)
		}
	}
}

// TestCopyNeedsRights on each unit, not only on the one that is asked.
func TestCopyNeedsRights(t *testing.T) {
	list := copyParameters(1, 0, cscd(first()), cscd(other), copied(0, 1, 0, 0, 8))
	reserve := func(r *rig, lun uint64, kind int) {
		s := r.nexus("iqn.stranger", 2)
		r.runLUN(s, lun1, cdb(0, 0), nil)
		want(r.t, "register", r.runLUN(s, lun, cdb(0x5F, 24), prOut(0, 5)), scsi.Good, 0)
		want(r.t, "reserve", r.runLUN(s, lun, with(cdb(0x5F, 24), 1, 1, 2, kind), prOut(5, 0)), scsi.Good, 0)
	}
	const writeExclusive, exclusiveAccess = 1, 3
	r, _, n := copyRig(t)
	reserve(r, lun1, writeExclusive)
	want(t, "a target that is another's", r.copy(n, list), check, 0x0A0D01)
	want(t, "a source that others may read", r.runLUN(n, 0, cdb(0x83, len(list)), copyParameters(1, 0, cscd(other), cscd(first()), copied(0, 1, 0, 0, 8))), scsi.Good, 0)
	r, _, n = copyRig(t)
	reserve(r, lun1, exclusiveAccess)
	want(t, "a source that is another's", r.copy(n, copyParameters(1, 0, cscd(other), cscd(first()), copied(0, 1, 0, 0, 8))), check, 0x0A0D01)
	r, _, n = copyRig(t)
	reserve(r, 0, writeExclusive)
	want(t, "asked of a unit that is another's", r.copy(n, list), scsi.ReservationConflict, 0)
	r, second, n := copyRig(t)
	second.SetGroups(scsi.PortGroup{ID: 1, State: scsi.Standby, Ports: []uint16{1, 2}})
	want(t, "a target that the other array serves", r.copy(n, list), check, 0x0A0D02)
	r, second, n = copyRig(t)
	second.SetReadOnly()
	want(t, "a target that is a snapshot", r.copy(n, list), check, 0x0A0D01)
}

// TestCopyAborted ends only when nothing of it can take effect any more, and says that
// it ended halfway if it did.
func TestCopyAborted(t *testing.T) {
	r, second, n := copyRig(t)
	r.store(n, 0, noise(8*512))
	list := copyParameters(1, 0, cscd(first()), cscd(other), copied(0, 1, 0, 0, 8))
	held := second.Hold(false)
	c, done := r.begin(n, cdb(0x83, len(list)), list, nil)
	<-held // the write
	again, twice := r.begin(n, cdb(0x83, len(list)), list, nil)
	want(t, "the same identifier twice", <-twice, check, 0x050016)
	_ = again
	if got := r.run(n, with(cdb(0x84, 64), 2, 1), nil).In; got[4] != 0 {
		t.Errorf("status of a copy under way: % x", got)
	}
	c.Abort()
	want(t, "aborted", <-done, scsi.TaskAborted, 0)
	second.Resume()
	if !bytes.Equal(r.load(n, lun1, 0, 8), make([]byte, 8*512)) {
		t.Error("an aborted copy was written")
	}
	if got := r.run(n, with(cdb(0x84, 64), 2, 1), nil).In; got[4] != 2 {
		t.Errorf("status of an aborted copy: % x", got)
	}
	// A reset of the target only: the command isn't aborted, but failed.
	second.Hold(false)
	_, done = r.begin(n, cdb(0x83, len(list)), list, nil)
	<-held
	reset := make(chan error, 1)
	n.Reset(lun1, scsi.ResetUnit, func(err error) { reset <- err })
	want(t, "the target was reset", <-done, check, 0x0A0D01)
	second.Resume()
	<-reset
}

// TestCopyParametersAgree: the limits are the same wherever they are told.
func TestCopyParametersAgree(t *testing.T) {
	r, _, n := copyRig(t)
	p := r.run(n, with(cdb(0x84, 255), 1, 3), nil).In
	if len(p) != 46 || int(binary.BigEndian.Uint32(p)) != len(p)-4 || !bytes.Equal(p[43:], []byte{2, 0x02, 0xE4}) {
		t.Fatalf("operating parameters: % x", p)
	}
	if units, segments := binary.BigEndian.Uint16(p[8:]), binary.BigEndian.Uint16(p[10:]); units != 8 || segments != 4 || binary.BigEndian.Uint32(p[12:]) != 8*32+4*28 {
		t.Errorf("limits: % x", p)
	}
	v := r.run(n, with(cdb(0x12, 255), 1, 1, 2, 0x8F), nil).In
	found := map[uint16][]byte{}
	for d := v[4:]; len(d) >= 4; {
		k, size := binary.BigEndian.Uint16(d), 4+int(binary.BigEndian.Uint16(d[2:]))
		found[k] = d[:size]
		d = d[size:]
	}
	if !bytes.Equal(found[4][8:16], p[8:16]) || !bytes.Equal(found[0x8001][12:16], p[16:20]) || !bytes.Equal(found[8][4:7], p[43:]) {
		t.Errorf("VPD 8F: % x", v)
	}
	if c := r.run(n, cdb(0x12, 255), nil); c.In[5]&8 == 0 {
		t.Error("INQUIRY doesn't say 3PC")
	}
}

// TestCopiesAreBounded over all hosts: one more is answered BUSY, and none is kept once
// they have ended.
func TestCopiesAreBounded(t *testing.T) {
	r, second, n := copyRig(t)
	r.store(n, 0, noise(2048*512))
	held := second.Hold(false)
	var all []<-chan *scsi.Command
	for id := range 8 {
		list := copyParameters(byte(id), 0, cscd(first()), cscd(other), copied(0, 1, 0, uint64(id), 2048))
		_, done := r.begin(n, cdb(0x83, len(list)), list, nil)
		all = append(all, done)
		<-held
		<-held // both halves
	}
	if used := r.pool.Used(); used > 16<<20 {
		t.Errorf("copies hold %d bytes", used)
	}
	list := copyParameters(99, 0, cscd(first()), cscd(other), copied(0, 1, 0, 0, 8))
	want(t, "one more", r.copy(n, list), scsi.Busy, 0)
	second.Resume()
	for _, done := range all {
		want(t, "held", <-done, scsi.Good, 0)
	}
	want(t, "afterwards", r.copy(n, list), scsi.Good, 0)
}

// TestCopyLate: nothing is placed later than Late after the command came. What had been
// written by then is told.
func TestCopyLate(t *testing.T) {
	r, second, n := copyRig(t)
	r.store(n, 0, noise(16*512))
	list := copyParameters(1, 0, cscd(first()), cscd(other), copied(0, 1, 0, 0, 8), copied(0, 1, 8, 8, 8))
	_, done := r.begin(n, cdb(0x83, len(list)), list, func(c *scsi.Command) { c.Arrived = c.Arrived.Add(-scsi.Late) })
	want(t, "late from the beginning", <-done, scsi.Busy, 0)
	held := second.Hold(true)
	c, done := r.begin(n, cdb(0x83, len(list)), list, nil)
	<-held
	c.Arrived = c.Arrived.Add(-scsi.Late)
	second.Resume()
	want(t, "late after the first segment", <-done, check, 0x0A0D01)
	if got := r.load(n, lun1, 0, 16); !bytes.Equal(got[:8*512], noise(8*512)) || !bytes.Equal(got[8*512:], make([]byte, 8*512)) {
		t.Error("not the first segment alone was copied")
	}
	if got := r.run(n, with(cdb(0x84, 64), 2, 1), nil).In; got[4] != 2 || got[6] != 1 {
		t.Errorf("status: % x", got)
	}
}

// TestCopyReset: a reset of the unit that was asked to copy is answered when the copy is
// quiet on the unit it writes to, even if its write can't be dropped any more.
func TestCopyReset(t *testing.T) {
	r, second, n := copyRig(t)
	other := r.nexus("iqn.other", 2)
	r.store(n, 0, noise(8*512))
	list := copyParameters(1, 0, cscd(first()), cscd(array.MakeVolumeID(3, 10)), copied(0, 1, 0, 0, 8), copied(0, 1, 0, 8, 8))
	held := second.Hold(true)
	_, done := r.begin(n, cdb(0x83, len(list)), list, nil)
	<-held
	reset := make(chan error, 1)
	other.Reset(0, scsi.ResetUnit, func(err error) { reset <- err })
	select {
	case err := <-reset:
		t.Fatalf("the reset was answered while the copy writes: %v", err)
	default:
	}
	second.Resume()
	want(t, "reset", <-done, scsi.TaskAborted, 0)
	if err := <-reset; err != nil {
		t.Error(err)
	}
	if !bytes.Equal(r.load(n, lun1, 8, 8), make([]byte, 8*512)) {
		t.Error("the copy went on after the reset")
	}
}
