// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/perdure/perdure/internal/event"
)

const (
	// facility is daemon, of RFC 5424 6.2.1; maxMessage what every receiver takes (6.1).
	facility   = 3
	maxMessage = 2048
	// maxSequence is the largest sequenceId (7.3.1).
	maxSequence = 1<<31 - 1
)

// message is an event as RFC 5424 has it. Its number is the sequenceId, so that a receiver
// sees what it lacks, and what it got twice.
func message(array string, e event.Numbered) []byte {
	severity := map[event.Severity]int{event.Major: 3, event.Minor: 4}[e.Severity]
	if severity == 0 {
		severity = 6
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, e.Text)
	s := fmt.Sprintf("<%d>1 %s %s perdured - event [meta sequenceId=\"%d\"] \ufeff%s",
		facility*8+severity, e.At.UTC().Format("2006-01-02T15:04:05.000000Z"), array, (e.ID-1)%maxSequence+1, text)
	for len(s) > maxMessage {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return []byte(s)
}

// syslog sends to a syslog server: a datagram each (RFC 5426), or with their lengths before
// them over a connection (RFC 6587 3.4.1, RFC 5425).
type syslog struct {
	kind, address, array string
	tls                  *tls.Config
	conn                 net.Conn
}

func (s *syslog) dial(ctx context.Context) (err error) {
	if s.conn != nil {
		return nil
	}
	switch s.kind {
	case "udp":
		s.conn, err = (&net.Dialer{}).DialContext(ctx, "udp", s.address)
		return err
	case "tls":
		s.conn, err = (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.address)
	default:
		s.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	}
	if err != nil {
		s.conn = nil
		return err
	}
	go func(c net.Conn) { // ends with the connection: a server says nothing, but may hang up
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}(s.conn)
	return nil
}

// send sends the events. A server that hung up since the last ones, as many do with who is silent, is
// called again.
func (s *syslog) send(ctx context.Context, events []event.Numbered) error {
	old := s.conn != nil
	sent, err := s.sendOver(ctx, events)
	if err != nil && old && ctx.Err() == nil {
		_, err = s.sendOver(ctx, events[sent:])
	}
	return err
}

func (s *syslog) sendOver(ctx context.Context, events []event.Numbered) (sent int, err error) {
	if err := s.dial(ctx); err != nil {
		return 0, err
	}
	conn := s.conn
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetWriteDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	for _, e := range events {
		m := message(s.array, e)
		if s.kind != "udp" {
			m = append(fmt.Appendf(nil, "%d ", len(m)), m...)
		}
		if _, err = conn.Write(m); err != nil {
			s.close()
			return sent, err
		}
		sent++
	}
	return sent, nil
}

func (s *syslog) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}
