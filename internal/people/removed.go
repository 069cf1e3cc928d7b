// SPDX-License-Identifier: Apache-2.0

package people

import "github.com/perdure/perdure/internal/store"

// A change of a user may be on its way from the other array while he is removed here, and come when
// both know of that. So the names of those who were removed are remembered: only a user who is made
// anew has such a name again.

// maxRemoved bounds the names; the oldest go first.
const maxRemoved = 1024

// bury remembers that a user was removed.
func bury(t *store.Tx, name string) error {
	var first, last uint64
	oldest, count := "", 0
	if err := tables.removed.Each(t, func(name string, at uint64) error {
		if count++; oldest == "" || at < first {
			first, oldest = at, name
		}
		last = max(last, at)
		return nil
	}); err != nil {
		return err
	}
	if count >= maxRemoved {
		if err := tables.removed.Delete(t, oldest); err != nil {
			return err
		}
	}
	return tables.removed.Put(t, name, last+1)
}

// buried reports whether one who is told of as a user that this array knows was removed from it.
func (c UserChange) buried(t *store.Tx) (bool, error) {
	if c.Was == nil {
		return false, nil
	}
	_, was, err := tables.removed.Get(t, c.Name)
	return was, err
}
