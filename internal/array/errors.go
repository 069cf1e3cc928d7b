// SPDX-License-Identifier: Apache-2.0

package array

import (
	"errors"
	"fmt"
	"slices"
)

// Kind says what sort of failure an error is. It maps once to a WSAPI code, an
// HTTP status, a CLI text and a SCSI sense. Values are stable on the wire.
type Kind uint8

// The kinds.
const (
	// Internal is a failure that is nobody's fault but the daemon's.
	Internal Kind = iota
	// Invalid is input that can't be meant: a bad value, an unknown name of an option.
	Invalid
	// NotFound names an object that does not exist.
	NotFound
	// Exists names an object that exists already.
	Exists
	// Conflict is a command that the object's present state forbids.
	Conflict
	// Denied is missing permission or failed authentication.
	Denied
	// Full is a pool, journal or table without room.
	Full
	// Busy asks to try the same again on the same path: nothing was done.
	Busy
	// Standby says that this path does not serve the volume; the other array's does.
	Standby
	// Unavailable says that this array is known to have lost the volume.
	Unavailable
	// Miscompare is the outcome of a COMPARE AND WRITE that differed.
	Miscompare
	// Reserved is a reservation conflict.
	Reserved
	// Aborted says that a command was cancelled before it took effect.
	Aborted
	// Medium is data that can't be read back as they were written.
	Medium
	// Moved says that the receiver no longer owns the group; ask the owner.
	Moved
	// Range is an address beyond the volume's end.
	Range
	// Unknown says that a command may or may not have taken effect, and that this
	// array can't find out.
	Unknown
)

var kindNames = [...]string{
	"internal", "invalid", "not found", "exists", "conflict", "denied", "full", "busy",
	"standby", "unavailable", "miscompare", "reserved", "aborted", "medium", "moved", "range", "unknown",
}

// String returns the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", k)
}

// KindNamed is the reverse, Internal for what is no name of a kind.
func KindNamed(name string) Kind {
	return Kind(max(0, slices.Index(kindNames[:], name)))
}

// Error is an error with a Kind. Text is for people: it names the object, the
// value and what would be right.
type Error struct {
	Kind Kind
	Text string
	// Reason says it more closely, if anybody needs to know.
	Reason Reason
	// Offset is, for Miscompare, the first differing byte.
	Offset int64
	// Err is the cause, if any.
	Err error
}

// Error returns the text, and the cause behind it.
func (e *Error) Error() string {
	switch {
	case e.Err == nil && e.Text == "":
		return e.Kind.String()
	case e.Err == nil:
		return e.Text
	case e.Text == "":
		return e.Kind.String() + ": " + e.Err.Error()
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error of kind k with a formatted text. To keep a cause in the
// chain, set Err instead.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Error in err's chain, Internal if there
// is none.
func KindOf(err error) Kind {
	if err == nil {
		return Internal
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
