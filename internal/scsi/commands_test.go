// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

func TestIdentity(t *testing.T) {
	r := newRig(t)
	a, b := r.nexus("iqn.h", 1), r.nexus("iqn.h", 2)
	page := func(n *scsi.Nexus, p int) []byte {
		return r.run(n, with(cdb(0x12, 4096), 1, 1, 2, p), nil).In
	}
	wwn := array.MakeWWN(array.MakeVolumeID(3, 9))
	ids := page(a, 0x83)
	if !bytes.Equal(ids[4:8], []byte{1, 3, 0, 16}) || !bytes.Equal(ids[8:24], wwn[:]) {
		t.Errorf("VPD 83 begins % x", ids[:24])
	}
	if !bytes.Equal(page(b, 0x83)[4:24], ids[4:24]) {
		t.Error("the unit's name differs between ports")
	}
	if bytes.Equal(page(b, 0x83), ids) {
		t.Error("two ports name themselves alike")
	}
	if !bytes.Contains(ids, []byte("iqn.target,t,0x0001\x00")) {
		t.Error("VPD 83 lacks the target port's name")
	}
	name := page(a, 0xC0) // as multipath-tools reads it
	if n := binary.BigEndian.Uint32(name[40:]); name[4] < 4 || string(name[44:44+n]) != "vv0\x00" {
		t.Errorf("VPD C0: % x", name)
	}
	for _, p := range page(a, 0)[4:] {
		if got := page(a, int(p)); len(got) < 4 || got[1] != p || int(binary.BigEndian.Uint16(got[2:]))+4 != len(got) {
			t.Errorf("VPD %02x: % x", p, got)
		}
	}
	if c := r.run(a, cdb(0x12, 255), nil); string(c.In[8:32]) != "PERDURE VV              " || c.In[5]&0x30 != 0x10 {
		t.Errorf("INQUIRY: %q", c.In)
	}
}

func TestPortGroups(t *testing.T) {
	r := newRig(t)
	r.disk.SetGroups(
		scsi.PortGroup{ID: 0x101, State: scsi.Optimized, Preferred: true, Ports: []uint16{1, 2}},
		scsi.PortGroup{ID: 0x102, State: scsi.Standby, Ports: []uint16{129}})
	n := r.nexus("iqn.h", 1)
	groups := []byte{
		0x80, 0x8F, 1, 1, 0, 2, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2,
		0x02, 0x8F, 1, 2, 0, 2, 0, 1, 0, 0, 0, 129,
	}
	plain := r.run(n, with(cdb(0xA3, 255), 1, 0x0A), nil).In
	if !bytes.Equal(plain, append([]byte{0, 0, 0, 28}, groups...)) {
		t.Errorf("RTPG: % x", plain)
	}
	extended := r.run(n, with(cdb(0xA3, 255), 1, 0x2A), nil).In
	if !bytes.Equal(extended, append([]byte{0, 0, 0, 32, 0x10, 5, 0, 0}, groups...)) {
		t.Errorf("RTPG with extended header: % x", extended)
	}
}

func TestExportsChange(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	second := ramunit.New("vv1", 10, 1<<20)
	r.exports.Set(300, second.Unit(0))
	want(t, "after a new LUN", r.run(n, cdb(0, 0), nil), check, 0x063F0E)
	luns := r.run(n, cdb(0xA0, 1024), nil).In
	if !bytes.Equal(luns, append([]byte{0, 0, 0, 16, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0x2C, 0, 0, 0, 0, 0, 0)) {
		t.Errorf("REPORT LUNS: % x", luns)
	}
	want(t, "first use of the new LUN", r.runLUN(n, 0x412C<<48, cdb(0, 0), nil), check, 0x062900)
	r.exports.Set(300, nil)
	if c := r.run(n, cdb(0xA0, 1024), nil); len(c.In) != 16 {
		t.Errorf("REPORT LUNS: % x", c.In)
	}
	want(t, "REPORT LUNS told of the change", r.run(n, cdb(0, 0), nil), scsi.Good, 0)
	want(t, "a LUN that is gone", r.runLUN(n, 0x412C<<48, cdb(0, 0), nil), check, 0x052500)
	if c := r.runLUN(n, 0x412C<<48, cdb(0x12, 255), nil); c.Status != scsi.Good || c.In[0] != 0x7F {
		t.Errorf("INQUIRY where no unit is: %#x % x", c.Status, c.In)
	}
}

func TestCapacityGrows(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	r.disk.Grow(3 << 40)
	want(t, "after growing", r.run(n, cdb(0, 0), nil), check, 0x062A09)
	if c := r.run(n, cdb(0x25, 0), nil); binary.BigEndian.Uint32(c.In) != 0xFFFFFFFF {
		t.Errorf("READ CAPACITY(10): % x", c.In)
	}
	c := r.run(n, with(cdb(0x9E, 32), 1, 0x10), nil)
	if binary.BigEndian.Uint64(c.In) != 3<<40/512-1 || c.In[14] != 0xC0 {
		t.Errorf("READ CAPACITY(16): % x", c.In)
	}
	want(t, "a write near the end", r.run(n, with(cdb(0x8A, 1), 5, 1, 6, 0x7F, 7, 0xFF, 8, 0xFF, 9, 0xFF), make([]byte, 512)), scsi.Good, 0)
}

func TestCompareAndWrite(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	caw := with(cdb(0x89, 0), 13, 1)
	pair := append(make([]byte, 512), bytes.Repeat([]byte{7}, 512)...)
	want(t, "equal", r.run(n, caw, pair), scsi.Good, 0)
	pair[0] = 7
	pair[1] = 7
	pair[2] = 9
	c := r.run(n, caw, pair)
	want(t, "different", c, check, 0x0E1D00)
	if at := binary.BigEndian.Uint32(c.Sense[3:]); c.Sense[0] != 0xF0 || at != 2 {
		t.Errorf("difference at %d, sense % x", at, c.Sense)
	}
	want(t, "more data than the CDB says", r.run(n, caw, append(pair, pair...)), check, 0x052400)
}

func TestWriteSame(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	ff := bytes.Repeat([]byte{0xFF}, 512)
	want(t, "pattern", r.run(n, cdb(0x93, 4096), ff), scsi.Good, 0)
	if got := r.run(n, with(cdb(0x88, 1), 8, 0x0F, 9, 0xFF), nil).In; !bytes.Equal(got, ff) {
		t.Error("the last block lacks the pattern")
	}
	if r.disk.Stores() != 2 {
		t.Errorf("2 MiB took %d mutations", r.disk.Stores())
	}
	want(t, "unmap", r.run(n, with(cdb(0x93, 64), 1, 0x08), make([]byte, 512)), scsi.Good, 0)
	if _, mapped := r.disk.Unit(0).Extent(0); mapped {
		t.Error("unmapped blocks are mapped")
	}
	want(t, "without data", r.run(n, with(cdb(0x93, 128), 1, 0x01), nil), scsi.Good, 0)
	want(t, "to the end", r.run(n, cdb(0x93, 0), ff), check, 0x052400)
	want(t, "too many", r.run(n, cdb(0x93, 1<<20), ff), check, 0x052400)
	status := r.run(n, with(cdb(0x9E, 255), 1, 0x12), nil).In
	// 128 blocks are unmapped, then come mapped ones.
	if len(status) != 40 || binary.BigEndian.Uint32(status[16:]) != 128 || status[20] != 1 || status[36] != 0 {
		t.Errorf("GET LBA STATUS: % x", status)
	}
}

// TestVerify: BYTCHK 0 looks that the blocks can be read, 1 compares each, 3 compares
// all with one; the sense data say where the first difference is.
func TestVerify(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	data := noise(4 * 512)
	r.store(n, 0, data)
	r.store(n, 100, bytes.Repeat(data[:512], 4))
	bad := bytes.Clone(data)
	bad[700]++
	for _, op := range []byte{0x2F, 0xAF, 0x8F} {
		at := func(check, lba, blocks int) [16]byte {
			c := with(cdb(op, blocks), 1, check<<1)
			if op == 0x8F {
				c[9] = byte(lba)
			} else {
				c[5] = byte(lba)
			}
			return c
		}
		want(t, "BYTCHK 0", r.run(n, at(0, 0, 4), nil), scsi.Good, 0)
		want(t, "BYTCHK 1", r.run(n, at(1, 0, 4), data), scsi.Good, 0)
		want(t, "BYTCHK 3", r.run(n, at(3, 100, 4), data[:512]), scsi.Good, 0)
		want(t, "no blocks", r.run(n, at(3, 100, 0), nil), scsi.Good, 0)
		for _, c := range []*scsi.Command{r.run(n, at(1, 0, 4), bad), r.run(n, at(3, 0, 4), data[:512])} {
			want(t, "different", c, check, 0x0E1D00)
			if where := binary.BigEndian.Uint32(c.Sense[3:]); where != 700 && where != 512 {
				t.Errorf("operation %02x: different at %d", op, where)
			}
		}
	}
	for _, op := range []byte{0x2E, 0xAE, 0x8E} {
		want(t, "WRITE AND VERIFY", r.run(n, with(cdb(op, 4), 1, 2), bad), scsi.Good, 0)
		if !bytes.Equal(r.load(n, 0, 0, 4), bad) {
			t.Errorf("WRITE AND VERIFY, operation %02x: something else is there", op)
		}
		r.store(n, 0, data)
	}
	want(t, "ORWRITE", r.run(n, cdb(0x8B, 1), bytes.Repeat([]byte{0x80}, 512)), scsi.Good, 0)
	for i, b := range r.load(n, 0, 0, 1) {
		if b != data[i]|0x80 {
			t.Fatalf("ORWRITE: byte %d is %02x, was %02x", i, b, data[i])
		}
	}
	if c := r.run(n, with(cdb(0x12, 64), 1, 1, 2, 0xB0), nil); c.In[5] == 0 || binary.BigEndian.Uint32(c.In[44:]) == 0 {
		t.Errorf("limits of COMPARE AND WRITE and WRITE ATOMIC: % x", c.In)
	}
}

func TestReadOnly(t *testing.T) {
	r := newRig(t)
	r.disk.SetReadOnly()
	n := r.nexus("iqn.h", 1)
	want(t, "write", r.run(n, cdb(0x2A, 1), make([]byte, 512)), check, 0x072700)
	want(t, "read", r.run(n, cdb(0x28, 1), nil), scsi.Good, 0)
	if c := r.run(n, with(cdb(0x1A, 255), 2, 8), nil); c.In[2]&0x80 == 0 {
		t.Error("MODE SENSE doesn't say that the unit is write-protected")
	}
}

func TestModeSelect(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	sense := r.run(n, with(cdb(0x1A, 255), 1, 8, 2, 8), nil).In
	same := append([]byte{0, 0, 0, 0}, sense[4:]...)
	want(t, "the page as it is", r.run(n, with(cdb(0x15, len(same)), 1, 0x10), same), scsi.Good, 0)
	same[4+2] |= 0x04
	want(t, "write cache on", r.run(n, with(cdb(0x15, len(same)), 1, 0x10), same), check, 0x052600)
	want(t, "cut off", r.run(n, with(cdb(0x15, 7), 1, 0x10), same[:7]), check, 0x051A00)
}

// TestOpcodesAreReported asks for every command that is listed; libiscsi's suite
// takes the expected refusals for a missing command and skips.
func TestOpcodesAreReported(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	all := r.run(n, with(cdb(0xA3, 65535), 1, 0x0C), nil).In
	if int(binary.BigEndian.Uint32(all))+4 != len(all) || len(all) < 4+50*8 {
		t.Fatalf("%d bytes of opcodes, length %d", len(all), binary.BigEndian.Uint32(all))
	}
	for d := all[4:]; len(d) > 0; d = d[8:] {
		ask := func(option int) *scsi.Command {
			return r.run(n, with(cdb(0xA3, 255), 1, 0x0C, 2, option, 3, int(d[0]), 4, int(d[2]), 5, int(d[3])), nil)
		}
		good, bad := 1, 2
		if d[5]&1 != 0 {
			good, bad = 2, 1
		}
		want(t, "the wrong way", ask(bad), check, 0x052400)
		for _, option := range []int{good, 3} {
			c := ask(option)
			if c.Status != scsi.Good || c.In[1]&7 != 3 || c.In[4] != d[0] || int(c.In[3]) != int(d[7]) || len(c.In) != 4+int(d[7]) {
				t.Errorf("opcode %02x/%02x: % x", d[0], d[3], c.In)
			}
		}
	}
	timed := r.run(n, with(cdb(0xA3, 65535), 1, 0x0C, 2, 0x80), nil).In
	if len(timed) != 4+(len(all)-4)/8*20 || timed[9]&2 == 0 || !bytes.Equal(timed[12:24], []byte{0, 10, 0, 0, 0, 0, 0, 4, 0, 0, 0, 30}) {
		t.Errorf("with timeouts: %d bytes, % x", len(timed), timed[:24])
	}
	one := r.run(n, with(cdb(0xA3, 255), 1, 0x0C, 2, 0x81, 3, 0x28), nil).In
	if len(one) != 4+10+12 || one[1] != 0x83 || !bytes.Equal(one[14:], timed[12:24]) {
		t.Errorf("one with timeouts: % x", one)
	}
	if c := r.run(n, with(cdb(0xA3, 255), 1, 0x0C, 2, 1, 3, 0xFE), nil); c.In[1]&7 != 1 {
		t.Errorf("a missing command: % x", c.In)
	}
}

func TestReservationsAcrossPorts(t *testing.T) {
	r := newRig(t)
	a, b := r.nexus("iqn.a", 1), r.nexus("iqn.b", 2)
	all := prOut(0, 0xA)
	all[20] = 0x04 // ALL_TG_PT
	want(t, "register on all ports", r.run(a, cdb(0x5F, 24), all), scsi.Good, 0)
	keys := r.run(a, with(cdb(0x5E, 255), 1, 0), nil).In
	if binary.BigEndian.Uint32(keys[4:]) != 16 {
		t.Errorf("READ KEYS after ALL_TG_PT on two ports: % x", keys)
	}
	want(t, "reserve", r.run(a, with(cdb(0x5F, 24), 1, 1, 2, 3), prOut(0xA, 0)), scsi.Good, 0)
	want(t, "a stranger's read", r.run(b, cdb(0x28, 1), nil), scsi.ReservationConflict, 0)
	want(t, "a stranger's TEST UNIT READY", r.run(b, cdb(0, 0), nil), scsi.Good, 0)
	want(t, "register", r.run(b, cdb(0x5F, 24), prOut(0, 0xB)), scsi.Good, 0)
	want(t, "preempt", r.run(b, with(cdb(0x5F, 24), 1, 4, 2, 3), prOut(0xB, 0xA)), scsi.Good, 0)
	want(t, "the preempted", r.run(a, cdb(0, 0), nil), check, 0x062A05)
	want(t, "its read", r.run(a, cdb(0x28, 1), nil), scsi.ReservationConflict, 0)
	want(t, "a wrong scope", r.run(b, with(cdb(0x5F, 24), 1, 1, 2, 0x13), prOut(0xB, 0)), check, 0x052400)
	want(t, "a wrong release", r.run(b, with(cdb(0x5F, 24), 1, 2, 2, 1), prOut(0xB, 0)), check, 0x052604)
	want(t, "a short list", r.run(b, cdb(0x5F, 8), prOut(0, 0)[:8]), check, 0x051A00)
	full := r.run(b, with(cdb(0x5E, 255), 1, 3), nil).In
	if !strings.Contains(string(full), "iqn.b,i,0x000000000001") {
		t.Errorf("READ FULL STATUS: %q", full)
	}
}

// TestLegacyReservationEndsWithItsNexus, before the nexus counts as closed.
func TestLegacyReservationEndsWithItsNexus(t *testing.T) {
	r := newRig(t)
	a, b := r.nexus("iqn.a", 1), r.nexus("iqn.b", 1)
	want(t, "reserve", r.run(a, cdb(0x16, 0), nil), scsi.Good, 0)
	want(t, "another's", r.run(b, cdb(0, 0), nil), scsi.ReservationConflict, 0)
	closed := false
	a.Close(func() { closed = true })
	if !closed {
		t.Fatal("the nexus did not close")
	}
	want(t, "afterwards", r.run(b, cdb(0x2A, 1), make([]byte, 512)), scsi.Good, 0)
}

// FuzzCommand runs any CDB with any data: it must end once, and give every buffer
// back.
func FuzzCommand(f *testing.F) {
	for _, op := range []int{0x83, 0x84, 0x12, 0x28, 0x2A, 0x42, 0x5F, 0x89, 0x93, 0x9E, 0xA3, 0x15, 0x55, 0x8F} {
		c := cdb(byte(op), 24)
		f.Add(c[:], make([]byte, 64), 64)
	}
	list := copyParameters(1, 0, cscd(first()), copied(0, 0, 0, 8, 8))
	x := cdb(0x83, len(list))
	f.Add(x[:], list, len(list))
	f.Fuzz(func(t *testing.T, raw, out []byte, expected int) {
		if len(out) > 1<<16 || expected < 0 || expected > 1<<16 {
			return
		}
		r := newRig(t)
		n := r.nexus("iqn.h", 1)
		ended := 0
		c := &scsi.Command{Expected: expected, Arrived: boottime.Now(), Done: func(c *scsi.Command) {
			ended++
			if c.InBuffer != nil {
				c.InBuffer.Release()
			}
		}}
		copy(c.CDB[:], raw)
		if want, ok := n.Prepare(c); ok {
			if want > block.MaxIO || want <= 0 {
				t.Fatalf("%s wants %d bytes", c.Name(), want)
			}
			if k := min(want, len(out)); k > 0 {
				c.Out, _ = r.pool.Get(k)
				copy(c.Out.Bytes(), out)
			}
			n.Execute(c)
		}
		if ended != 1 {
			t.Fatalf("%s ended %d times", c.Name(), ended)
		}
		c.Abort()
	})
}

// FuzzCopy gives EXTENDED COPY any parameter list: it must end once, give every buffer
// back, and write no more than it announces.
func FuzzCopy(f *testing.F) {
	a, b := cscd(first()), cscd(other)
	f.Add(copyParameters(1, 0, a, b, copied(0, 1, 0, 0, 8)))
	f.Add(copyParameters(0, 3, a, b, copied(0, 1, 0, 100, 3000), copied(1, 1, 100, 200, 3000)))
	f.Add(copyParameters(2, 2, b, a, copied(0, 0, 4000, 0, 96)))
	f.Fuzz(func(t *testing.T, list []byte) {
		if len(list) > 4096 {
			return
		}
		r, second, n := copyRig(t)
		r.store(n, 0, noise(64*512))
		before, limit := r.disk.Stores()+second.Stores(), 4*4
		c := r.copy(n, list)
		if c.Status != scsi.Good && c.Status != check {
			t.Fatalf("status %#x", c.Status)
		}
		if wrote := r.disk.Stores() + second.Stores() - before; wrote > limit || c.Status == check && senseOf(c)>>16 == 5 && wrote > 0 {
			t.Fatalf("%d writes, status %#x, sense %06x", wrote, c.Status, senseOf(c))
		}
	})
}

// FuzzLUN: what is decoded is a number that fits, and is found again.
func FuzzLUN(f *testing.F) {
	f.Add(uint64(0x0001) << 48)
	f.Add(uint64(0x412C) << 48)
	f.Add(uint64(0xC101) << 48)
	f.Fuzz(func(t *testing.T, wire uint64) {
		n, ok := scsi.DecodeLUN(wire)
		if ok && (n > 0x3FFF || wire<<16 != 0) {
			t.Fatalf("%#x is LUN %d", wire, n)
		}
	})
}
