// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/perdure/perdure/internal/pki"
)

// The limits of a request and of a register.
const (
	MaxKey   = 128
	MaxValue = 4 << 10
	MaxBatch = 1024
	// maxBody holds MaxBatch values in base64 with their keys and owners around.
	maxBody = 8 << 20
)

// An Incarnation names one run of the witness.
type Incarnation [16]byte

// NewIncarnation draws one.
func NewIncarnation() Incarnation {
	var i Incarnation
	_, _ = rand.Read(i[:]) // never fails; the program ends if the system has no randomness
	return i
}

// String returns 32 hexadecimal digits.
func (i Incarnation) String() string { return hex.EncodeToString(i[:]) }

// IsZero reports whether i names no run.
func (i Incarnation) IsZero() bool { return i == Incarnation{} }

// MarshalText writes the incarnation as String does.
func (i Incarnation) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (i *Incarnation) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(i)) {
		return fmt.Errorf("read incarnation: %d characters, want %d", len(text), hex.EncodedLen(len(i)))
	}
	if _, err := hex.Decode(i[:], text); err != nil {
		return fmt.Errorf("read incarnation: %w", err)
	}
	return nil
}

// Owners are the two keys that may read and change a register, in any order.
type Owners [2]pki.Pin

func (o Owners) has(p pki.Pin) bool { return o[0] == p || o[1] == p }

// sorted returns the owners in the order in which they are stored.
func (o Owners) sorted() Owners {
	if o[0].String() > o[1].String() {
		return Owners{o[1], o[0]}
	}
	return o
}

// A Result says what became of one swap or read.
type Result string

// The results.
const (
	// OK: the register holds the value that the swap names, durably.
	OK Result = "ok"
	// Conflict: the register has another version; it is returned.
	Conflict Result = "conflict"
	// Denied: the register belongs to others, or an owner is no client here.
	Denied Result = "denied"
	// Full: the pair has all the registers it may have.
	Full Result = "full"
	// Invalid: the swap can't be meant.
	Invalid Result = "invalid"
	// Damaged: the stored register fails its checksum; it counts for nothing.
	Damaged Result = "damaged"
)

// A Register is a register's state. Version 0 is one that does not exist.
type Register struct {
	Key     string `json:"key"`
	Version uint64 `json:"version"`
	Owners  Owners `json:"owners,omitzero"`
	Value   []byte `json:"value,omitempty"`
	// Result is OK, Denied, Invalid or Damaged; in the latter three nothing else is known.
	Result Result `json:"result"`
}

// A Swap replaces the register that has exactly the version, 0 to create it.
type Swap struct {
	Key     string `json:"key"`
	Version uint64 `json:"version"`
	Value   []byte `json:"value,omitempty"`
	// Owners are needed to create a register and ignored otherwise.
	Owners Owners `json:"owners,omitzero"`
	// Remove deletes the register. It is for groups that are gone for good: a key
	// that is created again starts from version 1.
	Remove bool `json:"remove,omitempty"`
}

// An Outcome answers one Swap. For OK and Conflict it holds the register as it is now.
type Outcome struct {
	Result  Result `json:"result"`
	Version uint64 `json:"version"`
	Value   []byte `json:"value,omitempty"`
	// Reason explains the other results to people.
	Reason string `json:"reason,omitempty"`
}

// A readRequest may name an incarnation, and of each register the version that the client knows
// from it: such a register is left out of the answer. Few change, and all are read each second.
type readRequest struct {
	Keys        []string    `json:"keys"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
	Known       []uint64    `json:"known,omitempty"`
}

// A readReply has the registers in the order of the keys, without those that are Same; bit i of that,
// the lowest of a byte first, is of key i. Knows says that the witness understands what clients know:
// one of before that refuses a request that says it.
type readReply struct {
	Incarnation Incarnation `json:"incarnation"`
	Registers   []Register  `json:"registers"`
	Knows       bool        `json:"knows,omitempty"`
	Same        []byte      `json:"same,omitempty"`
}

type swapRequest struct {
	Incarnation Incarnation `json:"incarnation"`
	Swaps       []Swap      `json:"swaps"`
}

type swapReply struct {
	Incarnation Incarnation `json:"incarnation"`
	Outcomes    []Outcome   `json:"outcomes"`
}

type errorReply struct {
	Error       string      `json:"error"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
}

// A Contact is when a client was last heard.
type Contact struct {
	Name string    `json:"name"`
	Key  pki.Pin   `json:"key"`
	Last time.Time `json:"last,omitzero"`
}

// Status is what the witness tells about itself.
type Status struct {
	Version     string      `json:"version"`
	Incarnation Incarnation `json:"incarnation"`
	Started     time.Time   `json:"started"`
	Registers   int         `json:"registers"`
	Clients     []Contact   `json:"clients"`
	// Refused counts requests of strangers; LastRefused names the last one.
	Refused     uint64   `json:"refused"`
	LastRefused *Contact `json:"last_refused,omitempty"`
	// Warning is about the witness's own certificate.
	Warning string `json:"warning,omitempty"`
}

// checkKey says what is wrong with a register's name. Only printable ASCII is
// taken, so that a key means the same in every encoding.
func checkKey(key string) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("key has %d bytes, want 1 to %d", len(key), MaxKey)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c >= 0x7f {
			return fmt.Errorf("key %q: want printable ASCII without spaces", key)
		}
	}
	return nil
}

// check says what is wrong with a swap by itself.
func (s *Swap) check() error {
	if err := checkKey(s.Key); err != nil {
		return err
	}
	switch {
	case len(s.Value) > MaxValue:
		return fmt.Errorf("value has %d bytes, at most %d are stored", len(s.Value), MaxValue)
	case s.Version == math.MaxUint64:
		return fmt.Errorf("version %d has no successor", s.Version)
	case s.Remove && (s.Version == 0 || len(s.Value) > 0):
		return fmt.Errorf("a removal names a version and no value")
	}
	return nil
}
