// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	"github.com/perdure/perdure/internal/store"
)

// A person stops a group, and each of its arrays remembers that; starts it again, and waits until
// the other array has what was written.

// groupTo is the group that a command names last, and whether its option -t names an array outside
// the pair.
func (n *Node) groupTo(a *args, target *string) (r *running, outside bool, err error) {
	if err := a.parse(1, 1); err != nil {
		return nil, false, err
	}
	if r, err = n.findGroup(a.rest[0]); err == nil {
		outside, err = n.toOutside(a, r, *target)
	}
	return r, outside, err
}

func startRCGroup(n *Node, ctx context.Context, a *args) error {
	wait := a.flags.Bool("wait", false, "")
	target := a.flags.String("t", "", "")
	r, outside, err := n.groupTo(a, target)
	if err != nil {
		return err
	}
	if outside {
		if err := n.stopFar(ctx, r, *target, false); err != nil || !*wait {
			return err
		}
		return n.waitFar(a, r, *target)
	}
	if err := n.resume(ctx, r); err != nil {
		return err
	}
	if *wait {
		a.waits("remote_copy_sync", r.rec.Name, n.synced(a, r))
	}
	return nil
}

// synced waits until the other array has what was written until now.
func (n *Node) synced(a *args, r *running) func(context.Context) error {
	return func(ctx context.Context) error {
		if i, err := r.g.Info(); err == nil && i.Stopped && i.Rival == "" {
			return r.stopped()
		}
		for end := time.Now().Add(answersIn); n.paired() && !n.reachable(); {
			if time.Now().After(end) {
				return r.otherAway()
			}
			if !pause(ctx, 20*time.Millisecond) {
				return ctx.Err()
			}
		}
		if r.rec.Period > 0 {
			return n.syncPeriodTelling(ctx, r, a.tell)
		}
		return waitSyncedTelling(ctx, r, a.tell)
	}
}

// resume lets the other array follow again, and remembers it.
func (n *Node) resume(ctx context.Context, r *running) error {
	if err := n.noCopy(r.rec.ID); err != nil {
		return err
	}
	if _, err := n.mayChange(r.rec.ID); err != nil {
		return err
	}
	if i, err := r.g.Info(); err != nil {
		return err
	} else if i.Rival != "" {
		return r.rivals(i)
	}
	if err := n.setStopped(ctx, r, false); err != nil {
		return err
	}
	return r.g.SetStopped(false)
}

// setStopped makes it durable whether a person stopped the group, so that a restart
// of an array doesn't start it again.
func (n *Node) setStopped(ctx context.Context, r *running, stopped bool) error {
	if now := n.running(r.rec.ID); now != nil && now.rec.Stopped == stopped {
		return nil
	}
	return n.changeGroup(ctx, r.rec.ID, func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(r.rec.ID)))
		if err != nil {
			return err
		}
		g.Stopped = stopped
		return groupsPut(t, g)
	})
}

func stopRCGroup(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	target := a.flags.String("t", "", "")
	r, outside, err := n.groupTo(a, target)
	if err != nil {
		return err
	}
	if outside {
		if err := sure("stoprcopygroup -t %s sends no more points of group %s there", *target, r.rec.Name); err != nil {
			return err
		}
		return n.stopFar(ctx, r, *target, true)
	}
	if err := sure("stoprcopygroup leaves group %s with one current copy", r.rec.Name); err != nil {
		return err
	}
	if err := whileServed(r.g.Stop); err != nil {
		return err
	}
	return n.setStopped(ctx, r, true)
}

func syncRCGroup(n *Node, ctx context.Context, a *args) error {
	wait := a.flags.Bool("w", false, "")
	target := a.flags.String("t", "", "")
	r, outside, err := n.groupTo(a, target)
	if err != nil {
		return err
	}
	if outside {
		if *wait {
			return n.waitFar(a, r, *target)
		}
		return n.askPoint(r, *target)
	}
	if err := n.mayStart(r.rec.ID); err != nil {
		return err
	}
	if err := n.resume(ctx, r); err != nil {
		return err
	}
	if r.rec.Period > 0 && !*wait {
		_, err := r.g.SyncNow()
		return err
	}
	a.waits("remote_copy_sync", r.rec.Name, n.synced(a, r))
	return nil
}
