// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"os"
	"sync"
)

// maxMACs bounds what a switch learns.
const maxMACs = 1024

type mac [6]byte

// A Network is an Ethernet switch with a port for every node attached.
type Network struct {
	name  string
	index int

	mu    sync.RWMutex
	ports []*port
	macs  map[mac]*port // where each address was last seen
}

// A port is the switch's end of a node's device.
type port struct {
	node   *Node
	device string          // the switch's end, in its namespace
	frames *os.File        // whole frames out of it and into it
	to     map[*port]*wire // guarded by Network.mu
}

// plug adds a port and wires it to all others, both ways.
func (n *Network) plug(p *port) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p.to = map[*port]*wire{}
	for _, other := range n.ports {
		p.to[other] = newWire(other)
		other.to[p] = newWire(p)
	}
	n.ports = append(n.ports, p)
}

// forward carries what the node sends until its device is closed.
func (n *Network) forward(p *port) {
	buf := make([]byte, maxFrame)
	for failed := 0; failed < 100; {
		size, err := p.frames.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			failed++ // unplugged, which is told once each time
			continue
		}
		failed = 0
		if size < vnetHeader+14 {
			continue
		}
		n.frame(p, buf[:size])
	}
}

// frame sends a frame where it belongs.
func (n *Network) frame(from *port, frame []byte) {
	dst, src := mac(frame[vnetHeader:]), mac(frame[vnetHeader+6:])
	n.learn(src, from)
	n.mu.RLock()
	defer n.mu.RUnlock()
	if to := n.macs[dst]; to != nil {
		if to != from {
			from.to[to].send(frame)
		}
		return
	}
	for _, w := range from.to { // broadcast, multicast or not yet learned
		w.send(frame)
	}
}

// learn notes that an address is behind a port. An address that moves, as in a
// takeover, is followed at once.
func (n *Network) learn(src mac, p *port) {
	if src[0]&1 != 0 {
		return // no sender has a group address
	}
	n.mu.RLock()
	known := n.macs[src] == p
	n.mu.RUnlock()
	if known {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.macs) >= maxMACs {
		clear(n.macs)
	}
	n.macs[src] = p
}

func (n *Network) portOf(node *Node) *port {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, p := range n.ports {
		if p.node == node {
			return p
		}
	}
	return nil
}

// wire returns the way from one node to another, nil if either isn't attached.
func (n *Network) wire(from, to *Node) *wire {
	p, q := n.portOf(from), n.portOf(to)
	if p == nil || q == nil || p == q {
		return nil
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return p.to[q]
}

// close ends all ports and wires.
func (n *Network) close() {
	n.mu.Lock()
	ports := n.ports
	n.mu.Unlock()
	for _, p := range ports {
		_ = p.frames.Close()
		for _, w := range p.to {
			w.close()
		}
	}
}
