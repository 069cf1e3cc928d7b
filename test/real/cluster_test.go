// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/rig"
)

const conflict = 0x18 // RESERVATION CONFLICT

// member is a host of a cluster, with all its paths to the shared volume.
type member struct {
	p    *pair
	host *host.Host
	disk *host.Disk
	key  uint64
}

// member opens a host of its own; the volume is exported to it too.
func (p *pair) member(name string, key uint64) *member {
	p.t.Helper()
	iqn := "iqn.2026-01.org.example:" + name
	p.command(rig.A, "createhost", name, iqn)
	p.command(rig.A, "createvlun", group+".0", "0", name)
	h, err := p.HostNamed(iqn)
	p.must(err)
	p.t.Cleanup(h.Close)
	disks, err := h.Wait(p.t.Context(), 1)
	p.must(err)
	p.must(disks[0].WaitPaths(p.t.Context(), allUp))
	return &member{p, h, disks[0], key}
}

// out is a PERSISTENT RESERVE OUT of WRITE EXCLUSIVE - REGISTRANTS ONLY, which is what
// Windows uses.
func out(action byte, key, serviceKey uint64) initiator.Command {
	list := make([]byte, 24)
	binary.BigEndian.PutUint64(list, key)
	binary.BigEndian.PutUint64(list[8:], serviceKey)
	return initiator.Command{CDB: []byte{0x5F, action, 5, 0, 0, 0, 0, 0, 24, 0}, Out: list, Immediate: len(list)}
}

const (
	prReserve, prClear, prPreempt, prIgnore = 1, 3, 4, 6
)

// reserve sends PERSISTENT RESERVE OUT through whichever path works and returns the
// status.
func (m *member) reserve(action byte, serviceKey uint64) byte {
	m.p.t.Helper()
	_, err := m.disk.Do(m.p.t.Context(), out(action, m.key, serviceKey))
	var e *host.Error
	if errors.As(err, &e) {
		return e.Status
	}
	m.p.must(err)
	return 0
}

// register registers the member's key on every path, whatever was registered there.
func (m *member) register(key uint64) {
	m.p.t.Helper()
	m.p.must(m.disk.Each(m.p.t.Context(), out(prIgnore, 0, key)))
}

// keys are the registered keys that any path reports.
func (m *member) keys() (keys []uint64) {
	m.p.t.Helper()
	r, err := m.disk.Do(m.p.t.Context(), initiator.Command{CDB: []byte{0x5E, 0, 0, 0, 0, 0, 0, 4, 0, 0}, In: 1024})
	m.p.must(err)
	for b := r.In[8:]; len(b) >= 8; b = b[8:] {
		keys = append(keys, binary.BigEndian.Uint64(b))
	}
	return keys
}

func (m *member) write(with byte) error {
	return m.disk.Write(m.p.t.Context(), bytes.Repeat([]byte{with}, 4096), 0)
}

// refused reports whether a write met a reservation conflict.
func refused(err error) bool {
	var e *host.Error
	return errors.As(err, &e) && e.Status == conflict
}

func (m *member) is(what string, got, want byte) {
	m.p.t.Helper()
	if got != want {
		m.p.t.Fatalf("%s: status %#x, want %#x", what, got, want)
	}
}

// beat and patience are those of Windows: who owns a disk defends it every 3 s, who
// wants it waits for 6.
const (
	beat     = 3 * time.Second
	patience = 6 * time.Second
)

// TestWindowsArbitration plays how Windows clusters arbitrate a disk, as far as it is
// documented, through the paths of both arrays. (It is not Windows that does so.)
func TestWindowsArbitration(t *testing.T) {
	p := newSmall(t, 1, "64m")
	a, b, c := p.member("node1", 0xA1), p.member("node2", 0xB2), p.member("outsider", 0xC3)

	a.register(a.key)
	a.is("RESERVE of the first", a.reserve(prReserve, 0), 0)
	if n := len(a.keys()); n != 4 {
		t.Fatalf("%d registrations of one host with four paths", n)
	}
	p.must(a.write(1))
	if err := c.write(2); !refused(err) {
		t.Fatalf("a write of a host without a registration: %v", err)
	}

	t.Log("a challenge that is defended")
	b.register(b.key)
	a.is("RESERVE of the challenger", b.reserve(prReserve, 0), conflict)
	time.Sleep(beat) // the protocol's own time, as below
	a.is("the defence", a.reserve(prPreempt, b.key), 0)
	time.Sleep(patience - beat)
	a.is("PREEMPT of a challenger that was thrown out", b.reserve(prPreempt, a.key), conflict)
	p.must(a.write(3))
	if err := b.write(4); !refused(err) {
		t.Fatalf("a write of the challenger that lost: %v", err)
	}

	t.Log("the array that serves changes, and the reservation goes with it")
	p.move(rig.B)
	p.must(a.write(5))
	if err := b.write(6); !refused(err) {
		t.Fatalf("a write of the challenger after a switchover: %v", err)
	}

	t.Log("a challenge that nobody defends: plain PREEMPT, under the old owner's writes")
	b.register(b.key)
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				if err := a.write(byte(i<<6 | n&63)); err != nil {
					if !refused(err) {
						t.Errorf("the old owner: %v", err)
					}
					return
				}
			}
		})
	}
	time.Sleep(patience)
	a.is("PREEMPT", b.reserve(prPreempt, a.key), 0)
	at := make([]byte, 4096)
	p.must(b.disk.Read(t.Context(), "", at, 0))
	writers.Wait()
	after := make([]byte, 4096)
	p.must(b.disk.Read(t.Context(), "", after, 0))
	if !bytes.Equal(at, after) {
		t.Error("a write of the old owner took effect after the PREEMPT was answered")
	}
	p.must(b.write(7))
	if keys := b.keys(); len(keys) != 4 || keys[0] != b.key {
		t.Errorf("keys after PREEMPT: %x", keys)
	}

	t.Log("the end of the cluster")
	a.is("CLEAR", b.reserve(prClear, 0), 0)
	if keys := c.keys(); len(keys) != 0 {
		t.Errorf("keys after CLEAR: %x", keys)
	}
	p.must(c.write(8))
}
