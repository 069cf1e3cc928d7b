// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// sameArray holds the configuration against what the data were made with. An array whose
// id changed would take another's place: in names of volumes, in membership records, at
// the witness. So would one whose target's id puts it on the other side of the pair.
func (n *Node) sameArray() error {
	return n.store.Update(func(t *store.Tx) error {
		id, known, err := tables.count.Get(t, "system_id")
		if err != nil {
			return err
		}
		if known && array.SystemID(id) != n.cfg.SystemID {
			return array.Errorf(array.Conflict, "system_id is %d, and the data in %s are those of system_id %d: an array's id never changes", n.cfg.SystemID, n.cfg.DataDir, id)
		}
		if err := tables.count.Put(t, "system_id", uint64(n.cfg.SystemID)); err != nil || !n.paired() {
			return err
		}
		side, known, err := tables.count.Get(t, "side")
		if err != nil {
			return err
		}
		if known && array.Side(side) != n.side() {
			return array.Errorf(array.Conflict, "target.system_id is %d, which makes this array side %v of the pair, and its groups were made with side %v: the target's id must be on the same side of %d as before",
				n.to().SystemID, n.side(), array.Side(side), n.cfg.SystemID)
		}
		return tables.count.Put(t, "side", uint64(n.side()))
	})
}
