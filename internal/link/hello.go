// SPDX-License-Identifier: Apache-2.0

package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/perdure/perdure/internal/array"
)

const (
	maxName    = 64
	maxRefusal = 1024
	// MaxData is the largest number of data connections of a link.
	MaxData = 16
)

// Self is what an array says about itself when it connects.
type Self struct {
	System array.SystemID
	Start  array.StartID
	Name   string // for people, at most 64 bytes
}

// hello opens a connection, in both directions.
type hello struct {
	self Self
	link string // which link of the relation, at most 64 bytes
	slot uint8  // 0 is the control connection, 1 and up are data connections
}

func (h *hello) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(h.self.System))
	b = le.AppendUint64(b, h.self.Start.Count)
	b = le.AppendUint64(b, h.self.Start.Nonce)
	b = append(b, h.slot, byte(len(h.link)))
	b = append(b, h.link...)
	b = append(b, byte(len(h.self.Name)))
	return append(b, h.self.Name...)
}

var errHello = errors.New("the other side's greeting makes no sense")

func decodeHello(b []byte) (*hello, error) {
	const fixed = 4 + 8 + 8 + 1
	le := binary.LittleEndian
	if len(b) < fixed {
		return nil, errHello
	}
	h := &hello{slot: b[20]}
	h.self.System = array.SystemID(le.Uint32(b))
	h.self.Start = array.StartID{Count: le.Uint64(b[4:]), Nonce: le.Uint64(b[12:])}
	rest := b[fixed:]
	for _, s := range []*string{&h.link, &h.self.Name} {
		if len(rest) == 0 || int(rest[0]) > maxName || len(rest) < 1+int(rest[0]) {
			return nil, errHello
		}
		*s = string(rest[1 : 1+rest[0]])
		rest = rest[1+rest[0]:]
		if !utf8.ValidString(*s) {
			return nil, errHello
		}
	}
	if len(rest) != 0 || h.self.System == 0 || h.slot > MaxData {
		return nil, errHello
	}
	return h, nil
}

// A RefusedError is the other side's word that it takes no connection.
type RefusedError struct{ Reason string }

// Error returns the reason.
func (e *RefusedError) Error() string { return "the other side refuses: " + e.Reason }

// readGreeting reads one frame of the handshake: small, and never trusted.
func readGreeting(r io.Reader) (*hello, error) {
	var head [HeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read greeting: %w", err)
	}
	f, size, sum, err := decodeHeader(head[:])
	if err != nil {
		return nil, fmt.Errorf("read greeting: %w", err)
	}
	if size > maxRefusal {
		return nil, errHello
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, fmt.Errorf("read greeting: %w", err)
	}
	if err := verify(payload, sum); err != nil {
		return nil, fmt.Errorf("read greeting: %w", err)
	}
	switch f.Type {
	case typeHello:
		return decodeHello(payload)
	case typeRefuse:
		return nil, &RefusedError{Reason: fmt.Sprintf("%q", payload)}
	}
	return nil, errHello
}

func writeGreeting(w io.Writer, t Type, payload []byte) error {
	f := Frame{Type: t, Payload: payload}
	_, err := w.Write(append(f.appendHeader(nil), payload...))
	return err
}

// refuse tells the other side why, and returns the same as an error.
func refuse(w io.Writer, format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	if len(reason) > maxRefusal {
		reason = reason[:maxRefusal]
	}
	_ = writeGreeting(w, typeRefuse, []byte(reason)) // it may be gone already
	return array.Errorf(array.Denied, "refuse connection: %s", reason)
}
