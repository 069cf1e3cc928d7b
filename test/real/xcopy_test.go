// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// lunWire is a LUN as on the wire.
func lunWire(n int) uint64 { return uint64(n) << 48 }

// scsiHost is a host with one path to each array, that gives commands by itself.
type scsiHost struct {
	p     *pair
	conns [2]*initiator.Conn
	at    int // the array that is asked
	again int // commands that had to be given again
}

// do gives a command to the array that serves: what the other one refuses, or what ends
// with the news of a change, is given again, as a host does.
func (h *scsiHost) do(c initiator.Command) initiator.Result {
	h.p.t.Helper()
	for limit := time.Now().Add(15 * time.Second); ; {
		if h.conns[h.at] == nil {
			node := h.p.Lab.Node(lab.Host)
			conn, err := initiator.Dial(initiator.Config{
				Addr:   fmt.Sprintf("%s:3260", h.p.Lab.Node(rig.Node(h.at)).Addr(lab.Fabric1)),
				Target: "iqn.2026-01.io.perdure:" + rig.Name(h.at), Name: rig.Initiator, ISID: [6]byte{0x80, 0, 0, 0, 7, 1}, Dial: node.DialContext,
			})
			if err == nil {
				h.p.t.Cleanup(conn.Close)
				h.conns[h.at] = conn
			}
		}
		if h.conns[h.at] != nil {
			r := h.conns[h.at].Do(c)
			if r.Err == nil && r.Status == 0 {
				return r
			}
			h.again++
			switch key := r.Code() >> 16; {
			case r.Err != nil:
				h.conns[h.at] = nil
			case r.Status == 8, key == 6: // BUSY, unit attention
			case key == 2, key == 0xA: // not ready, copy aborted: the other path
				h.at = 1 - h.at
			default:
				h.p.t.Fatalf("% x: status %#x, sense %06x", c.CDB, r.Status, r.Code())
			}
		}
		if time.Now().After(limit) {
			h.p.t.Fatalf("% x: no answer", c.CDB)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func cdb16(op byte, lba uint64, n int) []byte {
	b := make([]byte, 16)
	b[0] = op
	binary.BigEndian.PutUint64(b[2:], lba)
	binary.BigEndian.PutUint32(b[10:], uint32(n))
	return b
}

func (h *scsiHost) write(lun int, off int64, data []byte) {
	h.do(initiator.Command{LUN: lunWire(lun), CDB: cdb16(0x8A, uint64(off)/512, len(data)/512), Out: data})
}

func (h *scsiHost) read(lun int, off int64, n int) []byte {
	return h.do(initiator.Command{LUN: lunWire(lun), CDB: cdb16(0x88, uint64(off)/512, n/512), In: n}).In
}

// wwn is the volume's name, as VPD page 83 says it first.
func (h *scsiHost) wwn(lun int) []byte {
	in := h.do(initiator.Command{LUN: lunWire(lun), CDB: []byte{0x12, 1, 0x83, 4, 0, 0}, In: 1024}).In
	if len(in) < 24 || !bytes.Equal(in[4:8], []byte{1, 3, 0, 16}) {
		h.p.t.Fatalf("VPD 83: % x", in)
	}
	return in[8:24]
}

// copy is EXTENDED COPY of n bytes from LUN 0 to LUN 1.
func (h *scsiHost) copy(names [2][]byte, from, to int64, n int) {
	list := make([]byte, 16, 16+2*32+28)
	list[1], list[3], list[11] = 2<<3, 64, 28
	for _, name := range names {
		d := make([]byte, 32)
		d[0], d[4], d[5], d[7], d[30] = 0xE4, 1, 3, 16, 2
		copy(d[8:], name)
		list = append(list, d...)
	}
	s := make([]byte, 28)
	s[0], s[3], s[7] = 2, 24, 1
	binary.BigEndian.PutUint16(s[10:], uint16(n/512))
	binary.BigEndian.PutUint64(s[12:], uint64(from)/512)
	binary.BigEndian.PutUint64(s[20:], uint64(to)/512)
	list = append(list, s...)
	h.do(initiator.Command{CDB: cdb16(0x83, 0, len(list)), Out: list})
}

// TestCopyByTheArray copies a volume to another one with EXTENDED COPY, while the group
// moves to the other array and back, and looks at the copy through both. It prints how
// long it takes beside a host that reads and writes by itself.
func TestCopyByTheArray(t *testing.T) {
	const size, step = 48 << 20, 4 << 20
	p := newPair(t, 2, "96m")
	h := &scsiHost{p: p}
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(7, 7))
	for i := 0; i < size; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], r.Uint64())
	}
	clear(data[8<<20 : 12<<20])
	for off := int64(0); off < size; off += 1 << 20 {
		h.write(0, off, data[off:off+1<<20])
	}
	names := [2][]byte{h.wwn(0), h.wwn(1)}

	begin := time.Now()
	for off := int64(0); off < size; off += step {
		h.copy(names, off, off, step)
	}
	byArray := time.Since(begin)
	begin = time.Now()
	for off := int64(0); off < size; off += 1 << 20 {
		h.write(1, 48<<20+off, h.read(0, off, 1<<20))
	}
	byHost := time.Since(begin)
	fmt.Printf("copy: %d MiB, mirrored: %v by the array, %v by a host with one command at a time\n", size>>20, byArray.Round(time.Millisecond), byHost.Round(time.Millisecond))
	h.expect(data)

	// Once more, of other data, and the group moves meanwhile.
	copy(data[20<<20:], data[:20<<20])
	for off := int64(0); off < size; off += 1 << 20 {
		h.write(0, off, data[off:off+1<<20])
	}
	h.again = 0
	moved := make(chan error, 1)
	for i, off := 0, int64(0); off < size; i, off = i+1, off+step {
		switch i {
		case 3:
			go func() {
				_, err := p.Command(t.Context(), rig.A, "setrcopygroup", "switchover", group)
				moved <- err
			}()
		case 8:
			p.must(<-moved)
			p.move(rig.A)
		}
		h.copy(names, off, off, step)
	}
	if h.again == 0 {
		t.Error("no command was refused although the group moved")
	}
	for _, i := range []int{rig.A, rig.B} {
		p.move(i)
		h.expect(data)
	}
	p.whole()
}

// expect reads LUN 1.
func (h *scsiHost) expect(data []byte) {
	h.p.t.Helper()
	for off := int64(0); off < int64(len(data)); off += 1 << 20 {
		if !bytes.Equal(h.read(1, off, 1<<20), data[off:off+1<<20]) {
			h.p.t.Fatalf("the copy differs at %d", off)
		}
	}
}
