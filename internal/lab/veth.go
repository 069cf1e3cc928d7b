// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// vnetHeader is the virtio header before every frame on the switch's side: it lets
	// segments of 64 KiB pass whose checksum nobody computed. Both ends are the same
	// kernel.
	vnetHeader = 10
	maxFrame   = vnetHeader + 14 + 65536
	mtu        = 1500
	// socketBuffer is how much of a node's output waits until the switch reads it.
	socketBuffer = 16 << 20
)

// makeVeth makes a pair of Ethernet devices: inner in the namespace behind ns,
// outer in the calling thread's. What goes into one comes out of the other.
func makeVeth(outer, inner string, ns *os.File) error {
	peer := make([]byte, unix.SizeofIfInfomsg) // struct ifinfomsg, nothing set
	peer = append(peer, attr(unix.IFLA_IFNAME, cstring(inner))...)
	peer = append(peer, attr(unix.IFLA_MTU, number(mtu))...)
	if ns != nil {
		peer = append(peer, attr(unix.IFLA_NET_NS_FD, number(uint32(ns.Fd())))...)
	}
	const vethInfoPeer = 1 // VETH_INFO_PEER of linux/veth.h
	info := attr(unix.IFLA_INFO_KIND, cstring("veth"))
	info = append(info, attr(unix.IFLA_INFO_DATA, attr(vethInfoPeer, peer))...)
	body := make([]byte, unix.SizeofIfInfomsg)
	body = append(body, attr(unix.IFLA_IFNAME, cstring(outer))...)
	body = append(body, attr(unix.IFLA_MTU, number(mtu))...)
	body = append(body, attr(unix.IFLA_LINKINFO, info)...)
	if err := netlink(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body); err != nil {
		return fmt.Errorf("make network device %s: %w", inner, err)
	}
	return nil
}

// attr returns a netlink attribute, padded.
func attr(kind uint16, data []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&3)...)
}

func cstring(s string) []byte { return append([]byte(s), 0) }

func number(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// netlink sends one request to the kernel's routing part and takes its answer.
func netlink(kind uint16, flags uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	msg := number(uint32(unix.SizeofNlMsghdr + len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, kind)
	msg = binary.NativeEndian.AppendUint16(msg, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	msg = append(append(msg, number(1)...), number(0)...) // sequence, port
	msg = append(msg, body...)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	reply := make([]byte, 64<<10)
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("netlink answers with %d bytes", n)
	}
	if code := int32(binary.NativeEndian.Uint32(reply[unix.SizeofNlMsghdr:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// openPort opens a device of the calling thread's namespace for whole frames.
func openPort(name string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open network device %s: %w", name, err)
	}
	if err := bindPort(fd, name); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("open network device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func bindPort(fd int, name string) error {
	for _, opt := range []struct{ level, name, value int }{
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
	} {
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, opt.value); err != nil {
			return err
		}
	}
	for _, size := range []struct{ force, plain int }{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, size.force, socketBuffer) == nil {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, size.plain, socketBuffer); err != nil {
			return err
		}
	}
	index, err := interfaceIndex(name)
	if err != nil {
		return err
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all & 0xffff, Ifindex: index})
}

func interfaceIndex(name string) (index int, err error) {
	err = withInterface(name, func(fd int, req *unix.Ifreq) error {
		err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
		index = int(req.Uint32())
		return err
	})
	return index, err
}

// setAddress gives a device an address of a /24.
func setAddress(name string, addr netip.Addr) error {
	return withInterface(name, func(fd int, req *unix.Ifreq) error {
		a := addr.As4()
		if err := req.SetInet4Addr(a[:]); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, req); err != nil {
			return err
		}
		if err := req.SetInet4Addr([]byte{255, 255, 255, 0}); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, req)
	})
}

// clearAddress takes a device's address away.
func clearAddress(name string) error {
	return withInterface(name, func(fd int, req *unix.Ifreq) error {
		if err := req.SetInet4Addr(make([]byte, 4)); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, unix.SIOCSIFADDR, req)
	})
}

// setUp switches a device on or off. Off, the other end of its pair loses its
// carrier.
func setUp(name string, up bool) error {
	return withInterface(name, func(fd int, req *unix.Ifreq) error {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
			return err
		}
		flags := req.Uint16() &^ unix.IFF_UP
		if up {
			flags |= unix.IFF_UP
		}
		req.SetUint16(flags)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
	})
}

func withInterface(name string, f func(fd int, req *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err == nil {
		err = f(fd, req)
	}
	if err != nil {
		return fmt.Errorf("set up network device %s: %w", name, err)
	}
	return nil
}

// quiet keeps the calling thread's namespace from sending anything of its own
// (neighbour discovery) on devices made later. Best effort: a read-only /proc
// costs nothing but a few frames.
func quiet() {
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
}
