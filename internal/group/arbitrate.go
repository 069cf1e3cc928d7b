// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/replication"
	"github.com/perdure/perdure/internal/scsi"
)

// Timing of the decisions. The lease itself is the pair's.
const (
	// headStart is how much earlier the preferred side may decide than the other.
	headStart = 200 * time.Millisecond
	// retryAfter is how long an answer of the other array is waited for, swapWithin
	// one of the witness, which may be far away and first has to answer a read.
	retryAfter = 300 * time.Millisecond
	swapWithin = 4 * time.Second
	// rejoinAfter keeps a side that just fell silent from being taken back at once.
	rejoinAfter = 500 * time.Millisecond
	// settledAfter is how long the owner must be the same before the privilege of going
	// on alone follows.
	settledAfter = time.Second
	// disownAfter is how long an undecided array without contact keeps commands that
	// have a place: what the other array needs to go on alone, and a little more.
	disownAfter = 750 * time.Millisecond
	// leaveFor is how long an array that said it leaves is not taken back.
	leaveFor = 10 * time.Second
)

// carry does what the arbitration core put out: store, then send, then act.
func (g *Group) carry(out *arb.Output) {
	if (out.Persist || g.unstored) && !g.store() {
		return
	}
	for _, d := range out.Decisions {
		if len(g.decisions) == maxDecisions {
			g.decisions = append(g.decisions[:0], g.decisions[1:]...)
		}
		g.decisions = append(g.decisions, d)
		g.cfg.Logger.Info("membership decided", "group", g.cfg.Name, "from", d.From.String(), "to", d.To.String(), "why", d.Reason.String())
		g.keepApart(d)
		g.tellDecision(d)
	}
	if g.cfg.Peer != nil {
		for _, m := range out.Messages {
			g.sends = append(g.sends, arbPacket(m))
		}
		if out.Swap != nil {
			g.swapping, g.retryAt = true, g.cfg.Now().Add(swapWithin)
			g.cfg.Peer.Swap(g.cfg.ID, *out.Swap)
		}
		if out.Read {
			g.cfg.Peer.ReadWitness(g.cfg.ID)
		}
	}
	g.look()
}

// tellDecision tells people of members that change, and of who may go on alone. A record that
// says again what the one before said is for explain only.
func (g *Group) tellDecision(d arb.Decision) {
	switch {
	case d.To.Members == d.From.Members && d.To.Rule == d.From.Rule:
	case d.To.Members == d.From.Members:
		who := "both arrays and the witness decide who goes on"
		for _, s := range []array.Side{0, 1} {
			if d.To.Rule == arb.Chosen(s) {
				who = "array " + g.arrayName(s) + " is chosen in advance to go on alone"
			}
		}
		g.event(fmt.Sprintf("%s: %v", who, d.Reason))
	case d.To.Members != array.Both && d.Reason != arb.ReasonPart && d.Reason != arb.ReasonLearned:
		g.alarm(fmt.Sprintf("membership %v: %v", d.To.Members, d.Reason)) // one copy is left behind
	default: // who decided it has told of it
		g.event(fmt.Sprintf("membership %v: %v", d.To.Members, d.Reason))
	}
}

// store makes durable what the arbitration core holds. What was not stored was not
// promised: nothing is said of it, now or later, and this array stops serving. But a
// loser is one whether it could note that or not, and its hosts need not wait: a vote of
// this array that was not stored has left it neither for the other array nor for the
// witness, so what decided against it rests on theirs.
func (g *Group) store() bool {
	err := g.cfg.Keep.Put(g.cfg.ID, "membership", g.m.Stored().Marshal())
	g.unstored = err != nil
	if err == nil {
		return true
	}
	g.fail(fmt.Errorf("store membership: %w", err))
	if !g.superseded && g.m.View().Role == arb.Out {
		g.superseded = true
		g.disown()
		g.endPlaced()
		g.setGate()
	}
	return false
}

// look passes a changed view on to the replication core, in the same turn.
func (g *Group) look() {
	v := g.m.View()
	if v == g.view {
		return
	}
	was := g.view
	g.view = v
	if v.Sealed && !was.Sealed {
		g.sealedAt = g.cfg.Now()
	}
	if v.Role == arb.Held && was.Role != arb.Held {
		g.heldSince = g.cfg.Now()
	}
	if v.Role == arb.Paired {
		g.copyStuck = copyStuck{} // it is whole, whichever way it became so
	}
	g.shut()
	mode := replication.Held
	switch v.Role {
	case arb.Paired:
		mode = replication.Paired
	case arb.Alone:
		mode = replication.Alone
	case arb.Out:
		mode = replication.Out
	}
	if !g.core.SetView(replication.View{Mode: mode, Epoch: v.Epoch, Opener: v.Opener}) {
		return
	}
	g.cursor, g.told = 0, 0
	if was.Epoch != v.Epoch || v.Role != arb.Paired {
		g.endCalled(array.Errorf(array.Busy, "%s is changing hands", g.what()))
	}
	g.stopCopy()
	g.newStretch()
	if v.Role == arb.Out && was.Role != arb.Out {
		g.disown()
	}
	if was.Epoch != v.Epoch || was.Role != v.Role {
		g.notifyPaths()
	}
	if (was.Role == arb.Out) != (v.Role == arb.Out) {
		g.out.Store(v.Role == arb.Out)
		if g.cfg.Moved != nil && g.periodic() {
			g.cfg.Moved()
		}
	}
}

// disown: the other array goes on without this one. A command whose record was not
// committed here may or may not have taken effect there; its host is told to ask
// there, as for any command it got no answer to.
func (g *Group) disown() {
	for _, e := range g.tail {
		if e.work == nil {
			continue
		}
		err := g.refusal(gateStandby)
		if e.work.called { // there a refusal means that it has no place
			err = array.Errorf(array.Unknown, "%s went to the other array", g.what())
		}
		e.work.finish(err)
		e.work = nil
	}
	g.endSwitch(array.Errorf(array.Conflict, "%s went to the other array by itself", g.what()))
}

// heldLong reports whether the array is undecided for longer than a command waits.
func (g *Group) heldLong(now time.Time) bool {
	return g.view.Role == arb.Held && now.Sub(g.heldSince) > scsi.Late
}

// disownLate ends commands that have a place and no outcome when the array stays
// undecided and hears nothing of the other, which has had time to go on. BUSY would say that they had no
// effect, which isn't known; so their sessions end, and their hosts ask again where
// they find service. A record keeps its place whatever its host does now: it is
// committed before anything that is placed later, or cut everywhere.
func (g *Group) disownLate(now time.Time) {
	if g.heldLong(now) {
		g.notifyPaths()
	}
	if g.view.Role != arb.Held || g.contact && g.failed == nil || now.Sub(g.heldSince) <= disownAfter {
		return
	}
	g.endPlaced()
}

// endPlaced ends all commands that have a place, or may have one, and no outcome.
func (g *Group) endPlaced() {
	unknown := array.Errorf(array.Unknown, "%s: %s", g.what(), g.m.Reason())
	for _, e := range g.tail {
		if w := e.work; w != nil {
			e.work = nil
			w.finish(unknown)
		}
	}
	g.endInstalls(unknown)
	g.endForwards(func(w *work) bool {
		w.finish(unknown)
		return true
	})
}

// Lost: the connection broke. It is not yet silence.
func (g *Group) Lost() {
	g.post(func() {
		g.lostContact()
		g.greeted = false
	})
}

func (g *Group) lostContact() {
	g.dropSends() // in a new contact they would pass for fresh
	if g.contact || g.lostAt.IsZero() {
		g.lostAt = g.cfg.Now()
	}
	g.contact, g.talk, g.mine, g.theirs, g.theirChange = false, 0, 0, 0, 0
	g.theirRecord = arb.Record{}
	g.core.Lost()
	g.hasTheirs, g.cursor, g.theirGrant, g.told = false, 0, 0, 0
	g.stopCopy()
	g.dropCalls()
	g.dropQuestions()
	g.endCalled(array.Errorf(array.Busy, "the other array was lost"))
}

// Silent: the other array's lease could not be renewed for the detection time.
func (g *Group) Silent() {
	g.post(func() {
		g.greeted = false
		g.silent()
	})
}

func (g *Group) silent() {
	g.lostContact()
	g.toldSilent = true
	g.joinAfter = g.cfg.Now().Add(rejoinAfter)
	var out arb.Output
	g.m.PeerSilent(nonce(), &out)
	g.carry(&out)
}

// unanswered is how long the other array's half of the group may leave greetings
// without an answer while the array itself is there: it may not have opened the group.
const unanswered = 2 * time.Second

// checkContact takes a half that does not answer for silent.
func (g *Group) checkContact(now time.Time) {
	if g.greeted && !g.contact && !g.toldSilent && now.Sub(g.lostAt) > unanswered {
		g.alarm("the other array is there, but does not answer for this group")
		g.silent()
	}
}

// PeerStuck: the other array's journal is stuck, and it gave its lease up.
func (g *Group) PeerStuck() {
	g.post(func() {
		var out arb.Output
		g.m.PeerStuck(nonce(), &out)
		g.grants(g.cfg.Peer, &out) // its word ended what it held
		g.carry(&out)
	})
}

// PeerRestarted: a new process of the other array came. One that said it leaves is gone.
func (g *Group) PeerRestarted() {
	g.post(func() {
		g.joinAfter = time.Time{}
		g.loseRepeats()
	})
}

// Stuck: this array's journal is stuck, or works again.
func (g *Group) Stuck(stuck bool) {
	g.post(func() {
		g.journalStuck = stuck
		var out arb.Output
		g.tellStuck(&out)
		g.carry(&out)
	})
}

// tellStuck tells the core whether this array can't take part, for whatever reason.
func (g *Group) tellStuck(out *arb.Output) {
	g.m.Stuck(nonce(), g.journalStuck || g.gaveUp || g.aside.on || g.failed != nil, out)
}

// WitnessSeen passes on the register as it is now. answer says that it comes with
// the outcome of a swap. While one is under way, reads count for nothing: they may
// be older, and would spoil the vote. A group at rest that has seen this very register is
// not woken: there may be a thousand of them, and each is read every moment.
func (g *Group) WitnessSeen(w arb.WitnessView, answer bool) {
	seen := registerSeen{w.Incarnation, w.Version}
	if at := g.rested.Load(); !answer && at != nil && *at == seen {
		return
	}
	g.post(func() {
		if g.swapping && !answer {
			return
		}
		g.swapping = false
		var out arb.Output
		g.seen = &seen
		g.m.WitnessSeen(nonce(), w, &out)
		g.carry(&out)
	})
}

// WitnessLost: the witness can't be reached.
func (g *Group) WitnessLost(answer bool) {
	g.post(func() {
		if g.swapping && !answer {
			return
		}
		g.swapping = false
		var out arb.Output
		g.seen = nil
		g.m.WitnessLost(nonce(), &out)
		g.carry(&out)
	})
}

// tick lets time pass: grants end, votes are asked again, commands grow too old.
func (g *Group) tick() {
	now := g.cfg.Now()
	var out arb.Output
	if p := g.cfg.Peer; p != nil {
		g.repeatHello(now)
		g.checkContact(now)
		g.grants(p, &out)
		v := g.m.View()
		in := g.m.Inputs()
		unsettled := v.Members == array.Both && v.Role == arb.Held
		if unsettled && v.Sealed && in.GrantEnded && now.Sub(g.sealedAt) > headStart {
			g.m.HeadStartOver(nonce(), &out)
		}
		if (unsettled || g.m.Asking()) && now.After(g.retryAt) {
			g.swapping, g.retryAt = false, now.Add(retryAfter)
			g.m.Retry(nonce(), &out)
			if g.contact && !in.Matched {
				g.m.Connected(&out)
			}
		}
		g.membership(now, &out)
	}
	if g.resend && g.contact && g.core.Met() {
		g.resend = false
		g.askMissing()
	}
	g.checkCopy(now)
	g.compareRefused(now)
	g.checkPeriod(now)
	g.checkTurn(now)
	g.checkStall(now)
	g.checkCalls(now)
	g.checkRoom(now)
	g.checkHeals(now)
	g.checkAside(now)
	g.checkBalance(now)
	g.carry(&out)
	g.expire(now)
	g.disownLate(now)
	g.settleDoubt()
	g.release()
}

// grants keeps the account of the periods in which leases were granted for the group.
func (g *Group) grants(p Peer, out *arb.Output) {
	if g.m.Granting() {
		id := g.m.Stored().Current.ID
		if n := p.Period(); n != 0 && (g.opened != n || g.openedFor != id) && g.contact {
			g.opened, g.openedFor = n, id
			g.sends = append(g.sends, grantPacket(n, id))
		}
		return
	}
	if g.m.Inputs().GrantEnded {
		return
	}
	if p.Ended() >= g.opened {
		g.m.GrantEnded(nonce(), out)
		return
	}
	if p.Period() == g.opened && g.m.View().Role == arb.Held {
		p.Break() // sealed while the pair still grants: end it for all
	}
}

// membership tells the core of the facts that only the log knows.
func (g *Group) membership(now time.Time, out *arb.Output) {
	if o := g.core.CommittedOwner(); g.view.Members == array.Both && g.view.Role == arb.Paired && g.core.Met() && o != g.m.Inputs().Owner {
		g.m.Owner(nonce(), o, out)
		g.ownerSince = now
	}
	if rec := g.m.Stored().Current; rec.Members == array.Both && rec.DecidedBy(g.cfg.Self) && g.m.Inputs().Owner != g.cfg.Self &&
		g.view.Role == arb.Paired && g.core.Met() && (g.leaving || now.Sub(g.ownerSince) > settledAfter) {
		g.ownerSince = now
		g.m.OwnerSettled(nonce(), out)
	}
	switch in := g.m.Inputs(); g.view.Role {
	case arb.Paired:
		// The owner sees what the other holds; the other knows it of the moment in which
		// the logs were compared.
		if g.core.Met() && (!in.Synced || in.Doubted) && (g.core.Ready() && g.core.Peer() >= g.core.Commit() || g.core.Owner() != g.cfg.Self && g.core.Even()) {
			g.m.Synced(nonce(), out)
		}
		// A stop may come while the other side alone could decide it; that passes to the owner.
		if g.stopped && g.core.Owner() == g.cfg.Self && !g.m.Asking() && now.After(g.stopAgain) {
			g.stopAgain = now.Add(retryAfter)
			g.m.Part(nonce(), out)
		}
	case arb.Alone:
		if g.awaits(now) == "" {
			g.m.Join(nonce(), out)
		}
	}
}

// awaits says for what the other array is not taken back yet, "" if it can be.
func (g *Group) awaits(now time.Time) string {
	lacks := g.core.End().Place - g.core.Peer()
	switch {
	case g.stopped:
		return "the group is stopped"
	case g.apart():
		return "the group is periodic: it gets points"
	case !g.contact:
		return "the other array is not in contact"
	case !g.core.Ready():
		return "this array has not begun its order"
	case g.theirChange != g.change:
		return "it does not have the group's newest description"
	case !g.core.Met():
		return "the logs were not compared"
	case g.copying != nil || g.filling != nil:
		return "it is being filled"
	case !g.copyStuck.next.IsZero():
		return g.copyStuck.why
	case g.peerPartial:
		return "its pages are not whole"
	case lacks > joinWithin || g.cursor <= g.core.Peer():
		return fmt.Sprintf("it lacks %d records", lacks)
	case !now.After(g.joinAfter):
		return "it was silent a moment ago"
	}
	return ""
}

// joinWithin is how many records the other may lack when it becomes a member.
const joinWithin = 64

// leaseValid reports whether this array may serve the group now, and the period.
func (g *Group) leaseFor(role arb.Role, grant uint64) (uint64, bool) {
	if role == arb.Alone {
		return 0, true
	}
	p := g.cfg.Peer.Lease()
	return p, p != 0 && p == grant
}
