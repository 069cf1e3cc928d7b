// SPDX-License-Identifier: Apache-2.0

package arbitration

import "github.com/perdure/perdure/internal/array"

// Each event takes a nonce, a fresh random number that becomes the ID of a record
// if the event causes one to be proposed. Zero is not allowed.

// Connected: a connection to the other array came up. The own state goes out;
// the contact begins when the other's arrives.
func (m *Machine) Connected(out *Output) {
	m.peerStuck, m.peerBehind = false, false // found on an earlier connection; found again if it lasts
	if m.st.Current.DecidedBy(m.self()) {
		m.synced = false // what the other holds comes out when the logs are compared
	}
	s := m.State()
	out.Messages = append(out.Messages, Message{State: &s})
}

// PeerState: the other array told its state on the connection that is up.
func (m *Machine) PeerState(nonce uint64, p PeerState, out *Output) {
	m.nonce = nonce
	if !p.Current.Valid() {
		return
	}
	m.contact = true
	m.peerWitness = p.Witness
	m.meet(p, out)
	m.advance(out)
}

// PeerSilent: the other array's lease could not be renewed for the detection time.
func (m *Machine) PeerSilent(nonce uint64, out *Output) {
	m.nonce = nonce
	m.contact, m.matched, m.joining, m.unheard, m.parting = false, false, false, false, false
	m.peerWitness = 0
	if m.st.Current.Members == array.Both {
		m.seal()
	}
	m.advance(out)
}

// PeerStuck: the other array said that its journal is stuck; it gave its lease up.
func (m *Machine) PeerStuck(nonce uint64, out *Output) {
	m.nonce = nonce
	m.peerStuck = true
	if m.st.Current.Members == array.Both {
		m.seal()
		m.headStart = true // it does not decide first
	}
	m.advance(out)
}

// PeerBehind: the other array's journal lacks what it had acknowledged, and what it
// lacks can't be sent. It is left out as if its journal were stuck, to be copied anew.
func (m *Machine) PeerBehind(nonce uint64, out *Output) {
	m.nonce = nonce
	if m.st.Current.Members != array.Both {
		return
	}
	m.peerBehind = true
	m.seal()
	m.tell(out) // it may be for the other side to decide
	m.advance(out)
}

// peerUnfit reports whether the other array can't be a member, though it is there.
func (m *Machine) peerUnfit() bool { return m.peerStuck || m.peerBehind }

// seal stops all of the old epoch. From here on this side may decide.
func (m *Machine) seal() {
	if !m.sealed {
		m.headStart = false
	}
	m.sealed = true
}

// GrantEnded: every lease granted by this side has surely ended.
func (m *Machine) GrantEnded(nonce uint64, out *Output) {
	m.nonce = nonce
	if m.Granting() {
		return
	}
	m.grantEnded = true
	m.advance(out)
}

// HeadStartOver: the preferred side has had its time to decide first.
func (m *Machine) HeadStartOver(nonce uint64, out *Output) {
	m.nonce = nonce
	m.headStart = true
	m.advance(out)
}

// Stuck: the own journal is stuck (or works again).
func (m *Machine) Stuck(nonce uint64, stuck bool, out *Output) {
	m.nonce = nonce
	m.stuck = stuck
	m.advance(out)
}

// Doubted: whether this array's disk may be of the past: not known yet, or known to
// be. Until it has met the other array and lacks nothing that it holds, or a record
// that leaves one of them out, this side decides nothing and does not serve alone.
func (m *Machine) Doubted(nonce uint64, doubted bool, out *Output) {
	m.nonce = nonce
	m.doubted = doubted
	m.advance(out)
}

// Owner: the owner by the last committed entry of the log.
func (m *Machine) Owner(nonce uint64, s array.Side, out *Output) {
	m.nonce = nonce
	m.owner = s
	m.advance(out)
}

// OwnerSettled: the owner by the last committed entry has not changed for a while.
func (m *Machine) OwnerSettled(nonce uint64, out *Output) {
	m.nonce = nonce
	m.handing = true
	m.advance(out)
	m.handing = false
}

// Synced: both copies hold all that was committed without the other.
func (m *Machine) Synced(nonce uint64, out *Output) {
	m.nonce = nonce
	if m.st.Current.Members == array.Both {
		m.synced, m.doubted = true, false
	}
	m.advance(out)
}

// Join: the other array has cut its log at the fork, holds the state of a past
// place whole and follows the order closely.
func (m *Machine) Join(nonce uint64, out *Output) {
	m.nonce = nonce
	m.joining = m.contact
	m.advance(out)
}

// Part: a person stops the group; this side, the owner, goes on alone.
func (m *Machine) Part(nonce uint64, out *Output) {
	m.nonce = nonce
	m.parting = true
	m.advance(out)
}

// Takeover: a person asks this side to go on although auto_failover is off. It
// needs the same votes as if it were on.
func (m *Machine) Takeover(nonce uint64, out *Output) {
	m.nonce = nonce
	m.takeover = true
	m.advance(out)
}

// Retry: time has passed; ask again what was left without an answer.
func (m *Machine) Retry(nonce uint64, out *Output) {
	m.nonce = nonce
	m.swapping = false
	if m.prop.on {
		m.prop.on = false
	}
	m.advance(out)
}

// Asking reports whether a proposal waits for an answer.
func (m *Machine) Asking() bool { return m.prop.on || m.swapping }
