// SPDX-License-Identifier: Apache-2.0

package arbitration_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

var (
	sole     = arb.First(array.SideA, 7)
	majority = arb.Record{
		ID: 9, Base: 7, Lineage: 2, Seq: 5, Epoch: 4, Members: array.Both, Opener: array.SideB,
		Rule: arb.Majority, Incarnation: 77, Proposer: array.SideB,
	}
	vote = arb.Vote{Ballot: 12, Record: majority}
)

func messages() []arb.Message {
	return []arb.Message{
		{State: &arb.PeerState{Current: majority, Witness: 3, Voted: true}},
		{State: &arb.PeerState{Current: sole, Compared: true}},
		{Ask: &arb.Ask{Base: 7, Ballot: 4, Seen: 2, Record: majority}},
		{Answer: &arb.Answer{Base: 7, Ballot: 4, Granted: true, Promised: 4}},
		{Answer: &arb.Answer{Base: 7, Ballot: 4, Promised: 6, Accepted: vote}},
	}
}

func TestWhatIsEncodedComesBack(t *testing.T) {
	st := arb.Stored{Current: sole, Promised: 4, Accepted: vote}
	if got, err := arb.ParseStored(st.Marshal()); err != nil || got != st {
		t.Errorf("%+v, %v", got, err)
	}
	reg := arb.Register{Base: majority, Promised: 12, Accepted: vote}
	if got, err := arb.ParseRegister(reg.Marshal()); err != nil || got != reg {
		t.Errorf("%+v, %v", got, err)
	}
	for _, m := range messages() {
		got, err := arb.ParseMessage(m.Marshal())
		if d := cmp.Diff(m, got); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	}
}

func TestEveryDamagedByteIsFound(t *testing.T) {
	whole := arb.Stored{Current: sole, Promised: 4, Accepted: vote}.Marshal()
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x10
		if _, err := arb.ParseStored(bad); !errors.Is(err, arb.ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := arb.ParseStored(whole[:i]); !errors.Is(err, arb.ErrCorrupt) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
}

func TestRecordsThatCannotBeAreRefused(t *testing.T) {
	for name, change := range map[string]func(*arb.Record){
		"no id":      func(r *arb.Record) { r.ID = 0 },
		"no members": func(r *arb.Record) { r.Members = 0 },
		"opener not a member": func(r *arb.Record) {
			r.Members, r.Rule, r.Incarnation, r.Opener = array.OnlyA, arb.Sole, 0, array.SideB
		},
		"one member by majority": func(r *arb.Record) { r.Members, r.Opener = array.OnlyA, array.SideA },
		"two members, sole":      func(r *arb.Record) { r.Rule, r.Incarnation = arb.Sole, 0 },
		"rule unknown":           func(r *arb.Record) { r.Rule = 9 },
		"witness without vote":   func(r *arb.Record) { r.Rule = arb.ChosenA },
	} {
		r := majority
		change(&r)
		if r.Valid() {
			t.Errorf("%s: valid", name)
		}
		if _, err := arb.ParseStored(arb.Stored{Current: r}.Marshal()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzParseStored(f *testing.F) {
	f.Add(arb.Stored{Current: sole, Promised: 4, Accepted: vote}.Marshal())
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := arb.ParseStored(b); err == nil && !bytes.Equal(s.Marshal(), b) {
			t.Errorf("%x is taken for %+v", b, s)
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(m.Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := arb.ParseMessage(b)
		if err != nil {
			return
		}
		again, err := arb.ParseMessage(m.Marshal())
		if d := cmp.Diff(m, again); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	})
}
