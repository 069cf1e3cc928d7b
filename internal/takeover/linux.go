// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Linux is the network of this machine, or of the calling thread's namespace. Setting an
// address needs CAP_NET_ADMIN, asking and announcing CAP_NET_RAW.
type Linux struct{}

// Set implements Network.
func (Linux) Set(a Address, lifetime time.Duration) (fresh bool, err error) {
	l, _, lifetimes, err := find(a)
	if err != nil {
		return false, err
	}
	seconds := int(lifetime / time.Second)
	addr := &netlink.Addr{IPNet: ipNet(a), ValidLft: seconds, PreferedLft: seconds}
	if err := netlink.AddrReplace(l, addr); err != nil {
		return false, fmt.Errorf("set the address: %w", err)
	}
	return lifetimes == nil, nil
}

// Remove implements Network.
func (Linux) Remove(a Address) error {
	l, there, _, err := find(a)
	if err != nil || there == nil {
		return err
	}
	if err := netlink.AddrDel(l, there); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove the address: %w", err)
	}
	return nil
}

// forever is the lifetime of an address that has none.
const forever = 1<<32 - 1

// Permanent implements Network.
func (Linux) Permanent(a Address) (bool, error) {
	_, there, lifetime, err := find(a)
	return there != nil && uint32(*lifetime) == forever, err
}

// find returns the device, and the address with its lifetime if it is there.
func find(a Address) (l netlink.Link, there *netlink.Addr, lifetime *int, err error) {
	l, err = netlink.LinkByName(a.Device)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("find device %s: %w", a.Device, err)
	}
	all, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("list the addresses of %s: %w", a.Device, err)
	}
	for i := range all {
		if all[i].IP.Equal(a.Prefix.Addr().AsSlice()) {
			return l, &all[i], &all[i].ValidLft, nil
		}
	}
	return l, nil, nil, nil
}

func ipNet(a Address) *net.IPNet {
	return &net.IPNet{IP: a.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(a.Prefix.Bits(), 32)}
}

// probes are how often the network is asked, each time for as long.
const (
	probes     = 3
	probeEvery = 100 * time.Millisecond
)

// Answered implements Network: address conflict detection as in RFC 5227, 2.1.1.
func (Linux) Answered(ctx context.Context, a Address) (bool, error) {
	s, err := openARP(a)
	if err != nil {
		return false, err
	}
	defer s.close()
	for range probes {
		if err := s.send(probe(s.mac, a.Prefix.Addr())); err != nil {
			return false, err
		}
		for end := time.Now().Add(probeEvery); ; {
			frame, err := s.receive(time.Until(end))
			if err != nil || ctx.Err() != nil {
				return false, errors.Join(err, ctx.Err())
			}
			if frame == nil {
				break
			}
			if claims(frame, s.mac, a.Prefix.Addr()) {
				return true, nil
			}
		}
	}
	return false, nil
}

// Announce implements Network: an announcement as in RFC 5227, 2.3. It is sent twice,
// since nobody confirms it.
func (Linux) Announce(a Address) error {
	s, err := openARP(a)
	if err != nil {
		return err
	}
	defer s.close()
	return errors.Join(s.send(announcement(s.mac, a.Prefix.Addr())), s.send(announcement(s.mac, a.Prefix.Addr())))
}
