// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The encodings open with a version. They travel in log entries and in forwards,
// so a decoder takes nothing for granted.
const (
	stateVersion   = 1
	requestVersion = 1
	// maxPorts and maxInitiators bound a request's lists.
	maxPorts      = 64
	maxInitiators = MaxRegistrations
)

var errShort = errors.New("encoding ends early")

// MarshalBinary encodes the state.
func (s *State) MarshalBinary() ([]byte, error) {
	if len(s.Registrations) > MaxRegistrations {
		return nil, fmt.Errorf("encode reservations: %d registrations, the limit is %d", len(s.Registrations), MaxRegistrations)
	}
	b := []byte{stateVersion, byte(s.Type), flags(s.APTPL, s.Reserved6)}
	b = binary.BigEndian.AppendUint64(b, s.Revision)
	b = binary.BigEndian.AppendUint32(b, s.Generation)
	b = appendNexus(b, s.Holder)
	b = appendNexus(b, s.Legacy)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Registrations)))
	for _, r := range s.Registrations {
		b = binary.BigEndian.AppendUint64(appendNexus(b, r.Nexus), r.Key)
	}
	return b, nil
}

// UnmarshalBinary decodes what MarshalBinary made.
func (s *State) UnmarshalBinary(b []byte) error {
	d := decoder{b: b}
	if v := d.u8(); v != stateVersion && d.err == nil {
		return fmt.Errorf("decode reservations: version %d is unknown", v)
	}
	var n State
	n.Type = Type(d.u8())
	n.APTPL, n.Reserved6 = d.flags()
	n.Revision, n.Generation = d.u64(), d.u32()
	n.Holder, n.Legacy = d.nexus(), d.nexus()
	for range d.count(MaxRegistrations) {
		n.Registrations = append(n.Registrations, Registration{d.nexus(), d.u64()})
		if d.err != nil {
			break
		}
	}
	if d.err == nil {
		d.err = n.check()
	}
	if err := d.end(); err != nil {
		return fmt.Errorf("decode reservations: %w", err)
	}
	*s = n
	return nil
}

// check holds the state's invariants against what was decoded.
func (s *State) check() error {
	if s.Type != None && !s.Type.Valid() {
		return fmt.Errorf("reservation type %d is unknown", s.Type)
	}
	for i, r := range s.Registrations {
		if r.Key == 0 || r.Nexus.Initiator == "" || s.find(r.Nexus) != i {
			return fmt.Errorf("registration %d is not possible", i)
		}
	}
	exclusive := s.Type != None && !s.Type.allRegistrants()
	switch {
	case exclusive && s.find(s.Holder) < 0, s.Type.allRegistrants() && len(s.Registrations) == 0:
		return errors.New("the reservation's holder is not registered")
	case !exclusive && s.Holder != Nexus{}, !s.Reserved6 && s.Legacy != Nexus{}:
		return errors.New("a holder without a reservation")
	}
	return nil
}

// MarshalBinary encodes the request.
func (r Request) MarshalBinary() ([]byte, error) {
	if len(r.Ports) > maxPorts || len(r.Initiators) > maxInitiators {
		return nil, fmt.Errorf("encode reservation request: %d ports and %d initiators are too many", len(r.Ports), len(r.Initiators))
	}
	b := []byte{requestVersion, byte(r.Action), byte(r.Type), flags(r.APTPL, r.Unregister)}
	b = binary.BigEndian.AppendUint64(b, r.Key)
	b = binary.BigEndian.AppendUint64(b, r.NewKey)
	b = appendNexus(appendNexus(b, r.Nexus), r.MoveTo)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Ports)))
	for _, p := range r.Ports {
		b = binary.BigEndian.AppendUint16(b, p)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Initiators)))
	for _, name := range r.Initiators {
		b = appendName(b, name)
	}
	return b, nil
}

// UnmarshalBinary decodes what MarshalBinary made.
func (r *Request) UnmarshalBinary(b []byte) error {
	d := decoder{b: b}
	if v := d.u8(); v != requestVersion && d.err == nil {
		return fmt.Errorf("decode reservation request: version %d is unknown", v)
	}
	var n Request
	n.Action, n.Type = Action(d.u8()), Type(d.u8())
	n.APTPL, n.Unregister = d.flags()
	n.Key, n.NewKey = d.u64(), d.u64()
	n.Nexus, n.MoveTo = d.nexus(), d.nexus()
	for range d.count(maxPorts) {
		n.Ports = append(n.Ports, d.u16())
	}
	for range d.count(maxInitiators) {
		n.Initiators = append(n.Initiators, d.name())
		if d.err != nil {
			break
		}
	}
	if d.err == nil && !n.Action.Valid() {
		d.err = fmt.Errorf("action %#x is unknown", uint8(n.Action))
	}
	if err := d.end(); err != nil {
		return fmt.Errorf("decode reservation request: %w", err)
	}
	*r = n
	return nil
}

func flags(a, b bool) byte {
	var f byte
	if a {
		f |= 1
	}
	if b {
		f |= 2
	}
	return f
}

func appendName(b []byte, name string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(name))), name...)
}

func appendNexus(b []byte, n Nexus) []byte {
	return binary.BigEndian.AppendUint16(appendName(b, n.Initiator), n.Port)
}
