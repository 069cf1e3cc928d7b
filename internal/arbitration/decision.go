// SPDX-License-Identifier: Apache-2.0

package arbitration

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// Reason says why something was decided or refused.
type Reason uint8

// The reasons.
const (
	// ReasonSilent: the other array fell silent.
	ReasonSilent Reason = iota + 1
	// ReasonStuck: the other array's journal is stuck and it gave up its lease.
	ReasonStuck
	// ReasonPart: a person stopped the group, or the other array leaves in good order.
	ReasonPart
	// ReasonJoin: the other array returned and follows the order again.
	ReasonJoin
	// ReasonWitnessLost: both arrays lost the witness and chose a side in advance.
	ReasonWitnessLost
	// ReasonWitnessBack: both arrays reach the witness, and the chosen side gave up its privilege.
	ReasonWitnessBack
	// ReasonWitnessNew: the witness restarted and was armed again.
	ReasonWitnessNew
	// ReasonOwnerMoved: the privilege follows the owner.
	ReasonOwnerMoved
	// ReasonRefresh: leftovers of an abandoned vote were put aside.
	ReasonRefresh
	// ReasonFinish: a vote that another began was finished.
	ReasonFinish
	// ReasonForce: a person forced it.
	ReasonForce
	// ReasonLearned: a newer decided record was learned.
	ReasonLearned
	// ReasonBarred: the other side was chosen in advance; this one waits.
	ReasonBarred
	// ReasonNoQuorum: neither the other array nor the witness that counts can be reached.
	ReasonNoQuorum
	// ReasonNotAutomatic: auto_failover is off and this side does not own the group.
	ReasonNotAutomatic
	// ReasonSplit: the arrays hold different lineages; a person must choose.
	ReasonSplit
	// ReasonWaitLease: the other array's lease may still run.
	ReasonWaitLease
	// ReasonUnmatched: the record has not been compared with the other array's or the witness's.
	ReasonUnmatched
	// ReasonOwnStuck: this array's own journal is stuck.
	ReasonOwnStuck
	// ReasonOut: the other array serves without this one.
	ReasonOut
	// ReasonDoubted: this array's disk may be of the past.
	ReasonDoubted
	// ReasonBehind: the other array lacks what it had acknowledged.
	ReasonBehind
	// ReasonAside: this array lacks what it had acknowledged and leaves it to the other.
	ReasonAside
)

var reasonTexts = [...]string{
	"", "the other array fell silent", "the other array's journal is stuck", "a person stopped the group or takes it away, or the other array was shut down in good order",
	"the other array returned and follows the order", "both arrays lost the witness, so a side was chosen in advance",
	"both arrays reach the witness again, so the chosen side gave up its privilege", "the witness restarted and was armed again",
	"the privilege of going on alone follows the owner", "leftovers of an abandoned vote were put aside",
	"a vote begun earlier was finished", "a person forced it", "a newer decided record was learned",
	"the other side was chosen in advance to go on alone; this one waits for it",
	"neither the other array nor the witness that counts can be reached",
	"auto_failover is off and the other array owns the group", "the arrays hold different lineages; a person must choose one",
	"the other array's lease may still run", "the record was not yet compared with the other array's or the witness's",
	"this array's journal is stuck", "the other array serves without this one",
	"this array's disk may be of the past: it has to be compared with the other array's first, or a person decides",
	"the other array lacks what it had acknowledged, and is copied anew",
	"this array lacks what it had acknowledged: the other one goes on, and this one is copied anew",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasonTexts) {
		return reasonTexts[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Inputs are the facts a decision was made on.
type Inputs struct {
	Contact, Matched, Sealed, GrantEnded bool
	// Witness is the incarnation reached, PeerWitness that which the other reaches.
	Witness, PeerWitness uint64
	Owner                array.Side
	Synced, Doubted      bool
	PeerBehind           bool
}

// Decision is one entry of the account that explain shows.
type Decision struct {
	Reason Reason
	From   Record
	To     Record
	Inputs Inputs
}

// String returns the decision in one line.
func (d Decision) String() string {
	return fmt.Sprintf("%v → %v: %v", d.From, d.To, d.Reason)
}
