// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"slices"

	"github.com/perdure/perdure/internal/array"
)

// Apply returns the state after req, and who must be told. The error's kind is
//
//   - array.Reserved: RESERVATION CONFLICT;
//   - array.Invalid: a field of the parameter list can't be meant;
//   - array.Conflict: INVALID RELEASE OF PERSISTENT RESERVATION;
//   - array.Full: INSUFFICIENT REGISTRATION RESOURCES.
//
// With an error the state is unchanged.
func (s *State) Apply(req Request) (*State, []Notice, error) {
	if req.Action <= RegisterMove && s.Reserved6 {
		return s, nil, conflict("a legacy reservation is held")
	}
	switch req.Action {
	case Register, RegisterIgnore:
		return s.register(req)
	case Reserve:
		return s.reserve(req)
	case Release:
		return s.release(req)
	case Clear:
		return s.clear(req)
	case Preempt, PreemptAbort:
		return s.preempt(req)
	case RegisterMove:
		return s.move(req)
	case LegacyReserve:
		return s.reserve6(req)
	case LegacyRelease, NexusLost:
		if s.Reserved6 && s.Legacy == req.Nexus {
			return s.drop6(), nil, nil
		}
		return s, nil, nil
	case UnitReset:
		if s.Reserved6 {
			return s.drop6(), nil, nil
		}
		return s, nil, nil
	case PowerLoss:
		return s.powerLoss(), nil, nil
	}
	return s, nil, array.Errorf(array.Invalid, "reservation action %#x is unknown", uint8(req.Action))
}

// reserve takes the reservation for a registered nexus.
func (s *State) reserve(req Request) (*State, []Notice, error) {
	if err := s.authentic(req); err != nil {
		return s, nil, err
	}
	if !req.Type.Valid() {
		return s, nil, array.Errorf(array.Invalid, "reservation type %#x is unknown", uint8(req.Type))
	}
	switch {
	case s.Type == None:
		n := s.next()
		n.Type, n.Holder = req.Type, holderOf(req.Type, req.Nexus)
		return n, nil, nil
	case s.holds(req.Nexus) && s.Type == req.Type:
		return s, nil, nil
	}
	return s, nil, conflict("the unit is reserved")
}

// release gives the reservation up; nothing happens if the nexus has none.
func (s *State) release(req Request) (*State, []Notice, error) {
	if err := s.authentic(req); err != nil {
		return s, nil, err
	}
	if !s.holds(req.Nexus) {
		return s, nil, nil
	}
	if s.Type != req.Type {
		return s, nil, array.Errorf(array.Conflict, "release names type %d, the reservation has type %d", req.Type, s.Type)
	}
	n := s.next()
	return n, n.dropReservation(req.Nexus), nil
}

// clear removes everything.
func (s *State) clear(req Request) (*State, []Notice, error) {
	if err := s.authentic(req); err != nil {
		return s, nil, err
	}
	n := s.next()
	n.Generation++
	n.Registrations, n.Type, n.Holder = nil, None, Nexus{}
	return n, s.tellOthers(req.Nexus, ReservationsPreempted), nil
}

// move hands the reservation to another nexus, registering it with NewKey.
func (s *State) move(req Request) (*State, []Notice, error) {
	switch err := s.authentic(req); {
	case err != nil:
		return s, nil, err
	case s.Type == None || s.Type.allRegistrants():
		return s, nil, conflict("there is no reservation that could be moved")
	case s.Holder != req.Nexus:
		return s, nil, conflict("another nexus holds the reservation")
	case req.NewKey == 0:
		return s, nil, array.Errorf(array.Invalid, "a moved reservation needs a key")
	case req.MoveTo == req.Nexus:
		return s, nil, array.Errorf(array.Invalid, "a reservation can't be moved to its own nexus")
	}
	n := s.next()
	if err := n.put(req.MoveTo, req.NewKey); err != nil {
		return s, nil, err
	}
	n.Holder, n.APTPL = req.MoveTo, req.APTPL
	if req.Unregister {
		n.Registrations = slices.Delete(n.Registrations, n.find(req.Nexus), n.find(req.Nexus)+1)
	}
	n.Generation++
	return n, nil, nil
}

// reserve6 is RESERVE(6). It conflicts with any persistent registration (SPC-4
// without CRH).
func (s *State) reserve6(req Request) (*State, []Notice, error) {
	switch {
	case len(s.Registrations) > 0:
		return s, nil, conflict("persistent registrations exist")
	case s.Reserved6 && s.Legacy != req.Nexus:
		return s, nil, conflict("another nexus holds a legacy reservation")
	case s.Reserved6:
		return s, nil, nil
	}
	n := s.next()
	n.Reserved6, n.Legacy = true, req.Nexus
	return n, nil, nil
}

func (s *State) drop6() *State {
	n := s.next()
	n.Reserved6, n.Legacy = false, Nexus{}
	return n
}

func (s *State) powerLoss() *State {
	if s.APTPL && !s.Reserved6 || s.Type == None && len(s.Registrations) == 0 && !s.Reserved6 {
		return s
	}
	n := s.next()
	n.Reserved6, n.Legacy = false, Nexus{}
	if !n.APTPL {
		// PRGENERATION starts again at zero with the registrations (SPC-4 5.12.3).
		n.Registrations, n.Type, n.Holder, n.Generation = nil, None, Nexus{}, 0
	}
	return n
}

// authentic checks that the nexus is registered with the key it shows.
func (s *State) authentic(req Request) error {
	if key, ok := s.Key(req.Nexus); !ok || key != req.Key {
		return conflict("the nexus is not registered with this key")
	}
	return nil
}

// dropReservation ends the reservation and returns whom to tell: the other
// registrants, where the type gave them rights. Only on a state that is being made.
func (s *State) dropReservation(by Nexus) []Notice {
	shared := s.Type.registrants()
	s.Type, s.Holder = None, Nexus{}
	if !shared {
		return nil
	}
	return s.tellOthers(by, ReservationsReleased)
}

func (s *State) tellOthers(by Nexus, what What) []Notice {
	var out []Notice
	for _, r := range s.Registrations {
		if r.Nexus != by {
			out = append(out, Notice{r.Nexus, what})
		}
	}
	return out
}

func holderOf(t Type, n Nexus) Nexus {
	if t.allRegistrants() {
		return Nexus{}
	}
	return n
}

func conflict(text string) error {
	return array.Errorf(array.Reserved, "reservation conflict: %s", text)
}
