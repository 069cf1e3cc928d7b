// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"io"
	"net"
	"testing"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// BenchmarkRead4K reads 4 KiB, one at a time, over loopback; BenchmarkEcho is the
// floor: the same bytes to and fro without a target.
func BenchmarkRead4K(b *testing.B) {
	l := newLab(b, 8<<20, nil)
	c := l.host(nil)
	nc := c.Net()
	c.Detach()
	r := pdu.NewReader(nc, 1<<18)
	buf := make([]byte, 4096)
	sn := uint32(2)
	for b.Loop() {
		h := pdu.Make(pdu.SCSICommand, 0x80|0x40|1)
		h.Put32(pdu.OffITT, sn)
		h.Put32(20, 4096)
		h.Put32(pdu.OffCmdSN, sn)
		copy(h[32:], rw16(0x88, 8, 8))
		sn++
		if _, err := nc.Write(h[:]); err != nil {
			b.Fatal(err)
		}
		if err := r.Next(&h); err != nil || h.Op() != pdu.DataIn {
			b.Fatal(err, h.Op())
		}
		if err := r.Data(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in, out := make([]byte, 48), make([]byte, 4144)
		for {
			if _, err := io.ReadFull(c, in); err != nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	out, in := make([]byte, 48), make([]byte, 4144)
	for b.Loop() {
		c.Write(out)
		if _, err := io.ReadFull(c, in); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	<-ended
}

// BenchmarkWrite4K writes 4 KiB, one at a time, over loopback to memory.
func BenchmarkWrite4K(b *testing.B) {
	l := newLab(b, 8<<20, nil)
	c := l.host(nil)
	nc := c.Net()
	c.Detach()
	r := pdu.NewReader(nc, 1<<18)
	out := make([]byte, 48+4096)
	sn := uint32(2)
	b.ReportAllocs()
	for b.Loop() {
		h := pdu.Make(pdu.SCSICommand, 0x80|0x20|1)
		h.SetDataLen(4096)
		h.Put32(pdu.OffITT, sn)
		h.Put32(20, 4096)
		h.Put32(pdu.OffCmdSN, sn)
		copy(h[32:], rw16(0x8A, 8, 8))
		sn++
		copy(out, h[:])
		if _, err := nc.Write(out); err != nil {
			b.Fatal(err)
		}
		if err := r.Next(&h); err != nil || h.Op() != pdu.SCSIResponse {
			b.Fatal(err, h.Op())
		}
	}
}
