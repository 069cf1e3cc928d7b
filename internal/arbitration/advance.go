// SPDX-License-Identifier: Apache-2.0

package arbitration

import "github.com/perdure/perdure/internal/array"

// advance looks at all the facts and does the next thing. It is run after every
// event, so no event needs to know what others wait for.
func (m *Machine) advance(out *Output) {
	c := m.st.Current
	member := c.Members.Has(m.self()) || m.broken(OnlyMembersPropose)
	switch {
	case !member:
		return
	case c.Members == array.Only(m.self()) && !m.doubted:
		m.grow(out)
	case m.stuck:
		m.reason = ReasonOwnStuck
	case m.doubted:
		m.reason = ReasonDoubted
	case m.sealed:
		m.goOn(out)
	default:
		m.keepReady(out)
	}
	m.bringWitnessUp(out)
}

// grow takes the other array back in. The joining side is barred until its copy
// is whole, so growing needs no other vote: only this side decides {X}'s successor
// and only this side decides that of the grown record.
func (m *Machine) grow(out *Output) {
	if !m.joining || !m.contact || m.stuck || m.peerUnfit() {
		return
	}
	rule := Chosen(m.self())
	if m.broken(GiveUpOnlySynced) && m.incarnation != 0 {
		rule = Majority
	}
	m.decide(m.successor(array.Both, rule), ReasonJoin, out)
}

// goOn is for a sealed member of {A,B}: go on alone, if the votes can be had.
func (m *Machine) goOn(out *Output) {
	c := m.st.Current
	why := ReasonSilent
	switch {
	case m.peerBehind:
		why = ReasonBehind
	case m.peerStuck:
		why = ReasonStuck
	}
	switch {
	case m.contact && m.matched && !m.peerUnfit():
		return // the records are being compared
	case m.unheard && !m.peerUnfit():
		m.reason = ReasonUnmatched
		return
	case c.DecidedBy(m.self()):
		m.decide(m.successor(array.Only(m.self()), Sole), why, out)
		return
	case c.Rule != Majority && m.broken(BarredWaits) && m.grantEnded:
		m.decide(m.successor(array.Only(m.self()), Sole), why, out)
		return
	case c.Rule != Majority:
		m.reason = ReasonBarred
		out.Read = true
		return
	case m.broken(TwoOfThree):
		m.decide(m.successor(array.Only(m.self()), Sole), why, out)
		return
	case !m.owns() && !m.cfg.AutoFailover && !m.takeover && m.st.Accepted.Ballot == 0:
		m.reason = ReasonNotAutomatic
		return
	case !m.preferred() && !(m.grantEnded && m.headStart):
		m.reason = ReasonWaitLease
		return
	}
	m.propose(m.successor(array.Only(m.self()), Sole), why, out)
}

// keepReady is for a serving pair: have the next decision prepared.
func (m *Machine) keepReady(out *Output) {
	c := m.st.Current
	if !m.matched || !m.contact {
		return
	}
	if m.parting && m.owns() {
		if c.DecidedBy(m.peer()) && !m.broken(BarredWaits) {
			return // it votes for nothing, and hands that to the owner first
		}
		m.seal()
		if c.DecidedBy(m.self()) {
			// The other is told by the record itself; its lease is waited out.
			m.decide(m.successor(array.Only(m.self()), Sole), ReasonPart, out)
			return
		}
		m.sealed = false
		m.propose(m.successor(array.Only(m.self()), Sole), ReasonPart, out)
		return
	}
	switch c.Rule {
	case Chosen(m.self()):
		m.giveUp(out)
	case Majority:
		m.preElect(out)
	}
}

// giveUp hands the privilege of going on alone to the witness or to the owner,
// once the other copy is whole.
func (m *Machine) giveUp(out *Output) {
	if !m.synced && !m.broken(GiveUpOnlySynced) {
		return
	}
	switch {
	case m.armable():
		m.decide(m.successor(array.Both, Majority), ReasonWitnessBack, out)
	case !m.owns() && m.handing:
		m.handing = false
		m.decide(m.successor(array.Both, Chosen(m.owner)), ReasonOwnerMoved, out)
	}
}

// armable reports whether both arrays reach the same witness and mean to use it.
func (m *Machine) armable() bool {
	return m.cfg.WitnessStarted && m.incarnation != 0 && m.incarnation == m.peerWitness
}

// preElect replaces a majority record that has lost its witness, or that an
// abandoned vote has left traces on. The owner proposes, so that the two sides
// don't hinder each other; the other's vote is needed.
func (m *Machine) preElect(out *Output) {
	if !m.owns() {
		return
	}
	c := m.st.Current
	traces := m.st.Promised != 0 || m.st.Accepted.Ballot != 0 ||
		m.register.Base.ID == c.ID && (m.register.Promised != 0 || m.register.Accepted.Ballot != 0)
	switch {
	case m.armable() && m.incarnation != c.Incarnation:
		m.propose(m.successor(array.Both, Majority), ReasonWitnessNew, out)
	case m.witnessLost():
		m.propose(m.successor(array.Both, Chosen(m.self())), ReasonWitnessLost, out)
	case traces && m.armable():
		m.propose(m.successor(array.Both, Majority), ReasonRefresh, out)
	}
}

// witnessLost reports whether the record's witness counts for neither array.
func (m *Machine) witnessLost() bool {
	c := m.st.Current.Incarnation
	return !m.cfg.WitnessStarted || c == 0 || m.incarnation != c && m.peerWitness != c
}
