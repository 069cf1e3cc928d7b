// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/scsi"
)

// sessionKey is what a new login replaces a session by: an I_T nexus. Discovery
// sessions replace nothing and are told apart by id.
type sessionKey struct {
	initiator string
	isid      [6]byte
	target    string
	tag       uint16
	id        uint64
}

// session is an I_T nexus, with its one connection.
type session struct {
	key       sessionKey
	tsih      uint16
	discovery bool
	conn      *conn
	host      *hostUse
	nexus     *scsi.Nexus   // nil in a discovery session
	quiet     chan struct{} // closed when nothing of the session can have an effect

	// The command window. expCmdSN is advanced by the reader; maxCmdSN by every
	// command that ends. slots is how many commands may be under way.
	expCmdSN, maxCmdSN atomic.Uint32
	slots              atomic.Int32

	// works: see SessionInfo.
	works atomic.Bool
}

var (
	errReinstated = errors.New("the initiator logged in again in place of this session")
	errSessions   = errors.New("the target has as many sessions as it may have")
	errHostLimit  = errors.New("the host has as much as one host may have")
	errNotQuiet   = errors.New("the commands of the session to be replaced are not quiet yet")
)

// newSession makes the session of a login, after the end of the one it replaces.
func (t *Target) newSession(c *conn, key sessionKey, discovery bool) (*session, error) {
	s := &session{key: key, discovery: discovery, conn: c, host: c.host, quiet: make(chan struct{})}
	timeout := time.NewTimer(t.limits.Reinstate)
	defer timeout.Stop()
	for {
		old, err := t.enroll(s)
		if err != nil {
			return nil, err
		}
		if old == nil {
			break
		}
		old.conn.close(errReinstated)
		select {
		case <-old.quiet:
		case <-timeout.C:
			return nil, errNotQuiet
		case <-t.ctx.Done():
			return nil, t.ctx.Err()
		}
	}
	if !discovery {
		g := &c.portal.group
		port := scsi.Port{Target: key.target, Tag: g.Tag, Relative: t.relative(g), Guest: g.Guest != ""}
		s.nexus = t.cfg.Server.NewNexus(key.initiator, fmt.Sprintf("%s,i,0x%012x", key.initiator, key.isid[:]), port)
		s.nexus.UseBuffers(c.host.share)
	}
	return s, nil
}

// enroll puts s in the table, or returns the session that stands in its place.
func (t *Target) enroll(s *session) (old *session, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.discovery {
		t.lastID++
		s.key.id = t.lastID
	}
	if old := t.sessions[s.key]; old != nil {
		return old, nil
	}
	if t.closed {
		return nil, errors.New("the target closes")
	}
	if len(t.sessions) >= t.limits.Sessions {
		return nil, errSessions
	}
	slots := int32(t.limits.Commands)
	if !s.discovery {
		if s.host.sessions >= t.limits.HostSessions {
			return nil, fmt.Errorf("%w: %d sessions", errHostLimit, s.host.sessions)
		}
		s.host.sessions++
		s.host.divide(t.limits.Commands)
		slots = s.host.grant(s.host.room.Load())
	}
	s.slots.Store(slots)
	if t.lastTSIH++; t.lastTSIH == 0 {
		t.lastTSIH = 1 // zero is "none"
	}
	s.tsih = t.lastTSIH
	t.sessions[s.key] = s
	return nil, nil
}

// end closes the nexus, whose commands are quiet, and then gives the place free.
func (t *Target) end(s *session) {
	if s.nexus != nil {
		done := make(chan struct{})
		s.nexus.Close(func() { close(done) })
		<-done
	}
	t.mu.Lock()
	delete(t.sessions, s.key)
	if !s.discovery {
		s.host.sessions--
		s.host.granted.Add(-s.slots.Load())
		s.host.divide(t.limits.Commands)
	}
	t.mu.Unlock()
	close(s.quiet)
}

// hasSession reports whether a session with this TSIH exists.
func (t *Target) hasSession(initiator string, tsih uint16) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sessions {
		if s.tsih == tsih && s.key.initiator == initiator {
			return true
		}
	}
	return false
}

// SessionInfo tells people about a session.
type SessionInfo struct {
	Initiator string
	ISID      string
	Remote    string
	Tag, TSIH uint16
	Discovery bool
	// Works: the last that a TEST UNIT READY, a read or a write was answered lets the host take
	// the path for one that can be used.
	Works bool
}

// Sessions lists the sessions.
func (t *Target) Sessions() []SessionInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []SessionInfo
	for _, s := range t.sessions {
		out = append(out, SessionInfo{
			Initiator: s.key.initiator,
			ISID:      fmt.Sprintf("%012x", s.key.isid[:]),
			Remote:    s.conn.nc.RemoteAddr().String(),
			Tag:       s.conn.portal.group.Tag,
			TSIH:      s.tsih,
			Discovery: s.discovery,
			Works:     s.works.Load(),
		})
	}
	return out
}
