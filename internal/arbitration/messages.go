// SPDX-License-Identifier: Apache-2.0

package arbitration

import "github.com/perdure/perdure/internal/array"

// PeerState is what an array tells the other of its side of a group, on each
// new connection and whenever it changes.
type PeerState struct {
	Current Record
	// Witness is the incarnation of the witness the sender reaches now, 0 if none.
	Witness uint64
	// Compared says that the sender has compared the records in this contact. One
	// that has not is told the other's state again: it may have been lost.
	Compared bool
	// Lacking says that the receiver's journal lacks what it had acknowledged, and that
	// the sender's copy holds all.
	Lacking bool
	// Voted says that the sender has promised or accepted something for the
	// successor of Current, so the record should be refreshed.
	Voted bool
}

// Ask is a request for the other array's vote.
type Ask struct {
	// Base is the ID of the record to be replaced.
	Base uint64
	// Ballot is promised by the asker before it asks.
	Ballot Ballot
	// Seen is the ballot of the accepted vote whose record is proposed again, 0 if
	// the record is new.
	Seen   Ballot
	Record Record
}

// Answer replies to an Ask.
type Answer struct {
	Base   uint64
	Ballot Ballot
	// Granted says that the vote was given and is durable. A vote for a record
	// that leaves the voter out is also its word that it holds no lease any more.
	Granted bool
	// Promised and Accepted explain a refusal.
	Promised Ballot
	Accepted Vote
}

// Message is one of the three between arrays; exactly one part is set.
type Message struct {
	State  *PeerState
	Ask    *Ask
	Answer *Answer
}

// Swap asks the shell to change the witness's register from Version to New,
// in Incarnation and no other.
type Swap struct {
	Incarnation uint64
	Version     uint64
	New         Register
	// Ballot is the proposal this swap votes for, 0 if it only brings the witness
	// up to date.
	Ballot Ballot
}

// WitnessView is what a read of, or a swap on, the witness returned.
type WitnessView struct {
	Incarnation uint64
	// Version is 0 if the group has no register yet.
	Version  uint64
	Register Register
}

// Output is what one or more events caused.
type Output struct {
	// Persist: write Stored durably before anything else of this Output.
	Persist bool
	// Messages go to the other array, in any order, each at most once.
	Messages []Message
	// Swap, if set, goes to the witness; its result comes back as WitnessSeen or
	// WitnessLost.
	Swap *Swap
	// Read asks for a fresh WitnessSeen.
	Read bool
	// Decisions explain what was decided and why, in order.
	Decisions []Decision
}

// Role is what the chain and the facts allow an array now.
type Role uint8

// The roles.
const (
	// Held: undecided, or decided but not yet to be acted on; hold commands.
	Held Role = iota
	// Paired: a member together with the other; serve under its lease.
	Paired
	// Alone: the only member; serve.
	Alone
	// Out: the other serves without this array, known for sure; fence.
	Out
)

// String returns the role's name.
func (r Role) String() string { return [...]string{"held", "paired", "alone", "out"}[r&3] }

// View is what the replication core and the front end need to know.
type View struct {
	Role    Role
	Lineage uint32
	Epoch   array.Epoch
	Members array.Members
	Opener  array.Side
	// Sealed: nothing of Epoch is accepted from the other array.
	Sealed bool
}
