// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// An array counts what it creates. The count is lost with its disks, and what it created
// may live on at the other array: numbers that come back in a description are passed, and
// a description is refused that has one which was given anew meanwhile. One number for two
// things would end in the removal of the wrong one.

// nextID returns a number that this array has not given to anything that is known here.
func (n *Node) nextID(t *store.Tx) (uint32, error) {
	c, _, err := tables.count.Get(t, "ids")
	if err != nil {
		return 0, err
	}
	for {
		if c >= array.MaxCount {
			return 0, array.Errorf(array.Full, "this array has made %d objects, and gives no more numbers", c)
		}
		c++
		switch used, err := n.numberUsed(t, uint32(c)); {
		case err != nil:
			return 0, err
		case !used:
			return uint32(c), tables.count.Put(t, "ids", c)
		}
	}
}

// numberUsed reports whether something has this array's number.
func (n *Node) numberUsed(t *store.Tx, c uint32) (bool, error) {
	_, group, err := tables.groups.Get(t, store.Key(uint64(array.MakeGroupID(n.cfg.SystemID, c))))
	if err != nil || group {
		return group, err
	}
	_, vv, err := tables.vvs.Get(t, store.Key(uint64(array.MakeVolumeID(n.cfg.SystemID, c))))
	return vv, err
}

// passNumbers sees to it that this array gives no number that a description has.
func (n *Node) passNumbers(d Description) error {
	var most uint64
	pass := func(id uint64) {
		if own := id >> 32; own == uint64(n.cfg.SystemID) && uint32(id) <= array.MaxCount {
			most = max(most, uint64(uint32(id)))
		}
	}
	pass(uint64(d.Group.ID))
	for _, v := range d.VVs {
		pass(uint64(v.ID))
	}
	for _, v := range d.Group.allGone() {
		pass(uint64(v))
	}
	passed := false
	if err := n.store.View(func(t *store.Tx) error {
		c, _, err := tables.count.Get(t, "ids")
		passed = most <= c
		return err
	}); err != nil || passed {
		return err
	}
	return n.store.Update(func(t *store.Tx) error {
		c, _, err := tables.count.Get(t, "ids")
		if err != nil {
			return err
		}
		return tables.count.Put(t, "ids", max(c, most))
	})
}

// checkNumbers refuses a description whose group or volumes have numbers that this array
// has given to others.
func (n *Node) checkNumbers(t *store.Tx, d Description) error {
	again := func(what, name, mine string) error {
		return array.Errorf(array.Conflict, "%s %s of the other array has the number that array %s gave to %s when its disks were new: remove %s here first", what, name, n.cfg.Name, mine, mine)
	}
	g, known, err := tables.groups.Get(t, store.Key(uint64(d.Group.ID)))
	if err != nil {
		return err
	}
	if known && g.Private != d.Group.Private {
		return again("group", d.Group.Name, "volume "+g.Name)
	}
	for _, v := range d.VVs {
		o, known, err := tables.vvs.Get(t, store.Key(uint64(v.ID)))
		if err != nil {
			return err
		}
		if known && o.Group != d.Group.ID {
			return again("volume", v.Name, "volume "+o.Name)
		}
	}
	return nil
}
