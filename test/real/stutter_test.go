// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"net"
	"sync"
)

// A stutter is a connection that can stop in the middle of a PDU.
type stutter struct {
	net.Conn
	mu    sync.Mutex
	stops bool
	rest  []byte
}

// Write sends half of b if it is to stop, and then nothing until goOn.
func (s *stutter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stops {
		return s.Conn.Write(b)
	}
	k := 0
	if s.rest == nil {
		k = len(b) / 2
	}
	s.rest = append(s.rest, b[k:]...)
	if k > 0 {
		if _, err := s.Conn.Write(b[:k]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// stop lets only half of the next PDU through.
func (s *stutter) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = true
}

// goOn sends what was held back. The connection may have ended.
func (s *stutter) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.Conn.Write(s.rest)
	s.stops, s.rest = false, nil
}
