// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// atHand is a unit that has everything at hand while it is willing.
type atHand struct {
	*ramunit.Unit
	paths   *scsi.Paths
	willing atomic.Bool
	quick   atomic.Int64
}

func (u *atHand) Paths(string) *scsi.Paths { return u.paths }

func (u *atHand) ReadNow(off int64, dst []byte) bool {
	if !u.willing.Load() {
		return false
	}
	u.quick.Add(1)
	for i := range dst {
		dst[i] = byte((off + int64(i)) / block.Sector)
	}
	return true
}

func newQuickLab(t *testing.T) (*lab, *atHand) {
	u := &atHand{}
	l := newLab(t, 8<<20, func(c *Config) {
		disk := ramunit.New("disk", 1, 8<<20, 1)
		u.Unit = disk.Unit(0)
		u.paths = u.Unit.Paths("")
		c.Server = scsi.NewServer(scsi.Config{Exports: ramunit.NewExports(u), Pool: block.NewPool(64 << 20), Revision: "1"})
	})
	u.willing.Store(true)
	return l, u
}

// readQuickly returns what reads n times 4 KiB at block 8, one at a time, and checks what comes.
func readQuickly(t *testing.T, l *lab) func(n int) {
	c := l.host(nil)
	nc := c.Net()
	c.Detach()
	r := pdu.NewReader(nc, 1<<18)
	buf, want := make([]byte, 4096), make([]byte, 4096)
	for i := range want {
		want[i] = byte(8 + i/block.Sector)
	}
	h, ask := pdu.Header{}, pdu.Make(pdu.SCSICommand, 0x80|0x40|1)
	sn := uint32(2)
	copy(ask[32:], rw16(0x88, 8, 8))
	return func(n int) {
		for range n {
			ask.Put32(pdu.OffITT, sn)
			ask.Put32(20, 4096)
			ask.Put32(pdu.OffCmdSN, sn)
			sn++
			if _, err := nc.Write(ask[:]); err != nil {
				t.Fatal(err)
			}
			if err := r.Next(&h); err != nil || h.Op() != pdu.DataIn || h.ITT() != sn-1 {
				t.Fatal(err, h.Op())
			}
			if err := r.Data(buf); err != nil || !bytes.Equal(buf, want) {
				t.Fatalf("read %d: %v, or the wrong data", sn, err)
			}
		}
	}
}

// TestQuickReads: reads of what is at hand are answered as others are, and the window
// moves on.
func TestQuickReads(t *testing.T) {
	l, u := newQuickLab(t)
	read := readQuickly(t, l)
	read(2000) // more than the window has
	if n := u.quick.Load(); n < 1900 {
		t.Errorf("%d of 2000 reads went the quick way", n)
	}
}

// TestNoAllocationPerRead: in steady state, a read of what is at hand takes no memory of
// its own: nothing for the garbage collector to do.
func TestNoAllocationPerRead(t *testing.T) {
	l, _ := newQuickLab(t)
	read := readQuickly(t, l)
	read(1000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 5000
	read(n)
	runtime.ReadMemStats(&after)
	// The race detector has pools drop some of what they hold, which is half a one.
	if got := float64(after.Mallocs-before.Mallocs) / n; got > 0.9 {
		t.Errorf("%.2f allocations a command, host and target together", got)
	}
}
