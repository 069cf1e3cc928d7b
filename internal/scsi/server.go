// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"sync"
	"sync/atomic"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/reservation"
)

// Config is what a Server needs.
type Config struct {
	Exports Exports
	// Pool holds the data of commands, both ways.
	Pool *block.Pool
	// Revision is the product revision level of INQUIRY, four characters.
	Revision string
	// Limits are those of volumes; nil: there are none.
	Limits Limits
}

// Server is the SCSI target device: the logical units that are in use and the
// nexuses that use them.
type Server struct {
	exports  Exports
	pool     *block.Pool
	revision string
	table    table
	lastOp   atomic.Uint64
	copies   atomic.Int32 // EXTENDED COPY commands under way
	stop     func()
	turns    *turns
	delays   delays

	mu      sync.Mutex
	hosts   map[string]*hostTurn // with a nexus, by initiator name
	units   map[Unit]*logicalUnit
	nexuses map[*Nexus]struct{}
}

// NewServer returns a server for the exports of cfg. Close ends it.
func NewServer(cfg Config) *Server {
	s := &Server{
		exports:  cfg.Exports,
		pool:     cfg.Pool,
		revision: cfg.Revision,
		table:    newTable(),
		turns:    newTurns(),
		delays:   delays{limits: cfg.Limits},
		hosts:    make(map[string]*hostTurn),
		units:    make(map[Unit]*logicalUnit),
		nexuses:  make(map[*Nexus]struct{}),
	}
	s.stop = s.exports.WatchExports(s.exportsChanged)
	return s
}

// Close stops watching. The nexuses must have been closed before.
func (s *Server) Close() {
	s.turns.mu.Lock()
	s.turns.closed = true
	s.turns.mu.Unlock()
	s.stop()
}

// Pool returns the pool that holds the commands' data.
func (s *Server) Pool() *block.Pool { return s.pool }

func (s *Server) exportsChanged(initiator string) {
	s.mu.Lock()
	var hit []*Nexus
	for n := range s.nexuses {
		if initiator == "" || n.Initiator == initiator {
			hit = append(hit, n)
		}
	}
	s.mu.Unlock()
	for _, n := range hit {
		n.exportsChanged()
	}
}

// logicalUnit is what the nexuses of this array share about a unit.
type logicalUnit struct {
	unit Unit
	stop func()
	// resets counts the events that end the unit's commands. A command that began
	// under another count, and was not handed to the unit, ends too.
	resets atomic.Uint64

	mu       sync.Mutex
	bindings map[*binding]struct{}
	copies   map[*copying]struct{} // that this unit was asked for
	users    int                   // guarded by Server.mu
}

// attach returns the shared part of unit u with b among those it tells.
func (s *Server) attach(u Unit, b *binding) *logicalUnit {
	s.mu.Lock()
	lu := s.units[u]
	if lu == nil {
		lu = &logicalUnit{unit: u, bindings: make(map[*binding]struct{})}
		lu.stop = u.Watch(lu.notice)
		s.units[u] = lu
	}
	lu.users++
	s.mu.Unlock()
	lu.mu.Lock()
	lu.bindings[b] = struct{}{}
	lu.mu.Unlock()
	return lu
}

// detach undoes attach.
func (s *Server) detach(lu *logicalUnit, b *binding) {
	lu.mu.Lock()
	delete(lu.bindings, b)
	lu.mu.Unlock()
	s.mu.Lock()
	lu.users--
	last := lu.users == 0
	if last {
		delete(s.units, lu.unit)
	}
	s.mu.Unlock()
	if last {
		lu.stop()
	}
}

// notice turns a unit's notice into unit attentions.
func (lu *logicalUnit) notice(n Notice) {
	if n.Kind == ResetNotice || n.Kind == TasksCleared {
		lu.resets.Add(1)
	}
	code, who := attentionOf(n)
	if code == noSense {
		return
	}
	lu.mu.Lock()
	defer lu.mu.Unlock()
	for b := range lu.bindings {
		if who(b.nexus.Nexus) {
			b.attend(code)
		}
	}
}

// attentionOf returns the unit attention that a notice becomes and who gets it.
func attentionOf(n Notice) (Code, func(reservation.Nexus) bool) {
	all := func(reservation.Nexus) bool { return true }
	one := func(x reservation.Nexus) bool { return x == n.Nexus }
	switch n.Kind {
	case PathsChanged:
		return accessStateChanged, all
	case CapacityChanged:
		return capacityChanged, all
	case ReservationsPreempted:
		return reservationsPreempted, one
	case ReservationsReleased:
		return reservationsReleased, one
	case RegistrationsPreempted:
		return registrationPreempted, one
	case ResetNotice:
		return busDeviceReset, all
	case TasksCleared:
		return tasksCleared, func(x reservation.Nexus) bool { return x != n.Nexus }
	case ThinSoft:
		return thinSoftThreshold, all
	case ModeChanged:
		return modeChanged, all
	case Gone:
		return lunsChanged, all
	}
	return noSense, nil
}
