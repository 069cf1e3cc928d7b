// SPDX-License-Identifier: Apache-2.0

package arbitration

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// Rule says who decides the successor of a record.
type Rule uint8

// The rules.
const (
	// Sole: the one member alone.
	Sole Rule = iota
	// Majority: two of the arrays and the witness.
	Majority
	// ChosenA: array A alone; B is barred (pre-election).
	ChosenA
	// ChosenB: array B alone; A is barred.
	ChosenB
)

// Chosen returns the rule by which side s alone decides.
func Chosen(s array.Side) Rule { return ChosenA + Rule(s) }

// String returns the rule in words.
func (r Rule) String() string {
	switch r {
	case Sole:
		return "sole member decides"
	case Majority:
		return "two of three decide"
	case ChosenA:
		return "A chosen in advance"
	case ChosenB:
		return "B chosen in advance"
	}
	return fmt.Sprintf("rule %d", uint8(r))
}

// Record is one membership of a group: a link of its chain. It is immutable.
type Record struct {
	// ID is drawn at random for each proposed record; 0 is no record.
	ID uint64
	// Base is the ID of the record this one replaces.
	Base uint64
	// Lineage is 0 until a person forces the group; each force makes a new one,
	// different on the two sides.
	Lineage uint32
	// Seq numbers the records of the chain.
	Seq uint64
	// Epoch grows with every change of Members, and only then.
	Epoch array.Epoch
	// Members are the sides whose copy is current, or, for the barred side of a
	// record by a chosen side, on its way to be.
	Members array.Members
	// Opener owns the group at the start of the epoch.
	Opener array.Side
	// Rule says who decides the successor.
	Rule Rule
	// Incarnation is, by Majority, that of the witness that counts; 0 is none.
	Incarnation uint64
	// Proposer is the side that proposed the record.
	Proposer array.Side
}

// Valid reports whether r obeys the representation rules; records from the
// other array, the witness or the disk are checked before use.
func (r Record) Valid() bool {
	if r.ID == 0 || !r.Members.Valid() || r.Rule > ChosenB || r.Opener > 1 || r.Proposer > 1 || !r.Members.Has(r.Opener) {
		return false
	}
	if (r.Members == array.Both) == (r.Rule == Sole) {
		return false
	}
	return r.Rule == Majority || r.Incarnation == 0
}

// newerThan reports whether r comes after q in the chain of one lineage, or is
// of a later lineage.
func (r Record) newerThan(q Record) bool {
	if r.Lineage != q.Lineage {
		return r.Lineage > q.Lineage
	}
	return r.Seq > q.Seq
}

// DecidedBy reports whether side s alone decides the successor of r.
func (r Record) DecidedBy(s array.Side) bool {
	return r.Rule == Chosen(s) || r.Rule == Sole && r.Members.Has(s)
}

// String returns the record in one line.
func (r Record) String() string {
	return fmt.Sprintf("#%d.%d %v epoch %d, %v", r.Lineage, r.Seq, r.Members, r.Epoch, r.Rule)
}

// First returns the record that founds a group on side s alone. id is random.
func First(s array.Side, id uint64) Record {
	return Record{ID: id, Seq: 1, Epoch: 1, Members: array.Only(s), Opener: s, Rule: Sole, Proposer: s}
}

// Ballot numbers a proposer's attempts: the counter times two, plus the side.
// 0 is none.
type Ballot uint32

// next returns the smallest ballot of side s above b.
func (b Ballot) next(s array.Side) Ballot { return (b/2+1)*2 + Ballot(s) }

// Vote is an accepted proposal: the record, and the ballot it was accepted at.
type Vote struct {
	Ballot Ballot
	Record Record
}

// Stored is what an array keeps durably for one group.
type Stored struct {
	// Current is the newest record known to be decided.
	Current Record
	// Promised is the highest ballot promised for the successor of Current.
	Promised Ballot
	// Accepted is the vote given for the successor of Current; Ballot 0 is none.
	Accepted Vote
}

// Register is the value of the witness's register: the witness's memory as an
// acceptor, written by whoever swaps it.
type Register struct {
	// Base is the newest decided record the witness was told of.
	Base Record
	// Promised and Accepted are as in Stored, for the successor of Base.
	Promised Ballot
	Accepted Vote
}
