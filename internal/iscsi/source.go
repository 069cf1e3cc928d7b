// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"io"
	"time"

	"github.com/perdure/perdure/internal/scsi"
)

// errStale ends a connection whose socket was left unread too long: the commands
// in it may be such that their host has given up.
var errStale = errors.New("the socket was left unread for too long; its bytes are not executed")

// source reads a connection's socket and vouches that what it returns is fresh.
type source struct {
	conn   io.Reader
	pulse  *pulse
	stalls uint64 // as the connection began
	last   int64  // when the last Read returned, CLOCK_BOOTTIME
	readAt time.Time
	out    *output
}

func newSource(c io.Reader, p *pulse, out *output) *source {
	return &source{conn: c, out: out, pulse: p, stalls: p.stalls.Load(), last: p.now()}
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	// The turn before this one took too long: what waits in the socket is old.
	if s.pulse.now()-s.last >= int64(scsi.Late) {
		return 0, errStale
	}
	s.out.uncork()
	n, err := s.conn.Read(p)
	s.out.cork()
	s.last = s.pulse.now()
	if n > 0 && !s.pulse.steady(s.last, s.stalls) {
		return 0, errStale
	}
	s.readAt = time.Unix(0, s.last)
	return n, err
}
