// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

// Begin lets a group that has no volume in the pool be counted from place on, durably:
// all before it concerns other pools. A group that has one is left as it is.
func (p *Pool) Begin(id array.GroupID, place array.Place) error {
	p.single.Lock()
	defer p.single.Unlock()
	p.mu.Lock()
	known := p.groups[id]
	settled := known != nil && (known.destaged == place || known.state != steady)
	p.mu.Unlock()
	if settled || known != nil && len(p.members(id)) > 0 {
		return nil
	}
	err := p.db.Update(func(tx *bolt.Tx) error {
		return putJSON(tx, groupBucket, uint64(id), groupRecord{Destaged: place})
	})
	if err != nil {
		return fmt.Errorf("begin group %s at place %d: %w", id, place, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups[id] = &groupPlaces{destaged: place, applied: place}
	return nil
}

// Rewind takes a group back to a place, durably: what comes after it is applied again, or is
// of another order. It is for a group of which another pool stands there.
func (p *Pool) Rewind(id array.GroupID, place array.Place) error {
	p.single.Lock()
	defer p.single.Unlock()
	if p.state(id) != steady || p.Destaged(id) <= place {
		return nil
	}
	if err := p.setState(id, steady, place); err != nil {
		return fmt.Errorf("take group %s back to place %d: %w", id, place, err)
	}
	return nil
}

// Forget drops what is known of a group whose volumes are removed, durably.
func (p *Pool) Forget(id array.GroupID) error {
	if len(p.members(id)) > 0 {
		return fmt.Errorf("forget group %s: %w", id, array.Errorf(array.Conflict, "it has volumes"))
	}
	p.single.Lock()
	defer p.single.Unlock()
	key := binary.BigEndian.AppendUint64(nil, uint64(id))
	there := false
	err := p.db.View(func(tx *bolt.Tx) error {
		there = tx.Bucket([]byte(groupBucket)).Get(key) != nil
		return nil
	})
	if err == nil && there {
		err = p.db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(groupBucket)).Delete(key) })
	}
	if err != nil {
		return fmt.Errorf("forget group %s: %w", id, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.groups, id)
	return nil
}

// Holds reports whether the pool has a volume of the group.
func (p *Pool) Holds(id array.GroupID) bool { return len(p.members(id)) > 0 }
