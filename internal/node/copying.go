// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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

// copiesAtOnce is how many physical copies one array carries out at a time, as the
// incumbent; others wait.
const copiesAtOnce = 2

// copies are the physical copies under way on this array.
type copies struct {
	kick chan struct{}
	mu   sync.Mutex
	runs map[array.VolumeID]*copyRun
	told map[array.VolumeID]string // why those don't go on
}

// copyRun is one of them.
type copyRun struct {
	name, parent string
	done, size   atomic.Int64
	began        time.Time
	stop         context.CancelFunc
	ended        chan struct{}
}

func (c *copies) init() {
	c.kick = make(chan struct{}, 1)
	c.runs, c.told = map[array.VolumeID]*copyRun{}, map[array.VolumeID]string{}
}

func (c *copies) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *copies) run(id array.VolumeID) *copyRun {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runs[id]
}

// percent is how much of a copy is there; what is written again after an interruption
// counts again.
func (r *copyRun) percent() int64 {
	if size := r.size.Load(); size > 0 {
		return r.done.Load() * 100 / size
	}
	return 0
}

// copyEvery is how often copies are looked for that are to go on here.
const copyEvery = time.Second

// watchCopies carries out the copies to volumes that are served here.
func (n *Node) watchCopies(ctx context.Context) {
	t := time.NewTicker(copyEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-n.copies.kick:
		}
		due, err := n.copiesDue()
		if err != nil {
			n.event("look for physical copies: " + err.Error())
		}
		for _, v := range due {
			n.startCopy(ctx, v)
		}
	}
}

// copiesDue returns the volumes that are served here and are to become copies.
func (n *Node) copiesDue() (due []VV, err error) {
	err = n.store.View(func(t *store.Tx) error {
		return tables.vvs.Each(t, func(_ string, v VV) error {
			if v.Copy.underWay() && n.serves(v.Group) {
				due = append(due, v)
			}
			return nil
		})
	})
	return due, err
}

// serves reports whether a group is served here.
func (n *Node) serves(id array.GroupID) bool {
	n.mu.RLock()
	r := n.groups[id]
	n.mu.RUnlock()
	if r == nil {
		return false
	}
	i, err := r.g.Info()
	return err == nil && i.Serving
}

// startCopy carries a copy out beside others, unless it is under way or it isn't its
// turn.
func (n *Node) startCopy(ctx context.Context, v VV) {
	c := &n.copies
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs[v.ID] != nil || len(c.runs) >= copiesAtOnce {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	r := &copyRun{name: v.Name, parent: v.Copy.Name, began: time.Now(), stop: stop, ended: make(chan struct{})}
	c.runs[v.ID] = r
	n.wg.Go(func() {
		defer close(r.ended)
		err := n.copyStep(ctx, v.ID, r)
		stop()
		c.mu.Lock()
		delete(c.runs, v.ID)
		text := ""
		if err != nil {
			text = err.Error()
		}
		news := c.told[v.ID] != text
		if c.told[v.ID] = text; text == "" {
			delete(c.told, v.ID)
		}
		c.mu.Unlock()
		switch {
		case err != nil && ctx.Err() == nil && news:
			n.event(fmt.Sprintf("the copy of %s to volume %s waits: %v", v.Copy.Name, v.Name, err))
		case err == nil:
			c.wake()
		}
	})
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
	to := n.unitOf(v.Group, v.ID)
	if to == nil {
		return array.Errorf(array.Unavailable, "volume %s is not open", v.Name)
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
		return n.vvOf(v.Taking)
	}
	if _, _, err = n.vv(v.Copy.Snapshot); array.KindOf(err) == array.NotFound {
		parent, err := n.vvOf(v.Copy.Parent)
		if err != nil {
			return VV{}, fmt.Errorf("%s, which was to be copied: %w", v.Copy.Name, err)
		}
		if _, err := n.Run(ctx, []string{"createsv", "-ro", v.Copy.Snapshot, parent.Name}); err != nil {
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
			return orElse(err, array.Errorf(array.NotFound, "volume %s does not exist", v.Name))
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
		n.event(fmt.Sprintf("volume %s is no whole copy of %s: %s", v.Name, v.Copy.Name, now.Copy.Why))
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
		if _, err := n.Run(ctx, []string{"removevv", "-f", c.Snapshot}); err != nil && array.KindOf(err) != array.NotFound {
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

// copyState is the incumbent's word for how a copy stands.
func (n *Node) copyState(v VV) string {
	switch {
	case v.Copy.State == copyFailed || v.Copy.Why != "":
		return "copyfailed"
	case v.Copy.State == copyEnds:
		return "normal"
	}
	if r := n.copies.run(v.ID); r != nil {
		return fmt.Sprintf("copying(%d%%)", r.percent())
	}
	return "copying"
}

// copiesStatus tells of the copies under way here.
func (n *Node) copiesStatus(a *args) {
	n.copies.mu.Lock()
	defer n.copies.mu.Unlock()
	for _, r := range n.copies.runs {
		a.printf("copy\t%s\tfrom %s, %d percent of %d MiB, %s\n", r.name, r.parent, r.percent(), r.size.Load()>>20, rateText(r.done.Load(), time.Since(r.began)))
	}
}

func rateText(bytes int64, in time.Duration) string {
	return fmt.Sprintf("%.1f MiB/s", float64(bytes)/(1<<20)/max(in.Seconds(), 1e-3))
}
