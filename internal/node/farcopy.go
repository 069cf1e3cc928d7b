// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/scsi"
)

// A group that is a copy of one elsewhere is a group like others, with a log of its own, mirrored
// if its array is one of a pair. Nobody but its source writes to it: no host sees its volumes,
// which are marked as being made what the snapshots of the last point are, and no command
// changes them. So a person can make it go on from that point at any time.

// farCopies are the copies on this array that pages come for, by their sources' group.
type farCopies struct {
	mu  sync.Mutex
	all map[array.GroupID]*farCopy
}

// farCopy is a group as its source's requests find it.
type farCopy struct {
	n    *Node
	from array.GroupID // the source's group
	*far.Copy
	// ctx is that of its requests; end ends them.
	ctx context.Context
	end context.CancelFunc
}

// maxFarCopies bounds them.
const maxFarCopies = 1024

// copyOf returns the copy of a source's group, for its requests.
func (n *Node) copyOf(from array.GroupID) (*farCopy, error) {
	x := &n.farCopies
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.all[from]; c != nil {
		return c, nil
	}
	if len(x.all) >= maxFarCopies {
		return nil, array.Errorf(array.Full, "array %s has copies of %d groups, the most there may be", n.cfg.Name, maxFarCopies)
	}
	if x.all == nil {
		x.all = map[array.GroupID]*farCopy{}
	}
	c := &farCopy{n: n, from: from}
	c.ctx, c.end = context.WithCancel(n.tasks.ctx)
	c.Copy = far.NewCopy(c, time.Now)
	x.all[from] = c
	return c, nil
}

// stopCopy ends what pages of a source come here; none comes after that unless another run
// is begun. Whoever calls it meanwhile waits for it, too.
func (n *Node) stopCopy(from array.GroupID) {
	n.farCopies.mu.Lock()
	c := n.farCopies.all[from]
	n.farCopies.mu.Unlock()
	if c == nil {
		return
	}
	c.end()
	c.Stop()
	n.farCopies.mu.Lock()
	defer n.farCopies.mu.Unlock()
	if n.farCopies.all[from] == c {
		delete(n.farCopies.all, from)
	}
}

// running returns the copy's group, nil if there is none yet, with the index of its relation.
func (c *farCopy) running() (*running, RCGroup, int) { return c.n.runningOf(c.from) }

func (n *Node) runningOf(from array.GroupID) (*running, RCGroup, int) {
	for _, r := range n.related() {
		if k := slices.IndexFunc(r.rec.Far, func(f Far) bool { return f.ID == from && from != 0 }); k >= 0 {
			return &r, r.rec, k
		}
	}
	return nil, RCGroup{}, -1
}

// following is running where there must be a group that follows.
func (c *farCopy) following() (*running, Far, int, error) {
	r, g, k := c.running()
	switch {
	case r == nil:
		return nil, Far{}, 0, array.Errorf(array.NotFound, "array %s has no copy of the group", c.n.cfg.Name)
	case !g.Far[k].Copy:
		return nil, Far{}, 0, array.Errorf(array.Conflict, "group %s on array %s has gone on by itself", g.Name, c.n.cfg.Name).Because(array.Served)
	}
	return r, g.Far[k], k, nil
}

// Have implements far.Volumes.
func (c *farCopy) Have() (uint64, error) {
	_, f, _, err := c.following()
	return f.Done.tag(), err
}

// Size implements far.Volumes.
func (c *farCopy) Size(of array.VolumeID) (int64, error) {
	v, err := c.volume(of)
	return v.Size, err
}

// volume returns the copy of a source's volume.
func (c *farCopy) volume(of array.VolumeID) (VV, error) {
	r, f, _, err := c.following()
	if err != nil {
		return VV{}, err
	}
	for own, source := range f.Of {
		if source == of {
			return c.own(r, own)
		}
	}
	return VV{}, array.Errorf(array.NotFound, "group %s has no copy of volume %v", r.rec.Name, of)
}

// own is a volume of the copy's group. What is written, and where, is the word of another array:
// nothing leads out of the group.
func (c *farCopy) own(r *running, id array.VolumeID) (VV, error) {
	v, err := c.n.vvOf(id)
	if err == nil && (v.Group != r.rec.ID || v.Of != 0) {
		err = array.Errorf(array.Denied, "volume %s is not in group %s", v.Name, r.rec.Name)
	}
	return v, err
}

func (c *farCopy) unit(of array.VolumeID) (*group.Unit, error) {
	v, err := c.volume(of)
	if err != nil {
		return nil, err
	}
	return c.n.openUnit(v)
}

// Write implements far.Volumes.
func (c *farCopy) Write(ctx context.Context, of array.VolumeID, off, length int64, data []byte) error {
	u, err := c.unit(of)
	if err != nil {
		return err
	}
	w := writer{n: c.n, to: u}
	if data == nil {
		return w.zero(ctx, off, length)
	}
	b, err := c.n.pool.Wait(ctx, len(data))
	if err != nil {
		return err
	}
	defer b.Release()
	copy(b.Bytes(), data)
	return w.mutate(ctx, scsi.Mutation{Kind: scsi.Write, Offset: off, Length: length, Data: b})
}

// Read implements far.Volumes.
func (c *farCopy) Read(ctx context.Context, of array.VolumeID, page int64, dst []byte) error {
	u, err := c.unit(of)
	if err != nil {
		return err
	}
	clear(dst)
	off := page * block.Page
	if off >= u.Size() {
		return nil
	}
	return patiently(ctx, func(done func(error)) { u.Read(c.n.ownOp(u), off, dst[:min(block.Page, u.Size()-off)], done) })
}

// Empty implements far.Volumes.
func (c *farCopy) Empty(ctx context.Context, of array.VolumeID, off, length int64) error {
	u, err := c.unit(of)
	if err != nil {
		return err
	}
	return writer{n: c.n, to: u}.empty(ctx, off, length)
}

// Back implements far.Volumes.
func (c *farCopy) Back(ctx context.Context) error {
	r, f, _, err := c.following()
	if err != nil {
		return err
	}
	d, err := c.n.describe(r.rec.ID)
	if err != nil {
		return err
	}
	point := d.pointOf(f.Done)
	for _, v := range d.volumes() {
		u, err := c.n.openUnit(v)
		if err != nil {
			return err
		}
		snap, kept := point[v.ID]
		if !kept {
			if err := (writer{n: c.n, to: u}).empty(ctx, 0, u.Size()); err != nil {
				return fmt.Errorf("volume %s: %w", v.Name, err)
			}
			continue
		}
		if err := c.n.backTo(ctx, u, snap); err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
	}
	return nil
}

// backTo makes a volume what a snapshot of it is.
func (n *Node) backTo(ctx context.Context, u *group.Unit, snap VV) error {
	p := n.cpgs[snap.CPG]
	if p == nil || p.Volume(snap.ID) == nil {
		return array.Errorf(array.NotFound, "snapshot %s is not on array %s", snap.Name, n.cfg.Name)
	}
	_, err := writer{n, p, p.Volume(snap.ID), u}.differences(ctx, func(int64) {})
	return err
}

// noteOf is a transfer with when it is to be believed: a change of the array that serves, or of
// how, may have brought other pages.
type noteOf struct {
	far.Transfer
	Epoch array.Epoch `json:"epoch"`
	Term  array.Term  `json:"term"`
}

const factFar = "far"

// servedIn is what a note is believed in: an array without a pair knows of all pages.
func (c *farCopy) servedIn(r *running) (at array.Position, err error) {
	if !c.n.paired() {
		return at, nil
	}
	i, err := r.g.Info()
	return array.Position{Epoch: i.View.Epoch, Term: i.End.Term}, err
}

// Note implements far.Volumes.
func (c *farCopy) Note(t far.Transfer) error {
	r, _, _, err := c.following()
	if err != nil {
		return err
	}
	at, err := c.servedIn(r)
	if err != nil {
		return err
	}
	b, err := json.Marshal(noteOf{t, at.Epoch, at.Term})
	if err != nil {
		return fmt.Errorf("note a transfer: %w", err)
	}
	return keep{c.n.store}.Put(r.rec.ID, factFar, b)
}

// Noted implements far.Volumes.
func (c *farCopy) Noted() (t far.Transfer, err error) {
	r, _, _, err := c.following()
	if err != nil {
		return t, err
	}
	at, err := c.servedIn(r)
	if err != nil {
		return t, err
	}
	b, err := keep{c.n.store}.Get(r.rec.ID, factFar)
	if err != nil || b == nil {
		return t, err
	}
	var x noteOf
	if err := json.Unmarshal(b, &x); err != nil || x.Epoch != at.Epoch || x.Term != at.Term {
		return t, nil // nobody's any more
	}
	return x.Transfer, nil
}
