// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"fmt"
	"sync/atomic"

	"github.com/perdure/perdure/internal/block"
)

// hostUse is what one host, known by its initiator name, has of the target. It exists
// while the host has a connection that proved whose it is: nobody can use up the limits
// of another by his name alone.
type hostUse struct {
	name            string
	conns, sessions int // guarded by Target.mu
	share           *block.Share

	// most bounds the command slots of all sessions, room those of each: the windows of
	// many sessions are smaller. granted counts what the sessions have.
	most          int32
	room, granted atomic.Int32
}

// join counts a connection of a host.
func (t *Target) join(name string) (*hostUse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[name]
	if h == nil {
		h = &hostUse{name: name, most: int32(t.limits.HostCommands)}
		h.share = t.cfg.Server.Pool().NewShare(t.limits.HostBytes)
		h.room.Store(int32(t.limits.Commands))
		t.hosts[name] = h
	}
	if h.conns >= t.limits.HostConnections {
		return nil, fmt.Errorf("%w: %d connections of this host", errHostLimit, h.conns)
	}
	h.conns++
	return h, nil
}

// leave counts a connection off. The commands are quiet.
func (t *Target) leave(h *hostUse) {
	t.mu.Lock()
	h.conns--
	last := h.conns == 0
	if last {
		delete(t.hosts, h.name)
	}
	t.mu.Unlock()
	if last {
		h.share.Close()
	}
}

// divide gives each session its part of the host's command slots. Callers hold
// Target.mu.
func (h *hostUse) divide(window int) {
	n := int(h.most) / max(h.sessions, 1)
	h.room.Store(int32(min(max(n, 1), window)))
}

// grant takes up to n slots, and one in any case: a session without could never begin.
func (h *hostUse) grant(n int32) int32 {
	for {
		old := h.granted.Load()
		n = max(min(n, h.most-old), 1)
		if h.granted.CompareAndSwap(old, old+n) {
			return n
		}
	}
}

// grow takes one more slot if there is one.
func (h *hostUse) grow() bool {
	for {
		old := h.granted.Load()
		if old >= h.most {
			return false
		}
		if h.granted.CompareAndSwap(old, old+1) {
			return true
		}
	}
}

// slotBack says that a command number is free again. The window moves on, unless it is
// larger than the session's part has become: then it shrinks, by not moving, since
// MaxCmdSN never goes back; where it is smaller, it grows.
func (s *session) slotBack() {
	h := s.host
	for {
		have := s.slots.Load()
		switch room := h.room.Load(); {
		case have > room && !s.discovery:
			if s.slots.CompareAndSwap(have, have-1) {
				h.granted.Add(-1)
				return
			}
		case have < room && !s.discovery && h.grow():
			if s.slots.CompareAndSwap(have, have+1) {
				s.maxCmdSN.Add(2)
				return
			}
			h.granted.Add(-1)
		default:
			s.maxCmdSN.Add(1)
			return
		}
	}
}
