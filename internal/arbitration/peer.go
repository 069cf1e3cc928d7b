// SPDX-License-Identifier: Apache-2.0

package arbitration

import "github.com/perdure/perdure/internal/array"

// meet compares the other array's record with the own.
func (m *Machine) meet(p PeerState, out *Output) {
	theirs, mine := p.Current, m.st.Current
	switch {
	case theirs.ID == mine.ID:
		m.split = false
		m.undoubt()
		if p.Lacking && m.standAside(out) {
			return
		}
		m.match(p)
		if m.matched && !p.Compared {
			m.tell(out)
		}
	case theirs.newerThan(mine) || m.broken(NewerWins):
		if !m.mayAdopt(theirs) {
			m.divided(theirs)
			m.reason = ReasonSplit
			return
		}
		m.adopt(theirs, out)
		m.match(p)
	default:
		m.matched = false
		m.tell(out)
	}
}

// standAside: this side was chosen to go on alone, but its journal lacks what it had
// acknowledged, and the other's copy holds all. Only this side can decide the
// successor, so it decides for the other, and returns as a copy. It reports whether
// it did.
func (m *Machine) standAside(out *Output) bool {
	c := m.st.Current
	if c.Members != array.Both || !c.DecidedBy(m.self()) {
		return false
	}
	r := m.successor(array.Only(m.peer()), Sole)
	r.Opener = m.peer()
	m.decide(r, ReasonAside, out)
	m.undoubt()
	return true
}

// match: both hold the same record in this contact.
func (m *Machine) match(p PeerState) {
	c := m.st.Current
	if c.Members == array.Only(m.self()) {
		// The other array knows that it is out: its word that it serves no more.
		m.grantEnded = true
	}
	if c.Members != array.Both {
		return
	}
	if p.Voted && m.prop.on && m.prop.ballot == 0 {
		return
	}
	m.matched, m.unheard = true, false
	if m.sealed && !m.peerUnfit() {
		// The epoch goes on as after a broken connection. A vote of this side that is
		// still on its way to the witness can do no harm: this side accepts nothing
		// itself any more, and the traces make the owner refresh the record.
		m.sealed = false
		m.prop.on = false
	}
	if m.Granting() {
		m.grantEnded = false
	}
}

// mayAdopt: within a lineage always. A forced record is followed by a side that
// has decided nothing the forcing person did not know of.
func (m *Machine) mayAdopt(r Record) bool {
	return m.st.Current.Follows(r, m.self())
}

// Follows reports whether side s, which holds r, may take next in its place by itself.
func (r Record) Follows(next Record, s array.Side) bool {
	return next.Lineage == r.Lineage || next.Base == r.ID && r.Members == array.Both && r.Rule != Chosen(s) || !r.Members.Has(s)
}

// divided: the other array, or the witness, holds a lineage that this side may not
// follow by itself. It serves nothing until a person chooses.
func (m *Machine) divided(r Record) {
	m.split = true
	m.rival = max(m.rival, r.Lineage)
}

// undoubt: a decided record that leaves this side out is all there is to know, for
// it returns by a copy. One that names it says nothing of what its log lacks, and at
// the witness may be of the past too: see Synced.
func (m *Machine) undoubt() {
	if !m.st.Current.Members.Has(m.self()) {
		m.doubted = false
	}
}

// adopt makes a record current that others have decided.
func (m *Machine) adopt(r Record, out *Output) {
	m.decide(r, ReasonLearned, out)
	m.split = false
	m.undoubt()
	if r.Members == array.Both {
		// Matched only by the other array's state, never by hearsay. While it is there its
		// state comes: the witness may be quicker, and that is no reason to leave it out.
		m.sealed, m.unheard = true, m.contact
	}
}

// Force: a person makes this side go on alone in place of a missing vote. It
// starts a new lineage, different for the two sides, whose epochs are above all
// of the old one.
func (m *Machine) Force(nonce uint64, out *Output) {
	m.nonce = nonce
	c := m.st.Current
	r := m.successor(array.Only(m.self()), Sole)
	r.Lineage = (max(c.Lineage, m.rival)/2+1)*2 + uint32(m.self())
	r.Epoch = array.Epoch(uint64(r.Lineage)<<32) + 1
	r.Opener = m.self()
	m.seal()
	m.split, m.doubted = false, false
	m.decide(r, ReasonForce, out)
	m.bringWitnessUp(out)
}

// Reason returns why the group is not served here, or 0.
func (m *Machine) Reason() Reason {
	v := m.View()
	switch {
	case v.Role == Alone || v.Role == Paired:
		return 0
	case m.split:
		return ReasonSplit
	case v.Role == Out:
		return ReasonOut
	case m.doubted:
		return ReasonDoubted
	case m.stuck:
		return ReasonOwnStuck
	case m.reason != 0:
		return m.reason
	case v.Members == array.Only(m.self()):
		return ReasonWaitLease
	}
	return ReasonUnmatched
}

// Inputs returns the facts as they are now, for explain.
func (m *Machine) Inputs() Inputs { return m.inputs() }
