// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"
)

// ErrClosed says that the lab was closed.
var ErrClosed = errors.New("the lab is closed")

// The number of networks and of nodes that fit into the addresses.
const (
	maxNetworks = 250
	maxNodes    = 250
)

// Options are what a lab needs.
type Options struct {
	// Dir is where the logs of processes go.
	Dir string
	// Logf, if set, tells what is done to the network and to processes.
	Logf func(format string, args ...any)
}

// A Lab has nodes and networks.
type Lab struct {
	opt    Options
	inside *thread // the namespace of the switches

	mu       sync.Mutex
	nodes    []*Node
	networks []*Network
	closers  []func()
	closed   bool
}

// New returns an empty lab. The error is ErrUnsupported where none can be had.
func New(opt Options) (*Lab, error) {
	if err := possible(); err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	if opt.Logf == nil {
		opt.Logf = func(string, ...any) {}
	}
	if err := os.MkdirAll(opt.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	inside, err := newThread()
	if err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	if err := inside.do(func() error { quiet(); return nil }); err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	return &Lab{opt: opt, inside: inside}, nil
}

// AddNetwork makes a network. Its name, of up to 15 letters and digits, is its
// device's name on the nodes.
func (l *Lab) AddNetwork(name string) (*Network, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case name == "" || len(name) > 15 || name == "lo":
		return nil, fmt.Errorf("add network %q: want 1 to 15 letters and digits", name)
	case len(l.networks) >= maxNetworks:
		return nil, fmt.Errorf("add network %s: there are %d", name, len(l.networks))
	}
	for _, n := range l.networks {
		if n.name == name {
			return nil, fmt.Errorf("add network %s: there is one", name)
		}
	}
	n := &Network{name: name, index: len(l.networks) + 1, macs: map[mac]*port{}}
	l.networks = append(l.networks, n)
	return n, nil
}

// AddNode makes a node, with a namespace of its own, and attaches it to the networks.
func (l *Lab) AddNode(name string, networks ...string) (*Node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case len(l.nodes) >= maxNodes:
		return nil, fmt.Errorf("add node %s: there are %d", name, len(l.nodes))
	}
	for _, n := range l.nodes {
		if n.name == name {
			return nil, fmt.Errorf("add node %s: there is one", name)
		}
	}
	t, err := newThread()
	if err != nil {
		return nil, fmt.Errorf("add node %s: %w", name, err)
	}
	n := &Node{lab: l, name: name, thread: t, index: len(l.nodes) + 1}
	l.nodes = append(l.nodes, n)
	if err := t.do(func() error { return setUp("lo", true) }); err != nil {
		return nil, fmt.Errorf("add node %s: %w", name, err)
	}
	for _, network := range networks {
		if err := n.attach(l.network(network), network); err != nil {
			return nil, fmt.Errorf("add node %s: %w", name, err)
		}
	}
	return n, nil
}

// Node returns the node of that name, nil if there is none.
func (l *Lab) Node(name string) *Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func (l *Lab) network(name string) *Network {
	for _, n := range l.networks {
		if n.name == name {
			return n
		}
	}
	return nil
}

// Direction says which way of a pair of nodes is meant.
type Direction uint8

// The directions.
const (
	// Both is from a to b and from b to a.
	Both Direction = iota
	// OneWay is from a to b only.
	OneWay
)

// Cut loses everything between two nodes on a network, or on all if it is "".
func (l *Lab) Cut(a, b, network string, d Direction) error {
	return l.change("cut", a, b, network, d, func(s *Shape) { s.Cut = true })
}

// Heal ends a Cut.
func (l *Lab) Heal(a, b, network string, d Direction) error {
	return l.change("heal", a, b, network, d, func(s *Shape) { s.Cut = false })
}

// Delay lets everything between two nodes take longer; a round trip takes twice
// as long if d is Both.
func (l *Lab) Delay(a, b, network string, d Direction, delay time.Duration) error {
	return l.change(fmt.Sprint("delay ", delay), a, b, network, d, func(s *Shape) { s.Delay = delay })
}

// Shape sets all that a wire does.
func (l *Lab) Shape(a, b, network string, d Direction, shape Shape) error {
	return l.change(fmt.Sprintf("shape %+v", shape), a, b, network, d, func(s *Shape) { *s = shape })
}

// Isolate cuts a node off from all others on all networks, or the one named.
func (l *Lab) Isolate(node, network string) error { return l.around(node, network, l.Cut) }

// Rejoin ends Isolate.
func (l *Lab) Rejoin(node, network string) error { return l.around(node, network, l.Heal) }

func (l *Lab) around(node, network string, f func(a, b, network string, d Direction) error) error {
	l.mu.Lock()
	nodes := append([]*Node(nil), l.nodes...)
	l.mu.Unlock()
	found := 0
	for _, other := range nodes {
		if other.name == node {
			continue
		}
		switch err := f(node, other.name, network, Both); {
		case err == nil:
			found++
		case !errors.Is(err, errNoWire):
			return err
		}
	}
	if found == 0 {
		return fmt.Errorf("%s: %w", node, errNoWire)
	}
	return nil
}

var errNoWire = errors.New("no network between these nodes")

func (l *Lab) change(what, a, b, network string, d Direction, f func(*Shape)) error {
	from, to := l.Node(a), l.Node(b)
	if from == nil || to == nil {
		return fmt.Errorf("%s %s %s: no such node", what, a, b)
	}
	l.mu.Lock()
	networks := append([]*Network(nil), l.networks...)
	l.mu.Unlock()
	found := false
	for _, n := range networks {
		if network != "" && n.name != network {
			continue
		}
		if w := n.wire(from, to); w != nil {
			found = true
			w.set(f)
		}
		if w := n.wire(to, from); w != nil && d == Both {
			w.set(f)
		}
	}
	if !found {
		return fmt.Errorf("%s %s %s on network %q: %w", what, a, b, network, errNoWire)
	}
	arrow := "<->"
	if d == OneWay {
		arrow = "->"
	}
	l.opt.Logf("lab: %s %s %s %s (network %q)", what, a, arrow, b, network)
	return nil
}

// Counts returns how many frames a wire carried and lost.
func (l *Lab) Counts(from, to, network string) (delivered, dropped uint64) {
	a, b := l.Node(from), l.Node(to)
	l.mu.Lock()
	n := l.network(network)
	l.mu.Unlock()
	if a == nil || b == nil || n == nil {
		return 0, 0
	}
	w := n.wire(a, b)
	if w == nil {
		return 0, 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.delivered, w.dropped
}

// Close kills all processes and takes everything down.
func (l *Lab) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	nodes, networks, closers := l.nodes, l.networks, l.closers
	l.mu.Unlock()
	for _, f := range closers {
		f()
	}
	for _, n := range nodes {
		n.killAll()
	}
	for _, n := range networks {
		n.close()
	}
	for _, n := range nodes {
		n.thread.end()
	}
	l.inside.end()
}

// address returns where a node is on a network: 10.77.network.node.
func address(network, node int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 77, byte(network), byte(node)})
}
