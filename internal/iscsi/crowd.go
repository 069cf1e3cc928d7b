// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"net"
	"net/netip"
	"slices"
)

// errCrowded ends a login for one from elsewhere.
var errCrowded = errors.New("too many connections log in from there, and others wait")

// origin is where a connection comes from, as far as one sender can't be many: the
// address, of IPv6 the network that one is given.
func origin(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if addr.Is6() {
		p, _ := addr.Prefix(64)
		addr = p.Addr()
	}
	return addr
}

// crowd makes room for a login from addr when there are as many as there may be: the
// oldest of those from where most come has to go. It returns nil if most come from addr
// itself. So a flood from some addresses keeps out nobody who comes from another.
// Callers hold mu.
func (t *Target) crowd(addr netip.Addr) *conn {
	count := make(map[netip.Addr]int)
	for _, c := range t.logins {
		count[c.from]++
	}
	most := count[addr]
	var victim *conn
	for _, c := range t.logins { // oldest first
		if n := count[c.from]; n > most {
			most, victim = n, c
		}
	}
	return victim
}

// outOfLogin takes a connection off those that log in: it proved whose it is, or ended.
func (t *Target) outOfLogin(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.logins, c); i >= 0 {
		t.logins = slices.Delete(t.logins, i, i+1)
	}
}
