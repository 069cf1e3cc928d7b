// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/reservation"
)

// maxAttentions bounds the unit attentions that wait for one nexus and unit.
const maxAttentions = 8

// Port is the target port that a nexus uses.
type Port struct {
	// Target is the iSCSI name of the target device.
	Target string
	// Tag is the target portal group tag, Relative the relative target port id.
	Tag, Relative uint16
	// Guest says that the port is one of the other array, which is gone: this array
	// stands in for it. Through it hosts see what both arrays have, and nothing else: the
	// other's own units may have had the numbers of this one's.
	Guest bool
}

// Nexus is an I_T nexus: one initiator port at one target port.
type Nexus struct {
	reservation.Nexus
	// Initiator is the initiator's node name, by which exports are looked up. (The
	// embedded Nexus names the initiator port.)
	Initiator string

	server  *Server
	port    Port
	buffers Buffers
	turn    *hostTurn

	mu       sync.RWMutex
	closed   bool
	bindings map[uint16]*binding
}

// binding is a nexus' view of one unit: I_T_L nexus.
type binding struct {
	nexus *Nexus
	lun   uint16
	lu    *logicalUnit
	tasks taskSet

	pending atomic.Int32 // len(codes), readable without the lock
	mu      sync.Mutex
	codes   []Code
	copies  map[byte]*copyStatus // by list identifier
}

// NewNexus returns the nexus of an initiator port (name, initiator port name as
// in reservation.Nexus) with a target port.
func (s *Server) NewNexus(initiator, initiatorPort string, p Port) *Nexus {
	n := &Nexus{
		Nexus:     reservation.Nexus{Initiator: initiatorPort, Port: p.Relative},
		Initiator: initiator,
		server:    s,
		port:      p,
		buffers:   s.pool,
		bindings:  make(map[uint16]*binding),
	}
	s.mu.Lock()
	if n.turn = s.hosts[initiator]; n.turn == nil {
		n.turn = &hostTurn{}
		s.hosts[initiator] = n.turn
	}
	n.turn.users++
	s.nexuses[n] = struct{}{}
	s.mu.Unlock()
	return n
}

// Buffers is where the data of commands come from: a pool or a share of one.
type Buffers interface {
	Get(n int) (*block.Buffer, bool)
}

// UseBuffers makes the nexus take its commands' data from b. Only before the first.
func (n *Nexus) UseBuffers(b Buffers) { n.buffers = b }

// Close ends the nexus after its commands are quiet, which is the caller's to
// see to. done comes when what does not outlive a nexus has ended.
func (n *Nexus) Close(done func()) {
	n.server.mu.Lock()
	delete(n.server.nexuses, n)
	if n.turn.users--; n.turn.users == 0 {
		delete(n.server.hosts, n.Initiator)
	}
	n.server.mu.Unlock()
	n.mu.Lock()
	n.closed = true
	bindings := n.bindings
	n.bindings = nil
	n.mu.Unlock()

	var left atomic.Int32
	left.Store(1)
	end := func() {
		if left.Add(-1) == 0 {
			done()
		}
	}
	for _, b := range bindings {
		if u, ok := b.lu.unit.(Acknowledger); ok {
			u.Ended(n.Nexus)
		}
		if r := b.lu.unit.Reservations(); r.Reserved6 && r.Legacy == n.Nexus {
			left.Add(1)
			op := n.newOp(boottime.Now())
			req := reservation.Request{Action: reservation.NexusLost, Nexus: n.Nexus}
			b.lu.unit.Reserve(op, req, func(error) { end() })
		}
		n.server.detach(b.lu, b)
	}
	end()
}

// newOp returns an op for work that belongs to no command.
func (n *Nexus) newOp(arrived time.Time) *Op {
	return &Op{ID: n.server.lastOp.Add(1), Nexus: n.Nexus, Arrived: arrived}
}

// exported returns what the initiator sees at a number through this port.
func (n *Nexus) exported(lun uint16) (Unit, bool) {
	u, ok := n.server.exports.Unit(n.Initiator, lun)
	if ok && n.port.Guest && u.Paths(n.Initiator).guest(n.port.Relative) < 0 {
		return nil, false
	}
	return u, ok
}

func (n *Nexus) traits() Traits { return n.server.exports.Traits(n.Initiator) }

// luns returns the numbers of what the initiator sees through this port.
func (n *Nexus) luns() []uint16 {
	all := n.server.exports.LUNs(n.Initiator)
	if !n.port.Guest {
		return all
	}
	var seen []uint16
	for _, lun := range all {
		if _, ok := n.exported(lun); ok {
			seen = append(seen, lun)
		}
	}
	return seen
}

// bind returns the binding of lun, making it at the first use. It is nil if the
// initiator has no such unit.
func (n *Nexus) bind(lun uint16) *binding {
	n.mu.RLock()
	b := n.bindings[lun]
	n.mu.RUnlock()
	if b != nil {
		return b
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if b := n.bindings[lun]; b != nil || n.closed {
		return b
	}
	// Looked up under the lock: a change after this finds the binding.
	unit, ok := n.exported(lun)
	if !ok {
		return nil
	}
	b = &binding{nexus: n, lun: lun}
	b.lu = n.server.attach(unit, b)
	b.attend(powerOn) // a new nexus: whatever did not outlive the last is gone
	n.bindings[lun] = b
	return b
}

// exportsChanged drops bindings to units the initiator no longer sees and tells
// the others. Commands under way end on the unit that they began on.
func (n *Nexus) exportsChanged() {
	n.mu.Lock()
	var gone []*binding
	for lun, b := range n.bindings {
		if unit, ok := n.exported(lun); !ok || unit != b.lu.unit {
			gone = append(gone, b)
			delete(n.bindings, lun)
			continue
		}
		b.attend(lunsChanged)
	}
	n.mu.Unlock()
	for _, b := range gone {
		n.server.detach(b.lu, b)
	}
}

// Reset resets the unit at lun for a task management function. done gets an
// array.NotFound error if there is none.
func (n *Nexus) Reset(lun uint64, scope Scope, done func(error)) {
	number, ok := DecodeLUN(lun)
	if ok {
		if b := n.bind(number); b != nil {
			b.reset(scope, done)
			return
		}
	}
	done(array.Errorf(array.NotFound, "no unit at LUN %#x", lun))
}

// reset resets the unit. done comes when its commands are quiet, and so are the copies to
// other units that it was asked for here.
func (b *binding) reset(scope Scope, done func(error)) {
	b.lu.unit.Reset(b.nexus.newOp(boottime.Now()), scope, func(err error) {
		b.lu.whenCopied(func() { done(err) })
	})
}

// ResetAll resets every unit that the initiator sees: a target reset. done gets
// the first error, when all have ended.
func (n *Nexus) ResetAll(done func(error)) {
	var mu sync.Mutex
	var first error
	left := 1
	end := func(err error) {
		mu.Lock()
		if first == nil {
			first = err
		}
		left--
		last := left == 0
		err = first
		mu.Unlock()
		if last {
			done(err)
		}
	}
	for _, lun := range n.luns() {
		if b := n.bind(lun); b != nil {
			mu.Lock()
			left++
			mu.Unlock()
			b.reset(ResetUnit, end)
		}
	}
	end(nil)
}

// attend adds a unit attention, once.
func (b *binding) attend(code Code) {
	if b.nexus.traits().unwanted(code) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Contains(b.codes, code) || len(b.codes) >= maxAttentions {
		return
	}
	b.codes = append(b.codes, code)
	b.pending.Store(int32(len(b.codes)))
}

// attention takes the oldest unit attention off.
func (b *binding) attention() (Code, bool) {
	if b.pending.Load() == 0 {
		return noSense, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.codes) == 0 {
		return noSense, false
	}
	code := b.codes[0]
	b.codes = b.codes[1:]
	b.pending.Store(int32(len(b.codes)))
	return code, true
}

// forget takes one code off, wherever it stands.
func (b *binding) forget(code Code) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.codes = slices.DeleteFunc(b.codes, func(c Code) bool { return c == code })
	b.pending.Store(int32(len(b.codes)))
}

// DecodeLUN reads a LUN as on the wire (SAM-5 4.7): peripheral device addressing
// on bus 0, or flat space. Deeper levels must be empty.
func DecodeLUN(wire uint64) (uint16, bool) {
	first := uint16(wire >> 48)
	switch {
	case wire<<16 != 0:
		return 0, false
	case first>>14 == 0 && first < 256:
		return first, true
	case first>>14 == 1:
		return first & 0x3FFF, true
	}
	return 0, false
}

// encodeLUN is the reverse of DecodeLUN.
func encodeLUN(lun uint16) uint64 {
	if lun >= 256 {
		lun = lun&0x3FFF | 0x4000
	}
	return uint64(lun) << 48
}
