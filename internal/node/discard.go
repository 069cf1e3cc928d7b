// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// described is describe with the membership record, for the other array.
func (n *Node) described(id array.GroupID) (Description, error) {
	d, err := n.describe(id)
	if err != nil {
		return d, err
	}
	r := n.running(id)
	if r == nil {
		return d, array.Errorf(array.NotFound, "group %s is not open", d.Group.Name)
	}
	i, err := r.g.Info()
	d.Record = arb.Stored{Current: i.Record}.Marshal()
	if i.Serving {
		d.Group = d.Group.servedAt(array.Position{Epoch: i.View.Epoch, Term: i.End.Term})
	}
	return d, err
}

// give answers the other array's question for a group.
func (n *Node) give(id array.GroupID) (string, error) {
	if !n.command.TryLock() { // it may be changing it, or making it this array's alone
		return "", array.Errorf(array.Busy, "array %s carries a command out", n.cfg.Name)
	}
	defer n.command.Unlock()
	d, err := n.described(id)
	if err == nil && d.Group.Private {
		err = array.Errorf(array.Conflict, "volume %s is on array %s alone: its group is no other array's any more", d.Group.Name, n.cfg.Name)
	}
	if err != nil {
		return "", err
	}
	n.tellAgain(id) // it may fail with what it is given, after it gave up what it had
	b, err := json.Marshal(d)
	return string(b), err
}

// describeAnew makes a group's description a newer one than that which the other array is asked to drop,
// and returns which that is: the newest that it can have been told.
func (n *Node) describeAnew(id array.GroupID) (was edition, err error) {
	at, err := n.mayChange(id)
	if err != nil {
		return was, err
	}
	if err := n.store.Update(func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil {
			return err
		}
		was = g.servedAt(at).edition()
		return groupsPut(t, g.changed(at))
	}); err != nil {
		return was, err
	}
	d, err := n.described(id)
	if err != nil {
		return was, err
	}
	return was, n.apply(d, nil)
}

// beginWith stores the other array's record of a group of which nothing is here; what was promised for
// the successor of the same record still binds. A record by which this array would serve alone, or is a
// member at all, is refused: it has no data. A group begins on one array, which takes the other in when
// that has all; and one that lost its half is left out first.
func (n *Node) beginWith(d Description) error {
	st, err := arb.ParseStored(d.Record)
	if err != nil {
		return array.Errorf(array.Invalid, "the description of group %s lacks its record: %v", d.Group.Name, err)
	}
	begin := arb.Stored{Current: st.Current}
	k := keep{n.store}
	had, err := k.Get(d.Group.ID, "membership")
	if err != nil {
		return err
	}
	if had != nil {
		if begin, err = arb.ParseStored(had); err != nil {
			return fmt.Errorf("read the record that was kept of group %s: %w", d.Group.Name, err)
		}
		begin = begin.Learned(st.Current)
	}
	if r := begin.Current; r.DecidedBy(n.side()) || r.Members.Has(n.side()) {
		return array.Errorf(array.Conflict, "group %s is recorded as %v, but array %s has nothing of it", d.Group.Name, r, n.cfg.Name)
	}
	return k.Put(d.Group.ID, "membership", begin.Marshal())
}

// givenWithin is how long a discard waits for a moment in which the other array carries no command out.
const givenWithin = 10 * time.Second

// givenAlone asks for the other array's description of a group, and, if there is no error, holds taking
// from before that on: nothing newer is taken up meanwhile. It does not hold it while it waits: the
// command that the other array carries out may ask for it.
func (n *Node) givenAlone(ctx context.Context, id array.GroupID) (string, error) {
	for end := time.Now().Add(givenWithin); ; {
		n.taking.Lock()
		text, err := n.ask(ctx, request{Give: id})
		if err == nil {
			return text, nil
		}
		n.taking.Unlock()
		if array.KindOf(err) != array.Busy || time.Now().After(end) || !pause(ctx, 20*time.Millisecond) {
			return "", err
		}
	}
}

// discard gives up this array's copy of a group after a person made the arrays go
// different ways, and takes the other array's from the beginning. What only this
// copy held is lost with it.
func (n *Node) discard(ctx context.Context, r *running) error {
	i, err := r.g.Info()
	switch {
	case err != nil:
		return err
	case !i.Contact:
		return array.Errorf(array.Unavailable, "group %s: the other array does not answer, so there is nothing to take the copy from", r.rec.Name)
	case i.Serving:
		return array.Errorf(array.Conflict, "group %s is served here: discard the copy of the array that does not serve", r.rec.Name)
	}
	text, err := n.givenAlone(ctx, r.rec.ID)
	if err != nil {
		return err
	}
	defer n.taking.Unlock()
	var d Description
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return fmt.Errorf("read the other array's description of group %s: %w", r.rec.Name, err)
	}
	st, err := arb.ParseStored(d.Record)
	switch {
	case err != nil:
		return fmt.Errorf("read the other array's record of group %s: %w", r.rec.Name, err)
	case st.Current.Members != array.Only(n.side().Other()):
		return array.Errorf(array.Conflict, "group %s: the other array holds %v, so this copy is not to be given up", r.rec.Name, st.Current)
	}
	id := r.rec.ID
	mine, err := n.describe(id)
	if err != nil {
		return err
	}
	if err := n.unneeded(mine.VVs); err != nil {
		return err
	}
	n.event(fmt.Sprintf("group %s: the copy of array %s is given up; it was %v, and becomes %v", r.rec.Name, n.cfg.Name, i.Record, st.Current))
	n.closeGroup(id)
	// From here on, whatever fails, this array is out and serves nothing.
	k := keep{n.store}
	if err := k.Put(id, "membership", arb.Stored{Current: st.Current}.Marshal()); err != nil {
		return err
	}
	if err := n.dropGroup(id); err != nil {
		return err
	}
	return n.takeUp(d, nil)
}
