// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// TestSlowHost: a host that reads late gets everything, in order and whole,
// whichever of reader and writer sent which part.
func TestSlowHost(t *testing.T) {
	l := newLab(t, 8<<20, nil)
	c := l.host(nil)
	image := pattern(4<<20, 3)
	for i := range 4 {
		if r := c.Do(write(uint64(i)<<11, image[i<<20:(i+1)<<20])); r.Status != 0 || r.Err != nil {
			t.Fatalf("%+v", r)
		}
	}
	c.Detach()
	nc := c.Net().(*net.TCPConn)
	nc.SetReadBuffer(64 << 10)
	const commands, blocks = 100, 80 // 40 KiB each: small enough for the reader to send
	for i := range uint32(commands) {
		h := pdu.Make(pdu.SCSICommand, 0x80|0x40|1)
		h.Put32(pdu.OffITT, i)
		h.Put32(20, blocks*512)
		h.Put32(pdu.OffCmdSN, i+6) // after TEST UNIT READY and four writes
		copy(h[32:], rw16(0x88, uint64(i), blocks))
		if _, err := nc.Write(h[:]); err != nil {
			t.Fatal(err)
		}
	}
	r := pdu.NewReader(nc, 1<<18)
	got := make([][]byte, commands)
	var statSN uint32
	for ended := 0; ended < commands; {
		var h pdu.Header
		if err := r.Next(&h); err != nil {
			t.Fatal(err)
		}
		if h.Op() != pdu.DataIn || h.ITT() >= commands {
			t.Fatalf("% x", h)
		}
		data := make([]byte, h.DataLen())
		if err := r.Data(data); err != nil {
			t.Fatal(err)
		}
		itt := h.ITT()
		if int(h.U32(pdu.OffBuffer)) != len(got[itt]) {
			t.Fatalf("command %d: data at %d after %d bytes", itt, h.U32(pdu.OffBuffer), len(got[itt]))
		}
		got[itt] = append(got[itt], data...)
		if h[1]&1 != 0 {
			if sn := h.U32(pdu.OffStatSN); statSN != 0 && sn != statSN+1 {
				t.Fatalf("StatSN %d after %d", sn, statSN)
			}
			statSN = h.U32(pdu.OffStatSN)
			ended++
		}
	}
	for i, data := range got {
		if !bytes.Equal(data, image[i*512:(i+blocks)*512]) {
			t.Errorf("command %d: wrong data", i)
		}
	}
}

// TestSlowIsNotDead: a host that takes longer for a batch than it has for any
// progress keeps its session; one that takes nothing loses it.
func TestSlowIsNotDead(t *testing.T) {
	l := newLab(t, 8<<20, func(c *Config) { c.Limits.Write = 300 * time.Millisecond })
	ask := func(n byte) *net.TCPConn {
		c := l.host(isid(n))
		c.Detach()
		nc := c.Net().(*net.TCPConn)
		nc.SetReadBuffer(64 << 10)
		for i := range uint32(8) {
			h := pdu.Make(pdu.SCSICommand, 0x80|0x40|1)
			h.Put32(pdu.OffITT, i)
			h.Put32(20, 1<<20)
			h.Put32(pdu.OffCmdSN, i+2)
			copy(h[32:], rw16(0x88, 0, 2048))
			if _, err := nc.Write(h[:]); err != nil {
				t.Fatal(err)
			}
		}
		return nc
	}
	slow, dead := ask(1), ask(2)
	buf := make([]byte, 1<<20)
	for range 8 {
		if _, err := io.ReadFull(slow, buf); err != nil {
			t.Fatal("the slow host lost its session:", err)
		}
		time.Sleep(60 * time.Millisecond) // the host's slowness, not synchronisation
	}
	for len(l.target.Sessions()) > 1 {
		time.Sleep(time.Millisecond) // ends when the dead host's session has
	}
	dead.Close()
}
