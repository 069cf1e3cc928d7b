// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// copiesAtOnce is how many physical copies one array carries out at a time, as the
// incumbent; others wait.
const copiesAtOnce = 2

// copiesOpen is how many there may be with those that wait until they may end.
const copiesOpen = 64

// copies are the physical copies under way on this array.
type copies struct {
	kick chan struct{}
	mu   sync.Mutex
	runs map[array.VolumeID]*copyRun
	told map[array.VolumeID]string // why those don't go on
	// tried counts the times that those were tried which don't go on: others come first.
	tried map[array.VolumeID]int
}

// copyRun is one of them.
type copyRun struct {
	name, parent string
	done, size   atomic.Int64
	// waits: it has all, and waits until it may end.
	waits atomic.Bool
	began time.Time
	stop  context.CancelFunc
	ended chan struct{}
}

func (c *copies) init() {
	c.kick = make(chan struct{}, 1)
	c.runs, c.told, c.tried = map[array.VolumeID]*copyRun{}, map[array.VolumeID]string{}, map[array.VolumeID]int{}
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

// source is the name of what a volume is made a copy of.
func (v VV) source() string {
	if v.Joins != nil {
		return v.Joins.Name
	}
	if v.Stays != nil {
		return v.Stays.Name
	}
	return v.Copy.Name
}

// why is what keeps a copy from going on, empty if nothing does.
func (c *copies) why(id array.VolumeID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told[id]
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
		if err := n.reopenHeld(); err != nil {
			n.eventOnce("open what is held no more: " + err.Error())
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
		return tables.vvs.With(t, byWatch, watchCopy, func(_ string, v VV) error { due = append(due, v); return nil })
	})
	due = slices.DeleteFunc(due, func(v VV) bool {
		if v.Leaves && v.Copy.State == "" && v.Joins == nil {
			_, here, err := n.stayingOf(v)
			return here || err != nil || !n.serves(v.Group)
		}
		return !n.serves(v.Group)
	})
	n.copies.mu.Lock()
	defer n.copies.mu.Unlock()
	slices.SortStableFunc(due, func(a, b VV) int { return n.copies.tried[a.ID] - n.copies.tried[b.ID] })
	return due, err
}

// serves reports whether a group is served here.
func (n *Node) serves(id array.GroupID) bool {
	i, err := n.infoOf(id)
	return err == nil && i.Serving
}

// startCopy carries a copy out beside others, unless it is under way or it isn't its
// turn.
func (n *Node) startCopy(ctx context.Context, v VV) {
	c := &n.copies
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs[v.ID] != nil || c.busy() >= copiesAtOnce || len(c.runs) >= copiesOpen {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	r := &copyRun{name: v.Name, parent: v.source(), began: time.Now(), stop: stop, ended: make(chan struct{})}
	c.runs[v.ID] = r
	n.wg.Go(func() {
		defer close(r.ended)
		err := n.copyStep(ctx, v.ID, r)
		stopped := ctx.Err() != nil
		stop()
		c.mu.Lock()
		delete(c.runs, v.ID)
		c.tried[v.ID]++
		if err == nil {
			delete(c.tried, v.ID)
		}
		c.mu.Unlock()
		switch {
		case err == nil:
			n.copyWaits(v, nil)
			c.wake()
		case !stopped:
			n.copyWaits(v, err)
		}
	})
}

// copyWaits says what keeps a copy from going on, once; nothing does if err is nil.
func (n *Node) copyWaits(v VV, err error) {
	c, text := &n.copies, ""
	if err != nil {
		text = err.Error()
	}
	c.mu.Lock()
	news := text != "" && c.told[v.ID] != text
	if c.told[v.ID] = text; text == "" {
		delete(c.told, v.ID)
	}
	c.mu.Unlock()
	if news {
		n.event(fmt.Sprintf("the copy of %s to volume %s waits: %v", v.source(), v.Name, err))
	}
}

// busy is how many copies are under way, without those that wait for something else.
func (c *copies) busy() (count int) {
	for _, r := range c.runs {
		if !r.waits.Load() {
			count++
		}
	}
	return count
}

// copyState is the incumbent's word for how a copy stands.
func (n *Node) copyState(v VV) string {
	switch {
	case v.Joins != nil || v.Stays != nil:
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
		if !a.view().has(vvKind, r.name) {
			continue
		}
		a.printf("copy\t%s\tfrom %s, %d percent of %d MiB, %s\n", r.name, r.parent, r.percent(), r.size.Load()>>20, rateText(r.done.Load(), time.Since(r.began)))
	}
}

func rateText(bytes int64, in time.Duration) string {
	return fmt.Sprintf("%.1f MiB/s", float64(bytes)/(1<<20)/max(in.Seconds(), 1e-3))
}
