// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// movable is the address of an array on a fabric that its daemon sets.
func (p *pair) movable(i int, fabric string) netip.Addr {
	a := p.Lab.Node(rig.Node(i)).Addr(fabric).As4()
	a[3] += 100
	return netip.AddrFrom4(a)
}

// fabrics are the networks of hosts.
var fabrics = []string{lab.Fabric1, lab.Fabric2}

// newMovable starts a pair whose portals can be taken over.
func newMovable(t *testing.T) *pair {
	t.Helper()
	p := newRig(t)
	for i := range 2 {
		var portals, own, others string
		for k, f := range fabrics {
			portals += fmt.Sprintf("\"%s:3260\", ", p.movable(i, f))
			own += fmt.Sprintf("{ portal = \"%s:3260\", network = 24, device = %q }, ", p.movable(i, f), f)
			others += fmt.Sprintf("{ portal = \"%s:3260\", network = 24, device = %q, tag = %d }, ", p.movable(1-i, f), f, k+1)
		}
		p.configure(i, `portals = ["0.0.0.0:3260"]`, fmt.Sprintf("portals = [%s]\ntakeover = [%s]", portals, own))
		p.configure(i, "[target]\n", fmt.Sprintf("[target]\niscsi_name = \"iqn.2026-01.io.perdure:%s\"\ntakeover = [%s]\n", rig.Name(1-i), others))
	}
	p.bringUp(2, "16m")
	return p
}

// login logs in at an array's movable portal, as that array's target.
func (p *pair) login(i int, fabric string, limit time.Duration) (*initiator.Conn, error) {
	return initiator.Dial(initiator.Config{
		Addr: netip.AddrPortFrom(p.movable(i, fabric), 3260).String(), Target: "iqn.2026-01.io.perdure:" + rig.Name(i), Name: rig.Initiator,
		ISID: [6]byte{0x80, 0, 0, 0, 0, byte(i)}, Dial: p.Lab.Node(lab.Host).DialContext, Timeout: 3 * time.Second, Login: limit,
	})
}

// relogin is what a host does whose connection broke: it logs in again at the same place.
func (p *pair) relogin(i int, fabric string, limit time.Duration, what string) (c *initiator.Conn) {
	p.t.Helper()
	p.until(limit, what, func() (ok bool) {
		var err error
		if c, err = p.login(i, fabric, 300*time.Millisecond); err != nil {
			return false
		}
		if r := ready(c); r.Err != nil || r.Status != 0 {
			c.Close()
			return false
		}
		return true
	})
	return c
}

// ready asks for unit attentions until none is left, and returns the last answer.
func ready(c *initiator.Conn) (r initiator.Result) {
	for range 8 {
		if r = c.Do(initiator.Command{CDB: make([]byte, 6)}); r.Err != nil || r.Code()>>16 != 6 {
			break
		}
	}
	return r
}

// blockOf writes or reads a block of LUN 0.
func blockOf(t *testing.T, c *initiator.Conn, lba byte, write []byte) []byte {
	t.Helper()
	cmd := initiator.Command{CDB: []byte{0x28, 0, 0, 0, 0, lba, 0, 0, 1, 0}, In: 512}
	if write != nil {
		cmd.CDB[0], cmd.In, cmd.Out, cmd.Immediate = 0x2A, 0, write, len(write)
	}
	r := c.Do(cmd)
	if r.Err != nil || r.Status != 0 {
		t.Fatalf("block %d: status %#x, sense %06x, %v", lba, r.Status, r.Code(), r.Err)
	}
	return r.In
}

// identity is what tells a host which port it reached: relative target port and group.
func identity(t *testing.T, c *initiator.Conn) (relative, group uint16) {
	t.Helper()
	r := c.Do(initiator.Command{CDB: []byte{0x12, 1, 0x83, 1, 0, 0}, In: 256})
	if r.Err != nil || r.Status != 0 {
		t.Fatalf("INQUIRY: status %#x, %v", r.Status, r.Err)
	}
	for d := r.In[4:]; len(d) >= 4; d = d[4+int(d[3]):] {
		switch d[1] & 0xF {
		case 4:
			relative = binary.BigEndian.Uint16(d[6:])
		case 5:
			group = binary.BigEndian.Uint16(d[6:])
		}
	}
	return relative, group
}

// state returns the access state of a port group.
func state(t *testing.T, c *initiator.Conn, group uint16) byte {
	t.Helper()
	r := c.Do(initiator.Command{CDB: []byte{0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, In: 256})
	if r.Err != nil || r.Status != 0 {
		t.Fatalf("REPORT TARGET PORT GROUPS: status %#x, %v", r.Status, r.Err)
	}
	for d := r.In[4:]; len(d) >= 8; d = d[8+4*int(d[7]):] {
		if binary.BigEndian.Uint16(d[2:]) == group {
			return d[0] & 0xF
		}
	}
	t.Fatalf("no port group %d in % x", group, r.In)
	return 0
}

func (p *pair) has(i int, addr netip.Addr) bool {
	out, err := p.Lab.Node(rig.Node(i)).Run(p.t.Context(), "ip", "-4", "addr")
	p.must(err)
	return bytes.Contains([]byte(out), []byte(" "+addr.String()+"/24 "))
}

// TestStandIn: hosts that log in again where the lost array was find its ports, its names
// and their data there, and the array itself when it is back.
func TestStandIn(t *testing.T) {
	for _, x := range []struct {
		name         string
		lose, goBack func(p *pair)
	}{
		{"stopped", func(p *pair) { p.must(p.Array(rig.A).Stop()) }, func(p *pair) { p.must(p.Array(rig.A).Cont()) }},
		{"isolated", func(p *pair) { p.isolate(lab.Both, p.Lab.Cut) }, func(p *pair) { p.isolate(lab.Both, p.Lab.Heal) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := newMovable(t)
			p.command(rig.A, "createvv", "cpg0", "own.a", "16m")
			p.command(rig.A, "createvlun", "own.a", "7", "host")
			p.command(rig.B, "createvv", "cpg0", "own.b", "16m")
			p.command(rig.B, "createvlun", "own.b", "7", "host")
			c := p.relogin(rig.A, lab.Fabric1, 10*time.Second, "a login at A")
			relative, tpg := identity(t, c)
			first := bytes.Repeat([]byte{1}, 512)
			blockOf(t, c, 9, first)

			lost := time.Now()
			x.lose(p)
			at := p.relogin(rig.A, lab.Fabric1, 20*time.Second, "B to stand in for A")
			t.Logf("a login where A was succeeds %d ms after it was lost", time.Since(lost).Milliseconds())
			c.Close()
			if r, g := identity(t, at); r != relative || g != tpg || state(t, at, tpg) != 0 {
				t.Errorf("port %d of group %d, state %d; at A it was port %d of group %d", r, g, state(t, at, tpg), relative, tpg)
			}
			if got := blockOf(t, at, 9, nil); !bytes.Equal(got, first) {
				t.Error("what was written at A is not there")
			}
			second := bytes.Repeat([]byte{2}, 512)
			blockOf(t, at, 9, second)
			// What B has alone had the number of something that A has alone.
			if r := at.Do(initiator.Command{LUN: 7 << 48, CDB: make([]byte, 6)}); r.Status != 2 || r.Code() != 0x052500 {
				t.Errorf("LUN 7 of A: status %#x, sense %06x", r.Status, r.Code())
			}
			at.Close()

			x.goBack(p)
			p.until(wholeIn, "A to have its address again", func() bool { return p.has(rig.A, p.movable(rig.A, lab.Fabric1)) })
			for _, f := range fabrics {
				if p.has(rig.B, p.movable(rig.A, f)) {
					t.Error("B has A's address still")
				}
			}
			p.whole()
			p.move(rig.A)
			back := p.relogin(rig.A, lab.Fabric2, 10*time.Second, "a login at A")
			if got := blockOf(t, back, 9, nil); !bytes.Equal(got, second) {
				t.Error("what was written at B is not at A")
			}
			back.Close()
		})
	}
}

// isolate cuts A off from everybody, or joins it.
func (p *pair) isolate(d lab.Direction, f func(a, b, network string, d lab.Direction) error) {
	p.t.Helper()
	for _, w := range []struct{ to, network string }{
		{lab.B, lab.Link1}, {lab.B, lab.Link2}, {lab.Witness, lab.Manage}, {lab.Host, lab.Fabric1}, {lab.Host, lab.Fabric2}, {lab.B, lab.Fabric1}, {lab.B, lab.Fabric2},
	} {
		p.must(f(lab.A, w.to, w.network, d))
	}
}
