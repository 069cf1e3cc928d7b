// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// asker puts questions to an echo, or reads of 4 KiB to a target, in the same way: what
// differs between the two is the other end alone.
type asker struct {
	nc   net.Conn
	next func(q []byte)       // makes the next question
	took func(a []byte) error // looks at an answer
	end  func()
	// most is how many questions may be under way; 0: any number.
	most int
}

// askEcho asks an echo.
func askEcho(addr string) (*asker, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &asker{nc: nc, next: func([]byte) {}, took: func([]byte) error { return nil }, end: func() { nc.Close() }}, nil
}

// askTarget reads blocks of 4 KiB, drawn at random, of a volume of so many MiB.
func askTarget(t *target, mib int) (*asker, error) {
	c, err := initiator.Dial(initiator.Config{
		Addr: t.addr, Target: t.iqn, Name: initiatorName, ISID: [6]byte{0x80, 0, 0, 1},
		Keys: map[string]string{"ImmediateData": "Yes"},
	})
	if err != nil {
		return nil, err
	}
	for range 3 { // what a new session is told of power and inquiry data
		c.Do(initiator.Command{LUN: uint64(t.lun) << 48, CDB: make([]byte, 6)})
	}
	c.Detach()
	cmdSN, statSN := c.Numbers()
	window := c.Window()
	a := &asker{nc: c.Net(), most: window, end: func() { c.Net().Close() }}
	blocks := int64(mib) << 20 / 4096
	a.next = func(q []byte) {
		h := pdu.Make(pdu.SCSICommand, 0xC1) // final, read, simple
		h.Put64(pdu.OffLUN, uint64(t.lun)<<48)
		h.Put32(pdu.OffITT, cmdSN)
		h.Put32(pdu.OffCmdSN, cmdSN)
		h.Put32(pdu.OffExpStat, statSN)
		h.Put32(20, 4096)
		h[32] = 0x28 // READ(10)
		binary.BigEndian.PutUint32(h[34:], uint32(rand.Int64N(blocks)*8))
		binary.BigEndian.PutUint16(h[39:], 8)
		copy(q, h[:])
		cmdSN++
	}
	a.took = func(b []byte) error {
		h := (*pdu.Header)(b)
		if h.Op() != pdu.DataIn || h[1]&1 == 0 || h[3] != 0 || h.DataLen() != 4096 {
			return fmt.Errorf("%s answers a read with % x", t.name, b[:pdu.HeaderLen])
		}
		statSN = h.U32(pdu.OffStatSN) + 1
		return nil
	}
	return a, nil
}

// warm reads all of a volume once, so that what a target keeps in memory is there: of the
// peers' files the kernel kept what was written.
func (t *target) warm(mib int) error {
	c, err := initiator.Dial(initiator.Config{Addr: t.addr, Target: t.iqn, Name: initiatorName, ISID: [6]byte{0x80, 0, 0, 2}})
	if err != nil {
		return err
	}
	defer c.Close()
	for range 3 { // what a new session is told of power and inquiry data
		c.Do(initiator.Command{LUN: uint64(t.lun) << 48, CDB: make([]byte, 6)})
	}
	const size = 64 << 10
	for at := int64(0); at < int64(mib)<<20; at += size {
		cdb := make([]byte, 10)
		cdb[0] = 0x28 // READ(10)
		binary.BigEndian.PutUint32(cdb[2:], uint32(at/512))
		binary.BigEndian.PutUint16(cdb[7:], size/512)
		r := c.Do(initiator.Command{LUN: uint64(t.lun) << 48, CDB: cdb, In: size})
		if r.Err != nil || r.Status != 0 {
			return errors.Join(fmt.Errorf("read %d bytes at %d: status %#x, sense %06x", size, at, r.Status, r.Code()), r.Err)
		}
	}
	return nil
}

// ask keeps depth questions under way for a while and returns how many were answered.
func (a *asker) ask(depth int, turn time.Duration) (n int, err error) {
	in, out := bufio.NewReaderSize(a.nc, 256<<10), bufio.NewWriterSize(a.nc, 64<<10)
	q, b := make([]byte, question), make([]byte, answer)
	sent := 0
	if a.most > 0 {
		depth = min(depth, a.most)
	}
	for end := time.Now().Add(turn); ; n++ {
		for ; sent < n+depth; sent++ {
			a.next(q)
			if _, err := out.Write(q); err != nil {
				return n, err
			}
		}
		if in.Buffered() < answer {
			if time.Now().After(end) {
				return n, nil
			}
			if err := out.Flush(); err != nil {
				return n, err
			}
		}
		if _, err := io.ReadFull(in, b); err != nil {
			return n, fmt.Errorf("wait for an answer: %w", err)
		}
		if err := a.took(b); err != nil {
			return n, err
		}
	}
}

// askOnce asks for a turn and returns the questions answered in a second.
func askOnce(a *asker, err error, depth int, turn time.Duration) (float64, error) {
	if err != nil {
		return 0, err
	}
	defer a.end()
	n, err := a.ask(depth, turn)
	return float64(n) / turn.Seconds(), err
}
