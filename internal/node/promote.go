// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// promoteSV writes back what was written since a snapshot, as any host's writes: in the
// group's order, on both arrays. Until that is done the volume is neither what it was
// nor what it will be, and says so in its description, over restarts too.
func promoteSV(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(1, 1); err != nil {
		return err
	}
	sv, g, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	if sv.Of == 0 {
		return array.Errorf(array.Invalid, "%s is not a read-only snapshot", sv.Name)
	}
	if n.awaits(sv) {
		return array.Errorf(array.NotFound, "snapshot %s is not on array %s", sv.Name, n.cfg.Name)
	}
	n.mu.RLock()
	r := n.groups[g.ID]
	n.mu.RUnlock()
	if r == nil || r.units[sv.Of] == nil {
		return array.Errorf(array.Unavailable, "the volume of snapshot %s is not open", sv.Name)
	}
	v, err := n.setTaking(ctx, g.ID, sv.Of, sv)
	if err != nil {
		return err
	}
	from, to := n.cpgs[v.CPG].Volume(sv.ID), r.units[v.ID]
	a.then = func(ctx context.Context) error {
		written, err := n.writeBack(ctx, n.cpgs[v.CPG], from, to)
		if err != nil {
			return fmt.Errorf("volume %s is not what snapshot %s is yet, promote it again: %w", v.Name, sv.Name, err)
		}
		n.command.Lock()
		defer n.command.Unlock()
		if _, err := n.setTaking(ctx, g.ID, v.ID, VV{}); err != nil {
			return err
		}
		a.printf("%d pages of volume %s were written back from snapshot %s\n", written, v.Name, sv.Name)
		return nil
	}
	return nil
}

// setTaking makes it durable, on both arrays, that a volume is being made what a
// snapshot is, or with none that it is whole.
func (n *Node) setTaking(ctx context.Context, id array.GroupID, of array.VolumeID, from VV) (v VV, err error) {
	err = n.changeGroup(ctx, id, func(t *store.Tx) error {
		var ok bool
		v, ok, err = tables.vvs.Get(t, store.Key(uint64(of)))
		if err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "the volume of snapshot %s does not exist", from.Name))
		}
		if from.ID != 0 && v.Taking != 0 && v.Taking != from.ID {
			return array.Errorf(array.Conflict, "volume %s is being made another snapshot's content: promote that one again", v.Name)
		}
		if from.ID != 0 {
			if err := notExported(t, v); err != nil {
				return err
			}
		}
		v.Taking = from.ID
		return tables.vvs.Put(t, store.Key(uint64(of)), v)
	})
	return v, err
}

func notExported(t *store.Tx, v VV) error {
	return tables.vluns.Each(t, func(_ string, l VLUN) error {
		if l.Volume == v.ID {
			return array.Errorf(array.Conflict, "volume %s is exported: remove its VLUNs first", v.Name)
		}
		return nil
	})
}

// writesAtOnce is how many pages are under way when a volume is written back.
const writesAtOnce = 32

// writeBack writes the pages of from that may differ to its volume, and returns how many.
func (n *Node) writeBack(ctx context.Context, p *volume.Pool, from *volume.Volume, to *group.Unit) (written int64, err error) {
	results := make(chan error, writesAtOnce)
	flying := 0
	wait := func(until int) {
		for ; flying > until; flying-- {
			if e := <-results; err == nil {
				err = e
			}
		}
	}
	e := p.Differ(from.Spec().ID, to.Identity().Volume, 0, func(page int64) bool {
		wait(writesAtOnce - 1)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return false
		}
		if err = n.writePage(ctx, from, to, page, results); err == nil {
			flying++
			written++
		}
		return err == nil
	})
	wait(0)
	return written, orElse(err, e)
}

// writePage writes one page as it is in a snapshot. The result follows unless there is
// an error.
func (n *Node) writePage(ctx context.Context, from *volume.Volume, to *group.Unit, page int64, result chan<- error) error {
	off := page * block.Page
	length := min(block.Page, from.Spec().Size-off)
	if length <= 0 {
		m := scsi.Mutation{Kind: scsi.Unmap, Offset: off, Length: min(block.Page, to.Size()-off)} // it was shorter
		to.Mutate(n.ownOp(to), m, func(err error) { result <- err })
		return nil
	}
	b, err := n.pool.Wait(ctx, int(length))
	if err != nil {
		return err
	}
	if err := from.Read(b.Bytes(), off); err != nil {
		b.Release()
		return err
	}
	m := scsi.Mutation{Kind: scsi.Write, Offset: off, Length: length, Data: b}
	to.Mutate(n.ownOp(to), m, func(err error) {
		b.Release()
		result <- err
	})
	return nil
}

// ownOp is a command of the array's own.
func (n *Node) ownOp(u *group.Unit) *scsi.Op {
	return &scsi.Op{ID: n.ops.Add(1) | 1<<63, Arrived: boottime.Now(), Generation: u.Reservations().Revision}
}
