// SPDX-License-Identifier: Apache-2.0

package arbitration

// RuleSet is a set of rules to leave out. The zero value leaves out none; only
// the exhaustive search sets any, to see each missing rule caught.
type RuleSet uint32

// The rules that can be left out.
const (
	// WaitForLease: serve alone only once the other's lease has surely ended.
	WaitForLease RuleSet = 1 << iota
	// SealFirst: stop granting leases before deciding against the other.
	SealFirst
	// NameTheBase: vote only for successors of the very record held.
	NameTheBase
	// KeepPromise: refuse a ballot below the one promised.
	KeepPromise
	// TakeUpVotes: propose again what another may have decided.
	TakeUpVotes
	// OnlyThisIncarnation: the witness counts in the incarnation the record names.
	OnlyThisIncarnation
	// WitnessUpToDate: the witness counts only with the very record held.
	WitnessUpToDate
	// BarredWaits: a side that is barred in advance never decides.
	BarredWaits
	// GiveUpOnlySynced: the chosen side stays chosen until the other copy is whole.
	GiveUpOnlySynced
	// TwoOfThree: a majority record's successor needs a second vote.
	TwoOfThree
	// CompareFirst: serve and grant only after the record was compared with the
	// other array's since the contact began.
	CompareFirst
	// NewerWins: a newer decided record is adopted, and an older one never.
	NewerWins
	// StartAsGranted: after a start, behave as if a lease had just been granted.
	StartAsGranted
	// OnlyMembersPropose: an array that the record leaves out proposes nothing.
	OnlyMembersPropose
	// RememberVotes: a vote is durable before it is answered.
	RememberVotes
)

func (m *Machine) broken(r RuleSet) bool { return m.cfg.Without&r != 0 }
