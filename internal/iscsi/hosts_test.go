// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/scsi"
)

// named is a session n of a host.
func named(host string, n byte) func(*initiator.Config) {
	return func(c *initiator.Config) { c.Name, c.ISID[5] = "iqn.2026-01.org.example:"+host, n }
}

// TestLimitsOfAHost: what one host may have is bounded, whatever the target could take,
// and another host feels nothing of it.
func TestLimitsOfAHost(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.HostSessions, c.Limits.HostConnections = 2, 3 })
	for i := range byte(2) {
		l.host(named("a", i))
	}
	_, err := l.dial(named("a", 2))
	wantStatus(t, err, statusOutOfResource)
	l.settled("a", 2)
	l.host(named("a", 1)) // in place of a session there is room
	l.settled("a", 2)
	discover := func(c *initiator.Config) { named("a", 0)(c); c.Target = "" }
	d, err := l.dial(discover)
	if err != nil {
		t.Fatal("a third connection, for discovery:", err)
	}
	_, err = l.dial(discover)
	wantStatus(t, err, statusOutOfResource)
	for i := range byte(2) {
		l.host(named("b", i))
	}
	d.Close()
	l.settled("a", 2)
	if _, err := l.dial(discover); err != nil {
		t.Error("once a connection has ended:", err)
	}
}

// settled waits until the target counts so many connections of a host: it has seen the
// ends of the others.
func (l *lab) settled(host string, conns int) {
	for {
		l.target.mu.Lock()
		n := l.target.hosts["iqn.2026-01.org.example:"+host].conns
		l.target.mu.Unlock()
		if n == conns {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestWindowsDivideTheHostsCommands: the windows of a host's sessions together stay
// within what the host may have, and follow the number of sessions.
func TestWindowsDivideTheHostsCommands(t *testing.T) {
	const commands, most = 16, 24
	l := newLab(t, 1<<20, func(c *Config) {
		c.Limits.Commands, c.Limits.HostCommands, c.Limits.HostSessions = commands, most, 8
	})
	var all []*initiator.Conn
	settle := func() (sum int) {
		for range 2 * commands {
			for _, c := range all {
				if r := c.Do(read(0, 1)); r.Err != nil || r.Status != 0 {
					t.Fatalf("%+v", r)
				}
			}
		}
		for _, c := range all {
			sum += c.Window()
		}
		return sum
	}
	for n, want := range []int{16, 24, 24, 24} {
		all = append(all, l.host(named("a", byte(n))))
		if w := all[n].Window(); w < 1 {
			t.Errorf("session %d begins with a window of %d", n, w)
		}
		if sum := settle(); sum != want {
			t.Errorf("%d sessions have windows of %d together, want %d", n+1, sum, want)
		}
	}
	for _, c := range all[1:] {
		if err := c.Logout(); err != nil {
			t.Fatal(err)
		}
	}
	all = all[:1]
	l.settled("a", 1)
	if w := settle(); w != commands {
		t.Errorf("the session that is left has a window of %d, want %d", w, commands)
	}
	l.target.mu.Lock()
	h := l.target.hosts["iqn.2026-01.org.example:a"]
	l.target.mu.Unlock()
	if h.granted.Load() != commands {
		t.Errorf("%d slots are counted as given", h.granted.Load())
	}
}

// TestBuffersOfAHost: a host whose commands hold all that it may have is told to wait
// for them, and another goes on.
func TestBuffersOfAHost(t *testing.T) {
	l := newLab(t, 8<<20, func(c *Config) { c.Limits.HostBytes = 64 << 20 })
	a, b := l.host(named("a", 1)), l.host(named("b", 1))
	l.disk.Hold(false)
	var held []*initiator.Pending
	full := 0
	w := write(0, data(1<<20))
	for range 120 { // the window has 128
		w.Immediate, w.Unsolicited = 4096, 258048
		held = append(held, a.Start(w))
	}
	a.Ping(nil)
	if used := l.pool.Used(); used > 64<<20 {
		t.Errorf("one host holds %d MiB of 64", used>>20)
	}
	l.disk.Resume()
	for _, p := range held {
		switch r := p.Wait(); r.Status {
		case byte(scsi.TaskSetFull):
			full++
		case 0:
		default:
			t.Fatalf("%+v", r)
		}
	}
	if full == 0 {
		t.Error("120 MiB were taken at once")
	}
	if r := b.Do(write(0, data(512))); r.Status != 0 || r.Err != nil {
		t.Errorf("the other host: %+v", r)
	}
}

// TestAHostWithoutAShareLeft: with the whole pool in others' hands a host that was there
// before still has its guarantee.
func TestAHostWithoutAShareLeft(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	var all []*block.Buffer
	for b, ok := l.pool.Get(block.Align); ok; b, ok = l.pool.Get(block.Align) {
		all = append(all, b)
	}
	if r := c.Do(write(0, data(256<<10))); r.Status != 0 || r.Err != nil {
		t.Errorf("a write within the guarantee: %+v", r)
	}
	for _, b := range all {
		b.Release()
	}
}

// TestPortalsForSome: who may not use a portal gets no word out of it, or is refused by
// his name, and isn't told of it.
func TestPortalsForSome(t *testing.T) {
	allow := func(list ...string) Allowed {
		a, err := ParseAllowed(list)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	l := newLab(t, 1<<20, func(c *Config) {
		for i, a := range []Allowed{allow("127.0.0.2", "10.0.0.0/8"), allow("iqn.2026-01.org.example:b*")} {
			c.Groups = append(c.Groups, PortalGroup{Tag: uint16(i + 2), Relative: uint16(i + 2), Listen: []string{"127.0.0.1:0"}, Allow: a})
		}
	})
	to := func(portal int, host, from string) error {
		_, err := l.dial(func(c *initiator.Config) {
			named(host, 1)(c)
			c.Addr = l.target.Addrs()[portal].String()
			c.Dial = dialFrom(from)
		})
		return err
	}
	if err := to(1, "a", "127.0.0.1"); err == nil {
		t.Error("a connection from an address that is not on the list")
	}
	if err := to(1, "a", "127.0.0.2"); err != nil {
		t.Error("from one that is:", err)
	}
	wantStatus(t, to(2, "a", "127.0.0.1"), statusDenied)
	if err := to(2, "b1", "127.0.0.1"); err != nil {
		t.Error("a name on the list:", err)
	}
	c, err := l.dial(func(c *initiator.Config) { named("a", 1)(c); c.Target = "" })
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := c.Text(pdu.Pair{Key: "SendTargets", Value: "All"})
	want := fmt.Sprint([]pdu.Pair{{Key: "TargetName", Value: testName}, {Key: "TargetAddress", Value: l.addr() + ",1"}})
	if err != nil || fmt.Sprint(pairs) != want {
		t.Errorf("SendTargets: %v, %v, want %v", pairs, err, want)
	}
}

func TestParseAllowed(t *testing.T) {
	for _, bad := range []string{"", "192.0.2.1/24", "192.0.2.0/33", "host", "iqn", "*", "fe80::1%eth0", "192.0.2.0/"} {
		if _, err := ParseAllowed([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	a, err := ParseAllowed([]string{"::ffff:192.0.2.1", "2001:db8::/32", "naa.500"})
	if err != nil || !a.initiator("naa.500") || a.initiator("naa.5001") {
		t.Errorf("%+v, %v", a, err)
	}
	for ip, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false, "2001:db8::7": true, "2001:db9::7": false} {
		if got := a.address(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 1))); got != want {
			t.Errorf("from %s: %v", ip, got)
		}
	}
}

// dialFrom connects from an address.
func dialFrom(from string) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return d.DialContext
}
