// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"net"
	"testing"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/scsi"
)

// fakeClock is a pulse on a clock of the test's.
func fakeClock() (*pulse, *int64) {
	now := int64(1)
	p := &pulse{now: func() int64 { return now }}
	p.beat()
	return p, &now
}

// wire is a connection from which one byte can be read at any time.
type wire struct{ net.Conn }

func (wire) Read(p []byte) (int, error) { return 1, nil }

func TestSourceRefusesStaleBytes(t *testing.T) {
	const ms = int64(1e6)
	read := func(s *source) error {
		_, err := s.Read(make([]byte, 1))
		return err
	}
	t.Run("steady", func(t *testing.T) {
		p, now := fakeClock()
		s := newSource(wire{}, p, newOutput(nil))
		for range 100 {
			*now += 250 * ms
			p.beat()
			if err := read(s); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("backpressure", func(t *testing.T) {
		p, now := fakeClock()
		s := newSource(wire{}, p, newOutput(nil))
		for range 8 { // the process runs, this reader doesn't
			*now += 250 * ms
			p.beat()
		}
		if err := read(s); !errors.Is(err, errStale) {
			t.Errorf("bytes unread for 2 s: %v", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		p, now := fakeClock()
		s := newSource(stopping{now: now, by: int64(scsi.Late)}, p, newOutput(nil))
		if err := read(s); !errors.Is(err, errStale) {
			t.Errorf("bytes read after the process stood still: %v", err)
		}
	})
	t.Run("stopped, and the pulse beat first", func(t *testing.T) {
		p, now := fakeClock()
		s := newSource(stopping{now: now, by: int64(scsi.Late), after: p.beat}, p, newOutput(nil))
		if err := read(s); !errors.Is(err, errStale) {
			t.Errorf("bytes read after the process stood still: %v", err)
		}
		// A connection that begins after the stall is fine.
		if err := read(newSource(wire{}, p, newOutput(nil))); err != nil {
			t.Error(err)
		}
	})
}

// stopping is a connection during whose Read the process stands still.
type stopping struct {
	net.Conn
	now   *int64
	by    int64
	after func()
}

func (s stopping) Read(p []byte) (int, error) {
	*s.now += s.by
	if s.after != nil {
		s.after()
	}
	return 1, nil
}

// TestStallClosesConnections: after a stall what lies in the socket is not
// executed.
func TestStallClosesConnections(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	l.target.pulse.stalls.Add(1)
	if r := c.Do(write(0, data(512))); r.Err == nil {
		t.Errorf("a command from before the stall was answered: %+v", r)
	}
	if l.disk.Stores() != 0 {
		t.Error("a command from before the stall was executed")
	}
	l.host(nil)
}

// TestDamagedData: a data digest that differs ends the command, not the session.
func TestDamagedData(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(func(c *initiator.Config) { c.Keys = map[string]string{"DataDigest": "CRC32C"} })
	h := pdu.Make(0x40|pdu.SCSICommand, 0x80|0x20|1)
	h.Put32(pdu.OffITT, 0x7777)
	h.Put32(20, 512)
	copy(h[32:], rw16(0x8A, 0, 1))
	wire := pdu.Append(nil, &h, make([]byte, 512), false, true)
	wire[100] ^= 1
	if _, err := c.Net().Write(wire); err != nil {
		t.Fatal(err)
	}
	<-c.Ended() // the initiator has no call of that tag: the answer ends it
	if l.disk.Stores() != 0 {
		t.Error("damaged data were written")
	}
	c = l.host(func(c *initiator.Config) { c.Keys = map[string]string{"HeaderDigest": "CRC32C"} })
	wire = pdu.AppendHeader(nil, &h, true)
	wire[30] ^= 1
	c.Net().Write(wire)
	<-c.Ended()
}
