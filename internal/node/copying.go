// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// A physical copy is carried out by the array that serves the group of the volume that
// is written. All that says how far it is, is in that volume's description: after a
// restart, and after another array serves the group, it goes on by itself.

// copyStep is how far a physical copy is.
type copyStep string

const (
	// copyRuns: the volume holds part of the copy. Taking is the snapshot, once there is
	// one.
	copyRuns copyStep = "copying"
	// copyEnds: nothing more is written; the snapshot made for the copy is to go.
	copyEnds copyStep = "ending"
	// copyFailed: the volume holds part of a copy that nobody goes on with.
	copyFailed copyStep = "failed"
)

// Copying is a physical copy, as the description of the volume that is written has it.
type Copying struct {
	State copyStep `json:"state"`
	// Parent is what is copied, Name its name.
	Parent array.VolumeID `json:"parent"`
	Name   string         `json:"name"`
	// Snapshot is the name of the snapshot that is made for it, empty if Parent is one.
	// It stays with Keep, if the copy is whole.
	Snapshot string `json:"snapshot,omitempty"`
	Keep     bool   `json:"keep,omitempty"`
	// Why is what kept the copy from being whole.
	Why string `json:"why,omitempty"`
}

// underWay reports whether something is still to be done.
func (c Copying) underWay() bool { return c.State == copyRuns || c.State == copyEnds }

// partial reports whether the volume is neither what it was nor the copy.
func (c Copying) partial() bool {
	return c.State == copyRuns || c.State == copyFailed || c.State == copyEnds && c.Why != ""
}

// passing reports whether an error of a copy will be over some time.
func passing(err error) bool {
	if errors.As(err, new(unanswered)) || errors.Is(err, context.Canceled) {
		return true
	}
	switch array.KindOf(err) {
	case array.Busy, array.Standby, array.Unavailable, array.Moved, array.Aborted, array.Conflict, array.Unknown:
		return true
	}
	return false
}

// copyStep takes a copy as far as it goes. An error is one that will pass.
func (n *Node) copyStep(ctx context.Context, id array.VolumeID, r *copyRun) error {
	v, err := n.vvOf(id)
	if err != nil {
		return err
	}
	switch {
	case v.Joins != nil:
		return n.joinStep(ctx, v, r)
	case v.Stays != nil:
		return n.stayStep(ctx, v, r)
	case v.Leaves:
		return n.leftStep(ctx, v)
	}
	if v.Copy.State == copyRuns {
		err := n.copyPages(ctx, v, r)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && passing(err) {
			return err
		}
		if v, err = n.endCopy(context.WithoutCancel(ctx), v, err); err != nil {
			return err
		}
	}
	if v.Copy.State == copyEnds {
		return n.dropCopySnapshot(context.WithoutCancel(ctx), v)
	}
	return nil
}

func (n *Node) vvOf(id array.VolumeID) (v VV, err error) {
	err = n.store.View(func(t *store.Tx) error {
		var ok bool
		v, ok, err = tables.vvs.Get(t, store.Key(uint64(id)))
		if err == nil && !ok {
			err = array.Errorf(array.NotFound, "volume %v does not exist", id)
		}
		return err
	})
	return v, err
}

// copyPages makes the volume what its parent is.
func (n *Node) copyPages(ctx context.Context, v VV, r *copyRun) error {
	sv, err := n.copySource(ctx, v)
	if err != nil {
		return err
	}
	to, err := n.openUnit(v)
	if err != nil {
		return err
	}
	p := n.cpgs[sv.CPG]
	from := p.Volume(sv.ID)
	if from == nil {
		return array.Errorf(array.NotFound, "snapshot %s is not on array %s", sv.Name, n.cfg.Name)
	}
	r.size.Store(from.Spec().Size)
	return writer{n, p, from, to}.whole(ctx, func(bytes int64) { r.done.Add(bytes) })
}

// madeWithin is how long a snapshot that was made by the other array may take until it
// is here.
const madeWithin = 10 * time.Second

// copySource returns the snapshot that is copied. It makes one of the parent, wherever
// that is served, if it has to.
func (n *Node) copySource(ctx context.Context, v VV) (sv VV, err error) {
	if v.Taking != 0 {
		sv, err = n.vvOf(v.Taking)
		return sv, n.notHere(v, err)
	}
	if _, _, err = n.vv(v.Copy.Snapshot); array.KindOf(err) == array.NotFound {
		parent, err := n.vvOf(v.Copy.Parent)
		if err != nil {
			return VV{}, n.notHere(v, err)
		}
		if _, err := n.Do(ctx, n.part("createsv", "-ro", v.Copy.Snapshot, parent.Name)); err != nil {
			return VV{}, err
		}
	}
	if sv, _, err = n.vv(v.Copy.Snapshot); err != nil {
		return VV{}, err
	}
	for end := time.Now().Add(madeWithin); n.awaits(sv); {
		if time.Now().After(end) {
			return VV{}, array.Errorf(array.NotFound, "snapshot %s is not on array %s, which has no current copy of %s", sv.Name, n.cfg.Name, v.Copy.Name)
		}
		if !pause(ctx, 20*time.Millisecond) {
			return VV{}, ctx.Err()
		}
	}
	return sv, n.setCopy(ctx, v, func(v *VV) error {
		if v.Copy.State != copyRuns {
			return array.Errorf(array.Conflict, "the copy to volume %s was ended", v.Name)
		}
		v.Taking = sv.ID
		return nil
	})
}

// notHere turns the error that what is to be copied does not exist. If another array than
// the one that began serves the volume now, it may be that array's alone.
func (n *Node) notHere(v VV, err error) error {
	if array.KindOf(err) != array.NotFound || !n.shares(v.Group) {
		return err
	}
	return array.Errorf(array.Unavailable, "%s is not on array %s: switch the group over to the other one, or 'createvvcopy -halt %s'", v.Copy.Name, n.cfg.Name, v.Name)
}

// shares reports whether a group is the other array's, too.
func (n *Node) shares(id array.GroupID) bool { return n.runningShared(id) != nil }

// setCopy changes what is said of a copy, on both arrays.
func (n *Node) setCopy(ctx context.Context, v VV, f func(*VV) error) error {
	n.command.Lock()
	defer n.command.Unlock()
	return n.changeVV(ctx, v, f)
}

// changeVV changes what is said of a volume, on both arrays. A command runs.
func (n *Node) changeVV(ctx context.Context, v VV, f func(*VV) error) error {
	return n.changeGroup(ctx, v.Group, func(t *store.Tx) error {
		now, ok, err := tables.vvs.Get(t, store.Key(uint64(v.ID)))
		if err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "volume %s does not exist", v.Name).Because(array.NoVolume))
		}
		if err := f(&now); err != nil {
			return err
		}
		return tables.vvs.Put(t, store.Key(uint64(v.ID)), now)
	})
}

// endCopy says that nothing more is written, and why if the copy is not whole.
func (n *Node) endCopy(ctx context.Context, v VV, why error) (VV, error) {
	var now VV
	err := n.setCopy(ctx, v, func(v *VV) error {
		if v.Copy.State == copyRuns { // else a person ended it
			v.endCopy(why)
		}
		now = *v
		return nil
	})
	if err == nil && why == nil && now.Copy.Why == "" {
		n.event(fmt.Sprintf("volume %s is a copy of %s", v.Name, v.Copy.Name))
	} else if err == nil {
		n.alarm(fmt.Sprintf("volume %s is no whole copy of %s: %s", v.Name, v.Copy.Name, now.Copy.Why))
	}
	return now, err
}

func (v *VV) endCopy(why error) {
	v.Copy.State, v.Taking = copyEnds, 0
	if why != nil {
		v.Copy.Why = why.Error()
	}
}

// dropCopySnapshot removes the snapshot that was made for a copy, and then what is said
// of the copy.
func (n *Node) dropCopySnapshot(ctx context.Context, v VV) error {
	c := v.Copy
	if c.Snapshot != "" && (!c.Keep || c.Why != "") {
		if err := n.removeSnapshot(ctx, c.Snapshot, n.shares(v.Group)); err != nil {
			return err
		}
	}
	return n.setCopy(ctx, v, func(v *VV) error {
		switch {
		case v.Copy.State != copyEnds:
		case v.Copy.Why != "":
			v.Copy.State = copyFailed
		default:
			v.Copy = Copying{}
		}
		return nil
	})
}

// removeSnapshot removes a snapshot that may be gone already, or be of a volume that only
// the other array has.
func (n *Node) removeSnapshot(ctx context.Context, name string, orThere bool) error {
	words := []string{"removevv", "-f", name}
	_, err := n.Do(ctx, n.part(words...))
	if array.KindOf(err) == array.NotFound && orThere && n.other() != nil {
		if !n.reachable() {
			n.event(fmt.Sprintf("snapshot %s is not here; if it is on array %s, which does not answer, it stays there", name, n.to().Name))
			return nil
		}
		_, err = n.askWithin(ctx, commandWithin, request{Command: words})
	}
	if array.KindOf(err) == array.NotFound {
		return nil
	}
	return err
}
