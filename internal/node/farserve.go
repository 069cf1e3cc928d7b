// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/store"
)

// noCopy refuses to change a group that is a copy: only its source does.
func (n *Node) noCopy(id array.GroupID) error {
	r := n.running(id)
	if r == nil || r.rec.follows() < 0 {
		return nil
	}
	return n.changesWithSource(r.rec, r.rec.Far[r.rec.follows()])
}

// changesWithSource refuses what is for the source of a copy.
func (n *Node) changesWithSource(g RCGroup, f Far) error {
	return array.Errorf(array.Conflict, "group %s is a periodic copy of group %s of %s, and changes with it: 'setrcopygroup failover -f %s' lets it go on by itself", g.Name, f.Remote, n.farName(f), g.Name).Because(array.ServedElsewhere)
}

// farWork is how long a request of a source may take here.
const farWork = farAnswer

// serveFar answers what another pair or array asks of a copy here, or of its source.
func (n *Node) serveFar(from array.SystemID, q far.Request) far.Answer {
	ctx, cancel := context.WithTimeout(n.tasks.ctx, farWork)
	defer cancel()
	a, err := n.answerFar(ctx, from, q)
	if err != nil {
		return far.Failed(err)
	}
	return a
}

func (n *Node) answerFar(ctx context.Context, from array.SystemID, q far.Request) (a far.Answer, err error) {
	if q.Kind == far.Follow || q.Kind == far.Lead || q.Kind == far.Serves {
		return n.turnFar(ctx, from, q)
	}
	r, g, k := n.runningOf(q.Group)
	switch {
	case r == nil && (q.Kind == far.Drop || q.Kind == far.Leave):
		return a, n.unknownCopy(q.Group)
	case (q.Kind == far.Begin || q.Kind == far.Check) && !slices.Contains(q.Systems, from):
		return a, array.Errorf(array.Denied, "system %d asks for a copy in the name of %s", from, systemList(q.Systems))
	case r == nil && q.Kind == far.Look:
		return a, nil
	case r == nil && q.Kind != far.Begin && q.Kind != far.Check:
		return a, array.Errorf(array.NotFound, "array %s has no copy of the group", n.cfg.Name)
	case r != nil && !slices.Contains(g.Far[k].Systems, from):
		return a, array.Errorf(array.Denied, "system %d is not the source of group %s: that is %s", from, g.Name, systemList(g.Far[k].Systems))
	}
	if r != nil {
		if i, err := r.g.Info(); err == nil && !i.Serving && n.elsewhere(r) {
			return a, array.Errorf(array.Moved, "group %s is served by array %s", g.Name, n.to().Name).Because(array.ServedElsewhere)
		}
	}
	if q.Kind == far.Begin || q.Kind == far.Check {
		if err := sensibleFar(q); err != nil {
			return a, err
		}
	}
	if q.Kind == far.Check {
		return a, (&farCopy{n: n, from: q.Group}).check(q)
	}
	c, err := n.copyOf(q.Group)
	if err != nil {
		return a, err
	}
	if q.Kind != far.Leave && q.Kind != far.Drop { // what ends the copy is not ended with it
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		ctx = inner
	}
	switch q.Kind {
	case far.Look:
		a.Have, err = c.Have()
		return a, err
	case far.Begin:
		if a, err = c.Begin(ctx, q, nonce); err != nil {
			if r, _, _ := c.running(); r == nil {
				n.stopCopy(q.Group) // there is nothing to remember of it
			}
		} else {
			if _, g, k := c.running(); k >= 0 {
				a.Group, a.ID, a.Systems, a.Of = g.Name, g.ID, n.systems(), g.Far[k].Of
			}
		}
		return a, err
	case far.Sums:
		a.Lacks, err = c.Sums(ctx, q)
		return a, err
	case far.Pages:
		return a, c.Pages(ctx, q)
	case far.End:
		return a, c.End(ctx, q)
	case far.Drop:
		return a, c.drop()
	case far.Leave:
		return a, n.leaveCopy(ctx, q.Group)
	}
	return a, array.Errorf(array.Invalid, "a request of the kind %.20q", string(q.Kind))
}

// unknownCopy refuses what is said of a copy that is here and not open; of one that is not
// here, nothing is to be done.
func (n *Node) unknownCopy(from array.GroupID) error {
	return n.store.View(func(t *store.Tx) error {
		return tables.groups.Each(t, func(_ string, g RCGroup) error {
			if slices.ContainsFunc(g.Far, func(f Far) bool { return f.ID == from }) {
				return array.Errorf(array.Unavailable, "group %s is not open on array %s", g.Name, n.cfg.Name)
			}
			return nil
		})
	})
}

// drop removes the copy with its data: its source gave it up.
func (c *farCopy) drop() error {
	c.n.stopCopy(c.from)
	c.n.command.Lock()
	defer c.n.command.Unlock()
	r, g, k := c.running()
	switch {
	case r == nil:
		return nil
	case !g.Far[k].Copy:
		return array.Errorf(array.Conflict, "group %s on array %s has gone on by itself: 'dismissrcopyvv -f' there takes its volumes out, and 'removercopygroup -f' removes it", g.Name, c.n.cfg.Name).Because(array.Served)
	}
	if c.n.paired() {
		if err := c.n.dropOnOther(context.Background(), r); err != nil {
			return err
		}
	}
	if err := c.n.dropGroup(g.ID); err != nil {
		return err
	}
	c.n.event(fmt.Sprintf("group %s, a periodic copy of group %s, was removed by its source", g.Name, g.Far[k].Remote))
	return c.n.forgetPlaces(context.Background(), []mention{{kind: groupKind, name: g.Name}})
}

// askFar brings a request to the array that serves the other group.
func (n *Node) askFar(ctx context.Context, f Far, limit time.Duration, q far.Request) (a far.Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = array.Errorf(array.NotFound, "array %s has no target with the system id %s", n.cfg.Name, systemList(f.Systems)).Because(array.NoTarget)
	for _, t := range n.fars() {
		if !slices.Contains(f.Systems, t.SystemID) {
			continue
		}
		if !t.tie.Reachable() {
			err = array.Errorf(array.Unavailable, "target %s does not answer", t.Name).Because(array.TargetSilent)
			continue
		}
		if a, err = t.tie.Ask(ctx, q); array.ReasonOf(err) != array.ServedElsewhere {
			return a, err
		}
	}
	return a, err
}
