// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// allocEvery is how often it is looked at how much is allocated.
const allocEvery = time.Second

// allocs are the warnings and limits that were told of.
type allocs struct {
	turn  sync.Mutex
	above map[string]bool
}

// watchAllocation tells people, and hosts, of warnings and limits that are passed.
func (n *Node) watchAllocation(ctx context.Context) {
	for pause(ctx, allocEvery) {
		n.lookAtAllocation()
	}
}

// threshold is one of them.
type threshold struct {
	name string // unique
	// severity is how much it matters: beyond a limit writes are refused.
	severity event.Severity
	is, at   int64  // bytes
	above    string // what people are told above, and below again
	below    string
	tellsTo  []*group.Unit // whose hosts are told above
}

// lookAtAllocation tells what was passed since it was called last.
func (n *Node) lookAtAllocation() {
	a := &n.allocs
	a.turn.Lock()
	defer a.turn.Unlock()
	now := map[string]bool{}
	all, err := n.thresholds()
	if err != nil {
		n.event("look at what is allocated: " + err.Error())
		return
	}
	for _, t := range all {
		is, c := t.is >= t.at, event.Condition{Kind: kindAllocation, Object: t.name}
		now[t.name] = is
		switch was := a.above[t.name]; {
		case is && !was:
			n.raise(c, t.severity, t.above)
			for _, u := range t.tellsTo {
				u.ThresholdCrossed()
			}
		case !is:
			n.over(c, t.below)
		}
	}
	for _, x := range n.alerts.All() { // what is set no more
		if _, is := now[x.Object]; x.Kind == kindAllocation && !is {
			n.over(x.Condition, "there is no such threshold any more: "+x.Text)
		}
	}
	a.above = now
}

// thresholds returns all that are set.
func (n *Node) thresholds() (all []threshold, err error) {
	for name, p := range n.cpgs {
		l, err := n.limitsOf(name)
		if err != nil {
			return nil, err
		}
		c := p.Capacity()
		is := c.Used + c.Reserved
		if l.Warn > 0 {
			all = append(all, threshold{
				"cpg warn " + name, event.Minor, is, l.Warn, fmt.Sprintf("CPG %s passed its warning: %d MiB are allocated, the warning is at %d", name, is>>20, l.Warn>>20),
				fmt.Sprintf("CPG %s is below its warning of %d MiB again", name, l.Warn>>20), n.thinUnits(name),
			})
		}
		if l.Limit > 0 {
			all = append(all, threshold{
				"cpg limit " + name, event.Major, is, volume.Reached(l.Limit), fmt.Sprintf("CPG %s reached its limit: %d MiB are allocated, the limit is %d; it takes little or nothing new", name, is>>20, l.Limit>>20),
				fmt.Sprintf("CPG %s is below its limit of %d MiB again", name, l.Limit>>20), n.thinUnits(name),
			})
		}
	}
	return append(all, n.volumeThresholds()...), nil
}

func (n *Node) volumeThresholds() (all []threshold) {
	var vvs []VV
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchAlloc, func(_ string, v VV) error { vvs = append(vvs, v); return nil })
	}); err != nil {
		n.event("look at what volumes take: " + err.Error())
	}
	for _, v := range vvs {
		u, p := n.unitOf(v.Group, v.ID), n.cpgs[v.CPG]
		if u == nil || p == nil || p.Volume(v.ID) == nil {
			continue
		}
		is := p.Volume(v.ID).Used().Stored
		if v.AllocWarn > 0 {
			all = append(all, threshold{
				"vv warn " + v.ID.String(), event.Minor, is, v.Size / 100 * int64(v.AllocWarn),
				fmt.Sprintf("volume %s passed its allocation warning of %d percent: %d of %d MiB are allocated", v.Name, v.AllocWarn, is>>20, v.Size>>20),
				fmt.Sprintf("volume %s is below its allocation warning of %d percent again", v.Name, v.AllocWarn),
				[]*group.Unit{u},
			})
		}
		if v.AllocLimit > 0 {
			all = append(all, threshold{
				"vv limit " + v.ID.String(), event.Major, is, volume.Reached(v.mayTake()),
				fmt.Sprintf("volume %s reached its allocation limit of %d percent: %d of %d MiB are allocated, and new writes are refused", v.Name, v.AllocLimit, is>>20, v.Size>>20),
				fmt.Sprintf("volume %s is below its allocation limit of %d percent again", v.Name, v.AllocLimit),
				[]*group.Unit{u},
			})
		}
	}
	return all
}

// unitOf returns the open unit of a volume, or nil.
func (n *Node) unitOf(g array.GroupID, id array.VolumeID) *group.Unit {
	if r := n.running(g); r != nil {
		return r.units[id]
	}
	return nil
}

// openUnit is unitOf for one that has to be open.
func (n *Node) openUnit(v VV) (*group.Unit, error) {
	if u := n.unitOf(v.Group, v.ID); u != nil {
		return u, nil
	}
	return nil, array.Errorf(array.Unavailable, "volume %s is not open", v.Name)
}
