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
	began        time.Time
	stop         context.CancelFunc
	ended        chan struct{}
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
		return tables.vvs.With(t, byWatch, watchCopy, func(_ string, v VV) error { due = append(due, v); return nil })
	})
	due = slices.DeleteFunc(due, func(v VV) bool { return !n.serves(v.Group) })
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
	if c.runs[v.ID] != nil || len(c.runs) >= copiesAtOnce {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	r := &copyRun{name: v.Name, parent: v.Copy.Name, began: time.Now(), stop: stop, ended: make(chan struct{})}
	c.runs[v.ID] = r
	n.wg.Go(func() {
		defer close(r.ended)
		err := n.copyStep(ctx, v.ID, r)
		stopped := ctx.Err() != nil
		stop()
		c.mu.Lock()
		delete(c.runs, v.ID)
		text := ""
		if err != nil {
			text = err.Error()
		}
		news := c.told[v.ID] != text
		c.told[v.ID] = text
		c.tried[v.ID]++
		if text == "" {
			delete(c.told, v.ID)
			delete(c.tried, v.ID)
		}
		c.mu.Unlock()
		switch {
		case err != nil && !stopped && news:
			n.event(fmt.Sprintf("the copy of %s to volume %s waits: %v", v.Copy.Name, v.Name, err))
		case err == nil:
			c.wake()
		}
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
		if !a.view().has(vvKind, r.name) {
			continue
		}
		a.printf("copy\t%s\tfrom %s, %d percent of %d MiB, %s\n", r.name, r.parent, r.percent(), r.size.Load()>>20, rateText(r.done.Load(), time.Since(r.began)))
	}
}

func rateText(bytes int64, in time.Duration) string {
	return fmt.Sprintf("%.1f MiB/s", float64(bytes)/(1<<20)/max(in.Seconds(), 1e-3))
}
