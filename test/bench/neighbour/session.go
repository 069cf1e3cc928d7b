// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/test/bench/alone"
)

// load is a kind of command.
type load struct {
	name   string
	write  bool
	blocks int
}

// loads are what the noisy host does, and the quiet one beside it in small. (A list, not
// to be changed.)
var loads = []load{{"read-4k", false, 8}, {"write-4k", true, 8}, {"read-64k", false, 128}, {"write-64k", true, 128}}

// session is a bare session: it leaves out all that a host does beside I/O.
type session struct {
	nc    net.Conn
	in    *pdu.Reader
	cmdSN uint32
	maxSN uint32
	stat  uint32
	data  []byte
	out   []byte
	rnd   *rand.Rand
}

// login opens session number n of a host.
func login(addr, name string, n int) (*session, error) {
	c, err := initiator.Dial(initiator.Config{Addr: addr, Target: alone.TargetName, Name: name, ISID: [6]byte{0x80, 0, 0, 0, 0, byte(n)}})
	if err != nil {
		return nil, err
	}
	c.Do(initiator.Command{CDB: make([]byte, 6)}) // takes the unit attention off
	c.Detach()
	s := &session{
		nc: c.Net(), in: pdu.NewReader(c.Net(), 1<<20), cmdSN: 2, maxSN: 2, data: make([]byte, 1<<20),
		rnd: rand.New(rand.NewPCG(uint64(n), 7)),
	}
	for i := range s.data {
		s.data[i] = byte(s.rnd.Uint32())
	}
	return s, nil
}

func (s *session) close() { s.nc.Close() }

// window reports whether the target takes another command.
func (s *session) window() bool { return int32(s.maxSN-s.cmdSN) >= 0 }

// put adds a command at a random place to what is to be sent.
func (s *session) put(l load, blocks int, tag uint32) {
	h := pdu.Make(pdu.SCSICommand, 0x80|1)
	op, data := byte(0x88), []byte(nil)
	h[1] |= 0x40
	if l.write {
		op, data = 0x8A, s.data[:l.blocks*512]
		h[1] = 0x80 | 0x20 | 1
	}
	h.Put32(pdu.OffITT, tag)
	h.Put32(20, uint32(l.blocks*512))
	h.Put32(pdu.OffCmdSN, s.cmdSN)
	h.Put32(pdu.OffExpStat, s.stat)
	s.cmdSN++
	h[32] = op
	binary.BigEndian.PutUint64(h[34:], uint64(s.rnd.IntN(blocks/l.blocks)*l.blocks))
	binary.BigEndian.PutUint32(h[42:], uint32(l.blocks))
	s.out = pdu.Append(s.out, &h, data, false, false)
}

// flush sends what was added.
func (s *session) flush() error {
	_, err := s.nc.Write(s.out)
	s.out = s.out[:0]
	return err
}

// next waits until a command ends; busy says that the target could not take it.
func (s *session) next() (tag uint32, busy bool, err error) {
	var h pdu.Header
	for {
		if err := s.in.Next(&h); err != nil {
			return 0, false, err
		}
		if err := s.in.Data(s.data[:h.DataLen()]); err != nil {
			return 0, false, err
		}
		s.maxSN = h.U32(pdu.OffMaxCmd)
		switch {
		case h.Op() == pdu.NopIn && h.U32(pdu.OffTTT) != pdu.NoTag:
			r := pdu.Make(0x40|pdu.NopOut, 0x80)
			r.Put32(pdu.OffITT, pdu.NoTag)
			r.Put32(pdu.OffTTT, h.U32(pdu.OffTTT))
			r.Put32(pdu.OffCmdSN, s.cmdSN)
			s.out = pdu.Append(s.out, &r, nil, false, false)
			if err := s.flush(); err != nil {
				return 0, false, err
			}
		case h.Op() == pdu.SCSIResponse || h.Op() == pdu.DataIn && h[1]&1 != 0:
			s.stat = h.U32(pdu.OffStatSN) + 1
			if h[3] != 0 && h[3] != 0x08 && h[3] != 0x28 {
				return 0, false, fmt.Errorf("a command ended with status %#x", h[3])
			}
			return h.ITT(), h[3] != 0, nil
		case h.Op() == pdu.Reject:
			return 0, false, fmt.Errorf("a request was rejected for reason %#x", h[2])
		}
	}
}

// latencies are of one turn, in microseconds, sorted.
type latencies []float64

func (l latencies) at(percent int) float64 {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)*percent/100, len(l)-1)]
}

// alone sends one 4 KiB command at a time for as long as the turn is.
func (s *session) alone(l load, blocks int, turn time.Duration) (latencies, error) {
	l.blocks = 8
	var all latencies
	for end := time.Now().Add(turn); time.Now().Before(end); {
		s.put(l, blocks, 1)
		began := time.Now()
		if err := s.flush(); err != nil {
			return nil, err
		}
		for {
			_, busy, err := s.next()
			if err != nil {
				return nil, err
			}
			if !busy {
				break
			}
			s.put(l, blocks, 1) // a host sends it again, and waits all that time
			if err := s.flush(); err != nil {
				return nil, err
			}
		}
		all = append(all, float64(time.Since(began).Microseconds()))
	}
	slices.Sort(all)
	return all, nil
}
