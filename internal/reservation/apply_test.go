// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/internal/array"
)

var ( // three hosts, the first with a path to each array; never written to
	a1 = Nexus{"iqn.a,i,0x000000000001", 1}
	a2 = Nexus{"iqn.a,i,0x000000000001", 129}
	b1 = Nexus{"iqn.b,i,0x000000000001", 1}
	c1 = Nexus{"iqn.c,i,0x000000000001", 1}
)

// run applies requests, each of which must succeed.
func run(t *testing.T, s *State, reqs ...Request) (*State, []Notice) {
	t.Helper()
	var told []Notice
	for i, r := range reqs {
		n, notices, err := s.Apply(r)
		if err != nil {
			t.Fatalf("request %d (%+v): %v", i, r, err)
		}
		s, told = n, notices
	}
	return s, told
}

func refuse(t *testing.T, s *State, r Request, want array.Kind) {
	t.Helper()
	n, told, err := s.Apply(r)
	var e *array.Error
	if !errors.As(err, &e) || e.Kind != want {
		t.Errorf("%+v: error %v, want kind %v", r, err, want)
	}
	if n != s || told != nil {
		t.Errorf("%+v: a refused request changed the state", r)
	}
}

func registered() []Request {
	return []Request{
		{Action: Register, Nexus: a1, NewKey: 0xA},
		{Action: RegisterIgnore, Nexus: b1, Key: 99, NewKey: 0xB},
		{Action: Register, Nexus: c1, NewKey: 0xC},
	}
}

func TestRegister(t *testing.T) {
	s := &State{}
	refuse(t, s, Request{Action: Register, Nexus: a1, Key: 5, NewKey: 6}, array.Reserved)
	s, _ = run(t, s, Request{Action: Register, Nexus: a1, NewKey: 0xA})
	refuse(t, s, Request{Action: Register, Nexus: a1, NewKey: 6}, array.Reserved)
	s, _ = run(t, s, Request{Action: Register, Nexus: a1, Key: 0xA, NewKey: 0xAA})
	if k, ok := s.Key(a1); !ok || k != 0xAA || s.Generation != 2 {
		t.Errorf("key %#x %v, generation %d", k, ok, s.Generation)
	}
	s, _ = run(t, s, Request{Action: Register, Nexus: a1, Key: 0xAA})
	if len(s.Registrations) != 0 {
		t.Errorf("still registered: %+v", s.Registrations)
	}
	s, _ = run(t, s, Request{Action: RegisterIgnore, Nexus: a1, NewKey: 1, Ports: []uint16{1, 129}})
	if diff := cmp.Diff([]Registration{{a1, 1}, {a2, 1}}, s.Registrations); diff != "" {
		t.Error("ALL_TG_PT:", diff)
	}
	s, _ = run(t, &State{}, Request{Action: Register, Nexus: a1, NewKey: 1, Initiators: []string{b1.Initiator}})
	if diff := cmp.Diff([]Registration{{a1, 1}, {b1, 1}}, s.Registrations); diff != "" {
		t.Error("SPEC_I_PT:", diff)
	}
}

func TestRegistrationsAreBounded(t *testing.T) {
	s := &State{}
	for i := range MaxRegistrations {
		s, _ = run(t, s, Request{Action: Register, Nexus: Nexus{"iqn.x", uint16(i)}, NewKey: 1})
	}
	refuse(t, s, Request{Action: Register, Nexus: a1, NewKey: 1}, array.Full)
}

// TestAccess is the table of SPC-4: who may do what under each type.
func TestAccess(t *testing.T) {
	for _, tt := range []struct {
		typ                          Type
		otherRegRead, otherRegWrite  bool
		strangerRead, strangerWrites bool
	}{
		{WriteExclusive, true, false, true, false},
		{ExclusiveAccess, false, false, false, false},
		{WriteExclusiveRegistrantsOnly, true, true, true, false},
		{ExclusiveAccessRegistrantsOnly, true, true, false, false},
		{WriteExclusiveAllRegistrants, true, true, true, false},
		{ExclusiveAccessAllRegistrants, true, true, false, false},
	} {
		s, _ := run(t, &State{}, append(registered()[:2], Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: tt.typ})...)
		for _, c := range []struct {
			who  Nexus
			a    Access
			want bool
		}{
			{a1, Read, true},
			{a1, Write, true},
			{b1, Read, tt.otherRegRead},
			{b1, Write, tt.otherRegWrite},
			{c1, Read, tt.strangerRead},
			{c1, Write, tt.strangerWrites},
			{c1, Free, true},
			{c1, Ready, true},
			{c1, Persistent, true},
		} {
			if got := s.Allows(c.who, c.a); got != c.want {
				t.Errorf("type %d: %v class %d: %v, want %v", tt.typ, c.who, c.a, got, c.want)
			}
		}
	}
}

func TestReserveAndRelease(t *testing.T) {
	s, _ := run(t, &State{}, registered()...)
	refuse(t, s, Request{Action: Reserve, Nexus: a1, Key: 1, Type: WriteExclusive}, array.Reserved)
	refuse(t, s, Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: 2}, array.Invalid)
	before := s
	s, _ = run(t, s, Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: WriteExclusiveRegistrantsOnly})
	if s.Revision == before.Revision || s.Generation != before.Generation {
		t.Error("RESERVE must change the revision and not PRGENERATION")
	}
	again, _ := run(t, s, Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: WriteExclusiveRegistrantsOnly})
	if again != s {
		t.Error("the same reservation again changed something")
	}
	refuse(t, s, Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: WriteExclusive}, array.Reserved)
	refuse(t, s, Request{Action: Reserve, Nexus: b1, Key: 0xB, Type: WriteExclusiveRegistrantsOnly}, array.Reserved)
	refuse(t, s, Request{Action: Release, Nexus: a1, Key: 0xA, Type: WriteExclusive}, array.Conflict)
	if same, _ := run(t, s, Request{Action: Release, Nexus: b1, Key: 0xB, Type: WriteExclusive}); same != s {
		t.Error("a release by who has nothing changed something")
	}
	s, told := run(t, s, Request{Action: Release, Nexus: a1, Key: 0xA, Type: WriteExclusiveRegistrantsOnly})
	if diff := cmp.Diff([]Notice{{b1, ReservationsReleased}, {c1, ReservationsReleased}}, told); diff != "" || s.Type != None {
		t.Error(s.Type, diff)
	}
}

func TestUnregisterOfTheHolder(t *testing.T) {
	s, _ := run(t, &State{}, append(registered(), Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: ExclusiveAccess})...)
	s, told := run(t, s, Request{Action: Register, Nexus: a1, Key: 0xA})
	if s.Type != None || told != nil {
		t.Errorf("type %d, told %v", s.Type, told)
	}
	s, _ = run(t, &State{}, append(registered()[:2], Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: WriteExclusiveAllRegistrants})...)
	s, _ = run(t, s, Request{Action: Register, Nexus: a1, Key: 0xA})
	if s.Type != WriteExclusiveAllRegistrants {
		t.Error("an all-registrants reservation ended before its last registrant")
	}
	s, _ = run(t, s, Request{Action: Register, Nexus: b1, Key: 0xB})
	if s.Type != None {
		t.Error("an all-registrants reservation outlived its last registrant")
	}
}

func TestClear(t *testing.T) {
	s, _ := run(t, &State{}, append(registered(), Request{Action: Reserve, Nexus: b1, Key: 0xB, Type: ExclusiveAccess})...)
	s, told := run(t, s, Request{Action: Clear, Nexus: a1, Key: 0xA})
	if s.Type != None || len(s.Registrations) != 0 || s.Generation != 4 {
		t.Errorf("after CLEAR: %+v", s)
	}
	if diff := cmp.Diff([]Notice{{b1, ReservationsPreempted}, {c1, ReservationsPreempted}}, told); diff != "" {
		t.Error(diff)
	}
}

func TestPreempt(t *testing.T) {
	base, _ := run(t, &State{}, append(registered(), Request{Action: Reserve, Nexus: b1, Key: 0xB, Type: WriteExclusiveRegistrantsOnly})...)
	refuse(t, base, Request{Action: Preempt, Nexus: a1, Key: 0xA, NewKey: 0, Type: WriteExclusive}, array.Invalid)
	refuse(t, base, Request{Action: Preempt, Nexus: a1, Key: 0xA, NewKey: 0x77, Type: WriteExclusive}, array.Reserved)
	refuse(t, base, Request{Action: Preempt, Nexus: a1, Key: 0xB, NewKey: 0xB, Type: WriteExclusive}, array.Reserved)

	// The holder: its reservation passes over, with a new type.
	s, told := run(t, base, Request{Action: Preempt, Nexus: a1, Key: 0xA, NewKey: 0xB, Type: ExclusiveAccess})
	if s.Type != ExclusiveAccess || s.Holder != a1 || s.find(b1) >= 0 {
		t.Errorf("after preempting the holder: %+v", s)
	}
	if diff := cmp.Diff([]Notice{{b1, RegistrationsPreempted}, {c1, ReservationsReleased}}, told); diff != "" {
		t.Error(diff)
	}
	// Not the holder: only the registration goes.
	s, told = run(t, base, Request{Action: PreemptAbort, Nexus: a1, Key: 0xA, NewKey: 0xC, Type: ExclusiveAccess})
	if s.Holder != b1 || s.Type != WriteExclusiveRegistrantsOnly || s.find(c1) >= 0 {
		t.Errorf("after preempting a registrant: %+v", s)
	}
	if diff := cmp.Diff([]Notice{{c1, RegistrationsPreempted}}, told); diff != "" {
		t.Error(diff)
	}
	// All registrants, key zero: everybody else goes.
	all, _ := run(t, &State{}, append(registered(), Request{Action: Reserve, Nexus: b1, Key: 0xB, Type: WriteExclusiveAllRegistrants})...)
	s, told = run(t, all, Request{Action: Preempt, Nexus: a1, Key: 0xA, Type: WriteExclusive})
	if s.Holder != a1 || len(s.Registrations) != 1 || len(told) != 2 {
		t.Errorf("after preempting all: %+v, told %v", s, told)
	}
}

func TestMove(t *testing.T) {
	base, _ := run(t, &State{}, append(registered(), Request{Action: Reserve, Nexus: a1, Key: 0xA, Type: WriteExclusive})...)
	refuse(t, base, Request{Action: RegisterMove, Nexus: b1, Key: 0xB, NewKey: 1, MoveTo: c1}, array.Reserved)
	refuse(t, base, Request{Action: RegisterMove, Nexus: a1, Key: 0xA, NewKey: 1, MoveTo: a1}, array.Invalid)
	refuse(t, base, Request{Action: RegisterMove, Nexus: a1, Key: 0xA, MoveTo: a2}, array.Invalid)
	s, _ := run(t, base, Request{Action: RegisterMove, Nexus: a1, Key: 0xA, NewKey: 7, MoveTo: a2, Unregister: true})
	if k, _ := s.Key(a2); k != 7 || s.Holder != a2 || s.find(a1) >= 0 {
		t.Errorf("after the move: %+v", s)
	}
}

func TestLegacy(t *testing.T) {
	s, _ := run(t, &State{}, Request{Action: LegacyReserve, Nexus: a1})
	if !s.Allows(a1, Write) || s.Allows(b1, Read) || s.Allows(b1, Ready) || !s.Allows(b1, Free) {
		t.Error("rights under RESERVE(6)")
	}
	refuse(t, s, Request{Action: LegacyReserve, Nexus: b1}, array.Reserved)
	refuse(t, s, Request{Action: Register, Nexus: a1, NewKey: 1}, array.Reserved)
	if same, _ := run(t, s, Request{Action: LegacyRelease, Nexus: b1}); same != s {
		t.Error("RELEASE(6) by another nexus had an effect")
	}
	for _, end := range []Request{
		{Action: LegacyRelease, Nexus: a1},
		{Action: NexusLost, Nexus: a1},
		{Action: UnitReset, Nexus: b1},
		{Action: PowerLoss},
	} {
		if free, _ := run(t, s, end); !free.Allows(b1, Write) {
			t.Errorf("still reserved after %+v", end)
		}
	}
	persistent, _ := run(t, &State{}, registered()...)
	refuse(t, persistent, Request{Action: LegacyReserve, Nexus: a1}, array.Reserved)
	if same, _ := run(t, persistent, Request{Action: NexusLost, Nexus: a1}); same != persistent {
		t.Error("a persistent registration must outlive its session")
	}
}

func TestPowerLoss(t *testing.T) {
	s, _ := run(t, &State{}, Request{Action: Register, Nexus: a1, NewKey: 1}, Request{Action: PowerLoss})
	if len(s.Registrations) != 0 {
		t.Error("a registration without APTPL outlived power loss")
	}
	s, _ = run(t, &State{}, Request{Action: Register, Nexus: a1, NewKey: 1, APTPL: true}, Request{Action: PowerLoss})
	if len(s.Registrations) != 1 {
		t.Error("a registration with APTPL did not outlive power loss")
	}
}
