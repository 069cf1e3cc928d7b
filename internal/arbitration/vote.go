// SPDX-License-Identifier: Apache-2.0

package arbitration

// A proposer promises its ballot to itself first, then asks one other acceptor to
// promise and accept in one step, and accepts itself last. The other acceptor
// and the proposer are the quorum of both phases of Paxos: the proposer's own
// promise is older than the other's answer, and its own acceptance younger. A
// proposer therefore never holds an accepted vote of its own that is undecided.

// propose starts, or goes on with, an attempt to have want decided.
func (m *Machine) propose(want Record, why Reason, out *Output) {
	if m.prop.on {
		return
	}
	viaPeer := m.contact && m.matched && !m.peerUnfit()
	if !viaPeer && !m.witnessCounts() {
		m.reason = ReasonNoQuorum
		out.Read = true
		return
	}
	top, high := m.st.Accepted, max(m.st.Promised, m.prop.ballot)
	if m.best.Ballot > top.Ballot {
		top = m.best
	}
	if !viaPeer {
		high = max(high, m.register.Promised, m.register.Accepted.Ballot)
		if m.register.Accepted.Ballot > top.Ballot {
			top = m.register.Accepted
		}
	}
	if top.Ballot != 0 && !m.broken(TakeUpVotes) {
		want, why = top.Record, ReasonFinish
	}
	seen, b := top.Ballot, high.next(m.self())
	m.st.Promised = b
	m.prop = proposal{on: true, ballot: b, seen: seen, record: want, reason: why}
	out.Persist = true
	if viaPeer {
		a := Ask{Base: m.st.Current.ID, Ballot: b, Seen: seen, Record: want}
		out.Messages = append(out.Messages, Message{Ask: &a})
		return
	}
	m.swapVote(out)
}

// Asked: the other array asks for a vote.
func (m *Machine) Asked(nonce uint64, a Ask, out *Output) {
	m.nonce = nonce
	if !a.Record.Valid() || a.Ballot == 0 {
		return
	}
	ans := Answer{Base: a.Base, Ballot: a.Ballot, Promised: m.st.Promised, Accepted: m.st.Accepted}
	same := a.Base == m.st.Current.ID && a.Record.Base == a.Base || m.broken(NameTheBase)
	rule := m.st.Current.Rule == Majority
	if same && rule && m.mayPromise(a) && m.st.Accepted.Ballot <= a.Seen {
		if !m.broken(RememberVotes) {
			m.st.Promised = a.Ballot
			m.st.Accepted = Vote{Ballot: a.Ballot, Record: a.Record}
		}
		m.prop = proposal{}
		out.Persist = true
		ans.Granted = true
	} else if a.Base != m.st.Current.ID {
		m.tell(out)
		return
	}
	out.Messages = append(out.Messages, Message{Answer: &ans})
	m.advance(out)
}

// mayPromise: a ballot below the promised one is refused; the same ballot is the
// same request, repeated.
func (m *Machine) mayPromise(a Ask) bool {
	if m.broken(KeepPromise) {
		return true
	}
	if m.st.Accepted.Ballot == a.Ballot {
		return m.st.Accepted.Record == a.Record && m.st.Promised == a.Ballot
	}
	return a.Ballot > m.st.Promised
}

// Answered: the other array's answer to an Ask.
func (m *Machine) Answered(nonce uint64, a Answer, out *Output) {
	m.nonce = nonce
	if !m.prop.on || a.Base != m.st.Current.ID || a.Ballot != m.prop.ballot || m.st.Promised != a.Ballot {
		return
	}
	if a.Granted {
		m.won(out)
		return
	}
	m.refused(a.Promised, a.Accepted)
	m.advance(out)
}

// refused takes from a refusal what the next attempt needs.
func (m *Machine) refused(promised Ballot, v Vote) {
	m.prop.on = false
	m.prop.ballot = max(m.prop.ballot, promised, v.Ballot)
	if v.Ballot > m.best.Ballot && v.Record.Valid() && v.Record.Base == m.st.Current.ID {
		m.best = v
	}
}

// won: a second acceptor voted for the proposal; accept it and it is decided.
func (m *Machine) won(out *Output) {
	p := m.prop
	yielded := !p.record.Members.Has(m.peer()) && m.contact && m.matched && !m.peerUnfit()
	m.decide(p.record, p.reason, out)
	if yielded {
		// The other array's vote was its word that it holds no lease.
		m.grantEnded = true
	}
	m.advance(out)
}
