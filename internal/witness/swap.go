// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/pki"
)

// A transaction is one request's swaps on their way to disk.
type transaction struct {
	registers, pairs *bbolt.Bucket
	caller           pki.Pin
	known            func(pki.Pin) bool
	perPair          int
	// removed is the highest version of the registers that were removed in this run.
	removed *uint64
	changed bool
}

// swap carries out one swap. An error means that the store can't be relied on;
// everything else is an outcome.
func (t *transaction) swap(s *Swap) (Outcome, error) {
	if err := s.check(); err != nil {
		return Outcome{Result: Invalid, Reason: err.Error()}, nil
	}
	now, err := load(t.registers, s.Key)
	switch {
	case err != nil:
		return Outcome{Result: Damaged, Reason: err.Error()}, nil
	case now == nil:
		return t.absent(s)
	case !now.owners.has(t.caller):
		return Outcome{Result: Denied, Reason: "the register belongs to other keys"}, nil
	case s.repeats(now):
		return Outcome{Result: OK, Version: now.version, Value: now.value}, nil
	case now.version != s.Version:
		return Outcome{Result: Conflict, Version: now.version, Value: now.value}, nil
	case s.Remove:
		return t.remove(s.Key, now)
	}
	return t.put(s.Key, &record{version: s.Version + 1, owners: now.owners, value: s.Value})
}

// repeats reports whether the register is what the swap would make it: its answer
// was lost, or the same change was made by the other owner.
func (s *Swap) repeats(now *record) bool {
	switch {
	case s.Remove || !bytes.Equal(now.value, s.Value):
		return false
	case s.Version == 0: // which version it began with, the swap does not say
		return now.owners == s.Owners.sorted()
	}
	return now.version == s.Version+1
}

// absent handles a swap of a register that does not exist.
func (t *transaction) absent(s *Swap) (Outcome, error) {
	switch {
	case s.Remove:
		return Outcome{Result: OK}, nil // a repeated removal
	case s.Version != 0:
		return Outcome{Result: Conflict}, nil
	case !s.Owners.has(t.caller):
		return Outcome{Result: Denied, Reason: "a register is created by one of its owners"}, nil
	case s.Owners[0] == s.Owners[1] || s.Owners[0].IsZero() || s.Owners[1].IsZero():
		return Outcome{Result: Invalid, Reason: "a register has two different owners"}, nil
	}
	for _, o := range s.Owners {
		if !t.known(o) {
			return Outcome{Result: Denied, Reason: fmt.Sprintf("owner %v is no client of this witness", o)}, nil
		}
	}
	owners := s.Owners.sorted()
	n := countOf(t.pairs.Get(pairKey(owners)))
	if n >= t.perPair {
		return Outcome{Result: Full, Reason: fmt.Sprintf("these owners have %d registers already", n)}, nil
	}
	if err := t.count(owners, n+1); err != nil {
		return Outcome{}, err
	}
	return t.put(s.Key, &record{version: *t.removed + 1, owners: owners, value: s.Value})
}

func (t *transaction) remove(key string, now *record) (Outcome, error) {
	t.changed = true
	*t.removed = max(*t.removed, now.version)
	if err := t.registers.Delete([]byte(key)); err != nil {
		return Outcome{}, fmt.Errorf("remove register %s: %w", key, err)
	}
	n := countOf(t.pairs.Get(pairKey(now.owners)))
	return Outcome{Result: OK}, t.count(now.owners, max(n-1, 0))
}

func (t *transaction) put(key string, r *record) (Outcome, error) {
	t.changed = true
	if err := t.registers.Put([]byte(key), r.encode(key)); err != nil {
		return Outcome{}, fmt.Errorf("store register %s: %w", key, err)
	}
	return Outcome{Result: OK, Version: r.version, Value: r.value}, nil
}

func (t *transaction) count(o Owners, n int) error {
	if err := t.pairs.Put(pairKey(o), binary.LittleEndian.AppendUint32(nil, uint32(n))); err != nil {
		return fmt.Errorf("count registers: %w", err)
	}
	return nil
}
