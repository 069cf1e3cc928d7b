// SPDX-License-Identifier: Apache-2.0

package arbitration

import "github.com/perdure/perdure/internal/array"

// Config is what does not change while a Machine lives, but for SetPolicy.
type Config struct {
	Self array.Side
	// AutoFailover lets a side that does not own the group go on by itself.
	AutoFailover bool
	// Prefer names the side that decides first while the witness counts, if AutoFailover is
	// on; with none that is the owner. The two sides may hold different values for a while:
	// that costs a head start. Who is chosen in advance is always the owner: the privilege
	// must be able to follow who serves, and a side that names itself may fail.
	Prefer array.Members
	// WitnessStarted lets the group use the witness; without it the owner stays
	// chosen in advance.
	WitnessStarted bool
	// Without breaks rules on purpose. It is for the exhaustive search alone, which
	// must find out when a rule is missing.
	Without RuleSet
}

// proposal is an attempt to decide the successor of Current by Majority.
type proposal struct {
	on     bool
	ballot Ballot
	seen   Ballot
	record Record
	reason Reason
}

// Machine decides the membership of one group on one array.
type Machine struct {
	cfg Config
	st  Stored

	// contact: a live connection to the other array, which has told its state.
	contact bool
	// matched: in this contact both hold the same Current.
	matched bool
	// sealed: nothing of the epoch is accepted, no lease is granted.
	sealed bool
	// grantEnded: every lease that this side ever granted has surely ended.
	grantEnded bool
	// split: the other array or the witness shows a later lineage, and this side has
	// decided something that the one who forced it did not know.
	split bool
	// rival is the highest lineage seen that this side did not follow.
	rival uint32

	owner  array.Side
	synced bool
	// joining: the other array follows the order closely enough to be a member.
	joining bool
	// stuck: the own journal. peerStuck: the other's, which said so.
	stuck, peerStuck bool
	// peerBehind: the other's journal lacks what it had acknowledged.
	peerBehind bool
	// parting: a person stops the group. takeover: a person asks this side to go on.
	parting, takeover bool
	// unheard: since its start, or since it learned a newer record while the other array was
	// there, this side has neither compared records with it nor found it silent; it may be
	// there and serve.
	unheard bool
	// doubted: this array's disk may be of the past, so what it stored about deciding
	// alone may have been undone since.
	doubted bool
	// handing: the owner has been the other one for a while, so the privilege of going
	// on alone is to follow. Not at once: while the arrays don't agree yet who the
	// owner is, each would hand it to the other for ever.
	handing bool
	// headStart: the time in which the preferred side may decide first is over.
	headStart bool

	// The witness as last seen. incarnation 0: not reached.
	incarnation, peerWitness uint64
	version                  uint64
	register                 Register
	swapping                 bool

	prop proposal
	// best is the highest vote that a refusal showed, for the successor of Current.
	best   Vote
	reason Reason
	nonce  uint64
}

// New returns a Machine that has just started from what was stored.
func New(cfg Config, st Stored) Machine {
	return Machine{cfg: cfg, st: st, sealed: true, unheard: true, owner: st.Current.Opener}
}

// Stored returns what must be durable.
func (m *Machine) Stored() Stored { return m.st }

// SetPolicy changes auto_failover, whether the witness is started, and who is preferred.
func (m *Machine) SetPolicy(autoFailover, witnessStarted bool, prefer array.Members) {
	m.cfg.AutoFailover, m.cfg.WitnessStarted, m.cfg.Prefer = autoFailover, witnessStarted, prefer
}

func (m *Machine) self() array.Side { return m.cfg.Self }
func (m *Machine) peer() array.Side { return m.cfg.Self.Other() }

// yielded reports whether this side voted for a record that leaves it out: its
// word that it holds no lease.
func (m *Machine) yielded() bool {
	return m.st.Accepted.Ballot != 0 && !m.st.Accepted.Record.Members.Has(m.self())
}

// Granting reports whether leases may be granted to the other array now.
func (m *Machine) Granting() bool {
	if m.broken(SealFirst) && m.st.Current.Members == array.Both && m.sealed && m.grantEnded {
		return true
	}
	return m.st.Current.Members == array.Both && m.matched && !m.sealed && !m.stuck
}

// View returns what follows for the log and the hosts.
func (m *Machine) View() View {
	c := m.st.Current
	v := View{Lineage: c.Lineage, Epoch: c.Epoch, Members: c.Members, Opener: c.Opener, Sealed: m.sealed}
	switch {
	case !c.Members.Has(m.self()):
		v.Role = Out
	case m.stuck || m.split:
		v.Role = Held
	case c.Members == array.Only(m.self()):
		if m.doubted {
			break
		}
		if m.grantEnded || m.broken(WaitForLease) {
			v.Role = Alone
		}
	case !m.sealed && m.matched && !m.yielded():
		v.Role = Paired
	}
	return v
}

// owns reports whether this side is the owner by the last committed entry.
func (m *Machine) owns() bool { return m.owner == m.self() }

// preferred reports whether this side may decide first: the one that the group names, else
// the owner. Nobody is named where only the owner goes on by itself.
func (m *Machine) preferred() bool {
	if m.cfg.AutoFailover && (m.cfg.Prefer == array.OnlyA || m.cfg.Prefer == array.OnlyB) {
		return m.cfg.Prefer.Has(m.self())
	}
	return m.owns()
}

func (m *Machine) inputs() Inputs {
	return Inputs{
		Contact: m.contact, Matched: m.matched, Sealed: m.sealed, GrantEnded: m.grantEnded,
		Witness: m.incarnation, PeerWitness: m.peerWitness, Owner: m.owner, Synced: m.synced, Doubted: m.doubted, PeerBehind: m.peerBehind,
	}
}

// decide makes r the current record. The caller has made sure that it is decided.
func (m *Machine) decide(r Record, why Reason, out *Output) {
	from := m.st.Current
	out.Decisions = append(out.Decisions, Decision{Reason: why, From: from, To: r, Inputs: m.inputs()})
	if r.Epoch != from.Epoch || r.Lineage != from.Lineage {
		m.owner = r.Opener
		m.joining = false
		if r.Members != array.Both {
			m.synced = false
		}
	}
	m.st = Stored{Current: r}
	m.prop, m.best = proposal{}, Vote{}
	m.reason = 0
	m.matched = false
	m.parting, m.takeover = false, false
	if !r.Members.Has(m.peer()) {
		m.peerBehind = false // it is left out, and comes back as any other
	}
	if r.Members == array.Only(m.self()) {
		m.sealed = true
	}
	if r.Members == array.Both {
		if from.Members != array.Both {
			m.sealed = false
		}
		// One record of both follows another only when both copies are whole.
		m.synced = from.Members == array.Both
	}
	out.Persist = true
	m.tell(out)
}

// tell sends the own state to the other array.
func (m *Machine) tell(out *Output) {
	if m.contact {
		s := m.State()
		out.Messages = append(out.Messages, Message{State: &s})
	}
}

// State returns what the other array is told.
func (m *Machine) State() PeerState {
	return PeerState{
		Current: m.st.Current, Witness: m.incarnation, Compared: m.matched, Lacking: m.peerBehind && m.synced,
		Voted: m.st.Promised != 0 || m.st.Accepted.Ballot != 0,
	}
}

// successor returns a record that replaces Current.
func (m *Machine) successor(members array.Members, rule Rule) Record {
	c := m.st.Current
	r := Record{
		ID: m.nonce, Base: c.ID, Lineage: c.Lineage, Seq: c.Seq + 1, Epoch: c.Epoch,
		Members: members, Opener: c.Opener, Rule: rule, Proposer: m.self(),
	}
	if members != c.Members {
		r.Epoch++
		r.Opener = m.self()
	}
	if rule == Majority {
		r.Incarnation = m.incarnation
	}
	return r
}
