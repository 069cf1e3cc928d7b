// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// frameLen is an Ethernet frame with an ARP packet for IPv4 (RFC 826).
const frameLen = 14 + 28

var broadcast = net.HardwareAddr{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}

// probe asks who has an address, without saying that the asker has one.
func probe(mac net.HardwareAddr, ip netip.Addr) []byte {
	return request(mac, netip.IPv4Unspecified(), ip)
}

// announcement tells all that mac has an address: it asks for it, in its name.
func announcement(mac net.HardwareAddr, ip netip.Addr) []byte { return request(mac, ip, ip) }

func request(mac net.HardwareAddr, sender, target netip.Addr) []byte {
	b := append(append(make([]byte, 0, frameLen), broadcast...), mac...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their lengths, request
	b = append(append(b, mac...), sender.AsSlice()...)
	return append(append(b, make([]byte, 6)...), target.AsSlice()...)
}

// claims reports whether a frame says that somebody other than mac has an address.
func claims(frame []byte, mac net.HardwareAddr, ip netip.Addr) bool {
	if len(frame) < frameLen || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_ARP {
		return false
	}
	arp := frame[14:]
	sender, ok := netip.AddrFromSlice(arp[14:18])
	return ok && binary.BigEndian.Uint16(arp[2:]) == unix.ETH_P_IP && arp[4] == 6 && arp[5] == 4 &&
		sender == ip && string(arp[8:14]) != string(mac)
}

// arpSocket sends and receives ARP packets on a device.
type arpSocket struct {
	fd  int
	to  unix.SockaddrLinklayer
	mac net.HardwareAddr
}

func openARP(a Address) (*arpSocket, error) {
	dev, err := net.InterfaceByName(a.Device)
	if err != nil {
		return nil, fmt.Errorf("find device %s: %w", a.Device, err)
	}
	if len(dev.HardwareAddr) != 6 {
		return nil, fmt.Errorf("device %s is no Ethernet: ARP has nobody to ask there", a.Device)
	}
	proto := bits.ReverseBytes16(unix.ETH_P_ARP) // the kernel wants it as on the wire
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	s := &arpSocket{fd: fd, mac: dev.HardwareAddr, to: unix.SockaddrLinklayer{Protocol: proto, Ifindex: dev.Index, Halen: 6}}
	copy(s.to.Addr[:], broadcast)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: dev.Index}); err != nil {
		s.close()
		return nil, fmt.Errorf("bind a packet socket to %s: %w", a.Device, err)
	}
	return s, nil
}

func (s *arpSocket) close() { unix.Close(s.fd) }

func (s *arpSocket) send(frame []byte) error {
	if err := unix.Sendto(s.fd, frame, 0, &s.to); err != nil {
		return fmt.Errorf("send an ARP packet: %w", err)
	}
	return nil
}

// receive returns a frame, nil if none came in time.
func (s *arpSocket) receive(timeout time.Duration) ([]byte, error) {
	if timeout <= 0 {
		return nil, nil
	}
	tv := unix.NsecToTimeval(max(timeout, time.Millisecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return nil, fmt.Errorf("set a receive timeout: %w", err)
	}
	b := make([]byte, 128)
	n, _, err := unix.Recvfrom(s.fd, b, 0)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("receive an ARP packet: %w", err)
	}
	return b[:n], nil
}
