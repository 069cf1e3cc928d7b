// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Allowed says who may use a portal group: addresses, initiators, or both. An empty
// list doesn't restrict.
type Allowed struct {
	From       []netip.Prefix
	Initiators []string
}

// ParseAllowed reads a list of addresses, networks (192.0.2.0/24) and initiator names;
// a name that ends with * stands for all that begin so.
func ParseAllowed(list []string) (a Allowed, err error) {
	for _, s := range list {
		name := strings.TrimSuffix(s, "*")
		switch {
		case validName(s) || name != s && validName(name+"x"):
			a.Initiators = append(a.Initiators, s)
		case strings.Contains(s, "/"):
			p, err := netip.ParsePrefix(s)
			if err != nil || p != p.Masked() {
				return a, fmt.Errorf("%q is no network", s)
			}
			a.From = append(a.From, p)
		default:
			ip, err := netip.ParseAddr(s)
			if err != nil || ip.Zone() != "" {
				return a, fmt.Errorf("%q is no address, network or initiator name", s)
			}
			ip = ip.Unmap()
			a.From = append(a.From, netip.PrefixFrom(ip, ip.BitLen()))
		}
	}
	return a, nil
}

// address reports whether connections may come from there.
func (a *Allowed) address(from net.Addr) bool {
	if len(a.From) == 0 {
		return true
	}
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range a.From {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// initiator reports whether that one may log in.
func (a *Allowed) initiator(name string) bool {
	for _, n := range a.Initiators {
		if prefix, all := strings.CutSuffix(n, "*"); n == name || all && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(a.Initiators) == 0
}
