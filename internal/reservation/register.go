// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"slices"

	"github.com/perdure/perdure/internal/array"
)

// register is REGISTER and REGISTER AND IGNORE EXISTING KEY: it adds, changes or
// removes the registration of the nexus, and with Ports and Initiators of others.
func (s *State) register(req Request) (*State, []Notice, error) {
	key, registered := s.Key(req.Nexus)
	ignore := req.Action == RegisterIgnore
	switch {
	case ignore && len(req.Initiators) > 0:
		return s, nil, array.Errorf(array.Invalid, "REGISTER AND IGNORE EXISTING KEY takes no other initiators")
	case registered && len(req.Initiators) > 0:
		return s, nil, array.Errorf(array.Invalid, "a registered nexus can't register others")
	case registered && !ignore && req.Key != key:
		return s, nil, conflict("the nexus is registered with another key")
	case !registered && !ignore && req.Key != 0:
		return s, nil, conflict("the nexus is not registered")
	case !registered && req.NewKey == 0:
		return s, nil, nil
	}
	n := s.next()
	var told []Notice
	for _, nexus := range req.nexuses() {
		if nexus != req.Nexus && !ignore {
			// The others of ALL_TG_PT must stand as the nexus does, else the keys differ.
			if k, ok := s.Key(nexus); ok && (!registered || k != req.Key) {
				return s, nil, conflict("another port is registered with another key")
			}
		}
		if req.NewKey == 0 {
			told = append(told, n.remove(nexus)...)
		} else if err := n.put(nexus, req.NewKey); err != nil {
			return s, nil, err
		}
	}
	n.Generation++
	n.APTPL = req.APTPL
	return n, told, nil
}

// nexuses returns every nexus that a registration names, its own first.
func (r Request) nexuses() []Nexus {
	out := []Nexus{r.Nexus}
	ports := r.Ports
	if len(ports) == 0 {
		ports = []uint16{r.Nexus.Port}
	}
	for _, name := range append([]string{r.Nexus.Initiator}, r.Initiators...) {
		for _, p := range ports {
			if n := (Nexus{name, p}); !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// put registers n with key, or changes its key. Only on a state being made.
func (s *State) put(n Nexus, key uint64) error {
	if i := s.find(n); i >= 0 {
		s.Registrations[i].Key = key
		return nil
	}
	if len(s.Registrations) >= MaxRegistrations {
		return array.Errorf(array.Full, "the unit has %d registrations, the limit", MaxRegistrations)
	}
	if len(n.Initiator) == 0 || len(n.Initiator) > MaxName {
		return array.Errorf(array.Invalid, "initiator port name of %d bytes, 1 to %d are possible", len(n.Initiator), MaxName)
	}
	s.Registrations = append(s.Registrations, Registration{n, key})
	return nil
}

// remove ends n's registration, and the reservation if n was its (last) holder.
func (s *State) remove(n Nexus) []Notice {
	i := s.find(n)
	if i < 0 {
		return nil
	}
	held := s.holds(n)
	s.Registrations = slices.Delete(s.Registrations, i, i+1)
	if held && (!s.Type.allRegistrants() || len(s.Registrations) == 0) {
		return s.dropReservation(n)
	}
	return nil
}

// preempt is PREEMPT and PREEMPT AND ABORT (SPC-4 5.12.11.2.6): whose key is
// NewKey loses its registration, and the reservation if it was a holder.
func (s *State) preempt(req Request) (*State, []Notice, error) {
	if err := s.authentic(req); err != nil {
		return s, nil, err
	}
	all := s.Type.allRegistrants()
	holderKey, _ := s.Key(s.Holder)
	takes := s.Type != None && (all && req.NewKey == 0 || !all && req.NewKey == holderKey)
	switch {
	case req.NewKey == 0 && !takes:
		return s, nil, array.Errorf(array.Invalid, "preempting needs the key to be preempted")
	case takes && !req.Type.Valid():
		return s, nil, array.Errorf(array.Invalid, "reservation type %#x is unknown", uint8(req.Type))
	}
	n := s.next()
	told, found := n.expel(req, takes && all)
	if !found && !takes {
		return s, nil, conflict("no registration has the key to be preempted")
	}
	if takes {
		if s.Type != req.Type {
			// Those who keep their registration learn that their rights changed.
			told = append(told, n.tellOthers(req.Nexus, ReservationsReleased)...)
		}
		n.Type, n.Holder = req.Type, holderOf(req.Type, req.Nexus)
	}
	n.Generation++
	return n, told, nil
}

// expel removes the registrations with the key NewKey, or all, except the asking
// nexus' own.
func (s *State) expel(req Request, all bool) (told []Notice, found bool) {
	var keep []Registration
	for _, r := range s.Registrations {
		victim := all || r.Key == req.NewKey
		found = found || victim
		if victim && r.Nexus != req.Nexus {
			told = append(told, Notice{r.Nexus, RegistrationsPreempted})
			continue
		}
		keep = append(keep, r)
	}
	s.Registrations = keep
	return told, found
}
