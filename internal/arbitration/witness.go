// SPDX-License-Identifier: Apache-2.0

package arbitration

import "github.com/perdure/perdure/internal/array"

// The witness decides nothing. Its register is the memory of a third acceptor,
// and the arrays step that acceptor by compare and swap: a swap that succeeds is
// one atomic step of it, a swap that fails is none.

// WitnessSeen: the register as it is now, from a read or a refused swap.
func (m *Machine) WitnessSeen(nonce uint64, w WitnessView, out *Output) {
	m.nonce = nonce
	m.swapping = false
	changed := m.incarnation != w.Incarnation
	m.incarnation, m.version, m.register = w.Incarnation, w.Version, w.Register
	if w.Version != 0 && !w.Register.Base.Valid() {
		m.incarnation = 0 // not a register of ours; it can't be trusted
	}
	if changed {
		m.tell(out)
	}
	if m.prop.on && !m.viaPeer() {
		m.prop.on = false
	}
	m.learn(out)
	m.ownVoteFound(out)
	m.advance(out)
}

// WitnessLost: the witness can't be reached; the outcome of a swap is unknown.
func (m *Machine) WitnessLost(nonce uint64, out *Output) {
	m.nonce = nonce
	changed := m.incarnation != 0
	m.incarnation, m.swapping = 0, false
	if m.prop.on && !m.viaPeer() {
		m.prop.on = false
	}
	if changed {
		m.tell(out)
	}
	m.advance(out)
}

func (m *Machine) viaPeer() bool { return m.contact && m.matched && !m.peerUnfit() }

// learn adopts a newer decided record that the register holds. A restored
// witness may show an older one: it is ignored.
func (m *Machine) learn(out *Output) {
	b := m.register.Base
	if m.incarnation == 0 || m.version == 0 || !b.newerThan(m.st.Current) {
		return
	}
	if !m.mayAdopt(b) {
		m.divided(b)
		return
	}
	m.adopt(b, out)
}

// ownVoteFound finds a vote of the witness for the own newest proposal: the
// swap's success, or the outcome of one that was left without an answer.
func (m *Machine) ownVoteFound(out *Output) {
	v := m.register.Accepted
	if !m.witnessCounts() || v.Ballot == 0 || v.Ballot != m.st.Promised || Ballot(m.self()) != v.Ballot%2 {
		return
	}
	if !m.sealed && !m.broken(TwoOfThree) || m.viaPeer() {
		return
	}
	why := ReasonFinish
	if m.prop.ballot == v.Ballot {
		why = m.prop.reason
	}
	m.decide(v.Record, why, out)
}

// witnessCounts reports whether the witness is an acceptor of the successor of
// Current: the record names its incarnation, and it holds that very record.
func (m *Machine) witnessCounts() bool {
	c := m.st.Current
	if m.incarnation == 0 || !m.cfg.WitnessStarted || c.Rule != Majority || m.doubted {
		return false
	}
	if m.incarnation != c.Incarnation && !m.broken(OnlyThisIncarnation) {
		return false
	}
	return m.version != 0 && (m.register.Base.ID == c.ID || m.broken(WitnessUpToDate))
}

// swapVote asks the witness for its vote on the proposal.
func (m *Machine) swapVote(out *Output) {
	p := m.prop
	r := m.register
	if m.broken(WitnessUpToDate) {
		r.Base = m.st.Current
	}
	r.Promised = p.ballot
	r.Accepted = Vote{Ballot: p.ballot, Record: p.record}
	m.swap(r, p.ballot, out)
}

// bringWitnessUp stores the current record in the register, as decided. As an
// acceptor of its successor the witness starts empty, once: a register that holds
// the record already is left alone.
func (m *Machine) bringWitnessUp(out *Output) {
	c := m.st.Current
	if m.incarnation == 0 || !m.cfg.WitnessStarted || m.swapping || m.prop.on || m.doubted {
		return
	}
	if c.Rule == Majority && c.Incarnation != m.incarnation || !c.Members.Has(m.self()) {
		return
	}
	if m.version != 0 && !c.newerThan(m.register.Base) {
		return
	}
	if c.Rule != Majority && c.Members == array.Both && m.version == 0 {
		return
	}
	m.swap(Register{Base: c}, 0, out)
}

func (m *Machine) swap(r Register, b Ballot, out *Output) {
	m.swapping = true
	out.Swap = &Swap{Incarnation: m.incarnation, Version: m.version, New: r, Ballot: b}
}
