// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// How a copy comes to have the volumes that its source has.

// Ready implements far.Volumes.
func (c *farCopy) Ready(ctx context.Context, q far.Request) error {
	c.n.command.Lock()
	defer c.n.command.Unlock()
	r, g, k := c.running()
	if r == nil {
		if err := c.makeGroup(ctx, q); err != nil {
			return err
		}
		if r, g, k = c.running(); r == nil {
			return array.Errorf(array.Internal, "the copy of group %s was made and is not there", q.Name)
		}
	}
	if _, _, _, err := c.following(); err != nil {
		return err
	}
	if _, err := c.n.mayChange(g.ID); err != nil {
		return err
	}
	f := g.Far[k]
	own, stale := f.copies(), c.stale(r, g.Far[k], q)
	var fresh []VV
	for _, v := range q.Volumes {
		if id, ok := own[v.ID]; ok {
			if err := c.grow(ctx, r, id, v.Size); err != nil {
				return err
			}
			continue
		}
		x, err := c.newVolume(v, stale)
		if err != nil {
			return err
		}
		fresh = append(fresh, x)
	}
	if len(fresh) == 0 && slices.Equal(f.Systems, q.Systems) && f.Period == q.Period {
		return nil
	}
	return c.admit(ctx, r, k, q, fresh, stale)
}

// check says what would keep a copy from being made, and makes nothing.
func (c *farCopy) check(q far.Request) error {
	own, stale := map[array.VolumeID]array.VolumeID{}, map[string]VV{}
	if r, g, k := c.running(); r != nil {
		own, stale = g.Far[k].copies(), c.stale(r, g.Far[k], q)
	} else if _, err := c.freeName(q); err != nil {
		return err
	}
	for _, v := range q.Volumes {
		if _, ok := own[v.ID]; ok {
			continue
		}
		if _, err := c.newVolume(v, stale); err != nil {
			return err
		}
	}
	return nil
}

// stale are the copies of volumes that the source has no more, by their names. They go when the
// point is whole: until then it is the one before that counts.
func (c *farCopy) stale(r *running, f Far, q far.Request) map[string]VV {
	stale := map[string]VV{}
	for own, of := range f.Of {
		v, err := c.own(r, own)
		if err == nil && !slices.ContainsFunc(q.Volumes, func(x far.Volume) bool { return x.ID == of }) {
			stale[v.Name] = v
		}
	}
	return stale
}

// copies are the copies of the source's volumes.
func (f Far) copies() map[array.VolumeID]array.VolumeID {
	own := map[array.VolumeID]array.VolumeID{}
	for mine, of := range f.Of {
		own[of] = mine
	}
	return own
}

// freeName is what the group that a copy lives in is to be called.
func (c *farCopy) freeName(q far.Request) (string, error) {
	name := fmt.Sprintf("%s.r%d", q.Name, q.Systems[0])
	if !validName(name) {
		return "", array.Errorf(array.Invalid, "the copy's group would be called %.40q on array %s: %s", name, c.n.cfg.Name, nameWanted)
	}
	if _, err := c.n.findGroup(name); err == nil {
		return "", array.Errorf(array.Exists, "Remote Copy group %s exists on array %s: the copy would have its name", name, c.n.cfg.Name).Because(array.GroupExists)
	}
	return name, nil
}

// sensibleFar refuses what no source asks for.
func sensibleFar(q far.Request) error {
	if q.Period < minPeriod || q.Period > maxPeriod {
		return array.Errorf(array.Invalid, "a period of %d s: want %d to %d", q.Period, minPeriod, maxPeriod)
	}
	names, ids := map[string]bool{}, map[array.VolumeID]bool{}
	for _, v := range q.Volumes {
		if names[v.Name] || ids[v.ID] || v.ID == 0 {
			return array.Errorf(array.Invalid, "volume %.40q is there twice, or has the name there that another one has", v.Name)
		}
		names[v.Name], ids[v.ID] = true, true
	}
	return nil
}

// newVolume is the copy of one, without numbers yet. It may have the name of a stale one.
func (c *farCopy) newVolume(v far.Volume, stale map[string]VV) (VV, error) {
	x := VV{Name: v.Name, CPG: v.CPG, Size: v.Size}
	var like stored
	if len(v.Like) > 0 {
		if err := json.Unmarshal(v.Like, &like); err != nil {
			return x, array.Errorf(array.Invalid, "volume %.40q: how its pages are stored can't be read: %v", v.Name, err)
		}
	}
	if !slices.Contains([]volume.Provisioning{"", volume.Thin, volume.Full, volume.Dedup}, like.Provisioning) {
		return x, array.Errorf(array.Invalid, "volume %.40q: pages are stored as %.20q: want thin, full or dedup", v.Name, string(like.Provisioning))
	}
	if x.Provisioning, x.Compress = like.Provisioning, like.Compress; x.Provisioning == volume.Full {
		x.Provisioning = volume.Thin
	}
	if x.CPG == "" {
		x.CPG = c.n.cfg.CPGs[0].Name
	}
	switch {
	case !validName(x.Name):
		return x, array.Errorf(array.Invalid, "volume name %.40q: %s", v.Name, nameWanted)
	case c.n.cpgs[x.CPG] == nil:
		return x, c.n.noCPG(x.CPG)
	case v.Size <= 0 || v.Size > maxVVSize || v.Size%(1<<20) != 0:
		return x, array.Errorf(array.Invalid, "volume %s: %d bytes", x.Name, v.Size)
	}
	if o, _, err := c.n.vvShown(x.Name); err == nil && stale[x.Name].ID != o.ID {
		return x, array.Errorf(array.Exists, "volume %s exists on array %s and is another one: name that one otherwise with 'setvv -name', or give the copy another name when the target is admitted, as <volume>:<name>", x.Name, c.n.cfg.Name).Because(array.VolumeOnTarget)
	}
	return x, c.n.roomFor(x)
}

// grow makes a copy as large as its volume is. It never gets smaller, and neither does that.
func (c *farCopy) grow(ctx context.Context, r *running, id array.VolumeID, size int64) error {
	v, err := c.own(r, id)
	if err != nil || v.Size >= size {
		return err
	}
	if size > maxVVSize || size%(1<<20) != 0 {
		return array.Errorf(array.Invalid, "volume %s: %d bytes", v.Name, size)
	}
	if err := whileServed(func() error { return r.g.Grow(id, size) }); err != nil {
		return fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return c.n.changeDescription(ctx, r.rec.ID, func(t *store.Tx) error {
		v.Size = size
		return tables.vvs.Put(t, store.Key(uint64(id)), v)
	}, keepAsItWas)
}

// makeGroup makes the group that a copy lives in.
func (c *farCopy) makeGroup(ctx context.Context, q far.Request) error {
	n := c.n
	name, err := c.freeName(q)
	if err != nil {
		return err
	}
	g := RCGroup{
		Name: name, Home: n.cfg.SystemID, Version: 1, Change: nonce(), Founding: nonce(), Founder: n.side(),
		Policies: Policies{AutoFailover: true, PathManagement: true, AutoRecover: true, AutoSynchronize: true},
		Far:      []Far{{Systems: q.Systems, Remote: q.Name, ID: q.Group, Copy: true, Period: q.Period, Of: map[array.VolumeID]array.VolumeID{}}},
	}
	if err := n.found(ctx, &founding{d: Description{Group: g}}); err != nil {
		return fmt.Errorf("make group %s: %w", name, err)
	}
	n.event(fmt.Sprintf("group %s was made, a periodic copy of group %s of system %s", name, q.Name, systemList(q.Systems)))
	return nil
}

// admit adds volumes to a copy. Until the first point is whole they are being made nothing
// that there is.
func (c *farCopy) admit(ctx context.Context, r *running, k int, q far.Request, fresh []VV, stale map[string]VV) error {
	source := map[string]far.Volume{}
	for _, v := range q.Volumes {
		source[v.Name] = v
	}
	return c.n.changeDescription(ctx, r.rec.ID, func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(r.rec.ID)))
		if err != nil {
			return err
		}
		of, names := map[array.VolumeID]array.VolumeID{}, map[array.VolumeID]string{}
		maps.Copy(of, g.Far[k].Of)
		maps.Copy(names, g.Far[k].Names)
		for _, v := range fresh {
			if o, ok := stale[v.Name]; ok {
				o.Name = fmt.Sprintf("rcgoes.%d.%08x", c.n.VolumeNumber(o.ID), uint32(nonce()>>32))
				if err := tables.vvs.Put(t, store.Key(uint64(o.ID)), o); err != nil {
					return err
				}
			}
			id, err := c.n.nextID(t)
			if err != nil {
				return err
			}
			v.ID, v.Group = array.MakeVolumeID(c.n.cfg.SystemID, id), g.ID
			x := source[v.Name]
			if v.Taking, of[v.ID] = v.ID, x.ID; validName(x.Source) && x.Source != v.Name {
				names[v.ID] = x.Source
			}
			if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
				return err
			}
		}
		return groupsPut(t, g.withFar(k, func(f *Far) { f.Of, f.Names, f.Systems, f.Period = of, names, q.Systems, q.Period }))
	}, keepAsItWas)
}
