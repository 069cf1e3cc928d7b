// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/qos"
	"github.com/perdure/perdure/internal/store"
)

// QoSRule says how much hosts may do to the volumes of a set, through both arrays together.
// It is part of the set, and so on both arrays.
type QoSRule struct {
	Enabled bool     `json:"enabled"`
	Rule    qos.Rule `json:"rule"`
}

const (
	// maxQoSRate and maxQoSBytes bound what can be meant, a second; maxQoSGoal a goal.
	maxQoSRate  = 1 << 31
	maxQoSBytes = 1 << 50
	maxQoSGoal  = 10 * time.Second
)

// check finds what can't be meant.
func (r QoSRule) check(set string) error {
	x := r.Rule
	for _, b := range []struct {
		option          string
		low, high, most int64
	}{{"-io", x.MinIOPS, x.MaxIOPS, maxQoSRate}, {"-bw", x.MinBytes, x.MaxBytes, maxQoSBytes}} {
		switch {
		case b.low < 0 || b.high < 0 || b.low > b.most || b.high > b.most:
			return array.Errorf(array.Range, "volume set %s: %s %d-%d: want numbers from 0 to %d", set, b.option, b.low, b.high, b.most)
		case b.high > 0 && b.low > b.high:
			return array.Errorf(array.Invalid, "volume set %s: %s: the minimum %d is above the limit %d", set, b.option, b.low, b.high)
		}
	}
	switch {
	case x.Goal < 0 || x.Goal > maxQoSGoal:
		return array.Errorf(array.Range, "volume set %s: -lt %v: want at most %v", set, x.Goal, maxQoSGoal)
	case x.Priority < qos.Low || x.Priority > qos.High:
		return array.Errorf(array.Invalid, "volume set %s: -pri %d: want low, normal or high", set, x.Priority)
	case x.MinIOPS+x.MaxIOPS+x.MinBytes+x.MaxBytes == 0 && x.Goal == 0:
		return array.Errorf(array.Invalid, "volume set %s: the rule limits nothing: want a limit or minimum of commands or of bytes a second, or a goal of latency", set)
	}
	return nil
}

// limiters are the rules that are carried out; guarded by limiting.
type limiters struct {
	engine qos.Engine
	bySet  map[string]*qos.Limiter
	rules  map[string]qos.Rule
	// volumes are those under each rule.
	volumes map[string][]volumeOf
	shares  shares
}

// volumeOf is a volume, and the group that it is in.
type volumeOf struct {
	id    array.VolumeID
	group array.GroupID
}

// limitVolumes makes the rules of the sets those of their volumes. A rule that did not
// change goes on where it stands.
func (n *Node) limitVolumes() error {
	n.limiting.Lock()
	defer n.limiting.Unlock()
	l := &n.limiters
	rules, members, volumes := map[string]qos.Rule{}, map[array.VolumeID][]string{}, map[string][]volumeOf{}
	if err := n.store.View(func(t *store.Tx) error {
		if err := tables.vvsets.Each(t, func(_ string, s VVSet) error {
			if s.QoS != nil && s.QoS.Enabled && !s.Removed {
				rules[s.Name] = s.QoS.Rule
			}
			return nil
		}); err != nil || len(rules) == 0 {
			return err
		}
		return tables.vvs.Each(t, func(_ string, v VV) error {
			members[v.ID] = v.Sets
			for _, name := range v.Sets {
				volumes[name] = append(volumes[name], volumeOf{v.ID, v.Group})
			}
			return nil
		})
	}); err != nil {
		return err
	}
	bySet := map[string]*qos.Limiter{}
	for name, rule := range rules {
		x := l.bySet[name]
		if x == nil {
			x = qos.NewLimiter(rule)
			if l.shares.contact {
				x.SetShare(boottime.Now(), qos.Floor) // until the arrays have told each other
			}
		} else if l.rules[name] != rule {
			x.Set(rule)
		}
		bySet[name] = x
	}
	limits := map[array.VolumeID][]*qos.Limiter{}
	for v, sets := range members {
		for _, name := range sets {
			if x := bySet[name]; x != nil {
				limits[v] = append(limits[v], x)
			}
		}
	}
	l.bySet, l.rules, l.volumes = bySet, rules, volumes
	l.shares.keep(bySet)
	l.engine.Use(limits)
	return nil
}

// watchGoals ends the rules' seconds.
func (n *Node) watchGoals(ctx context.Context) {
	for pause(ctx, time.Second) {
		n.limiting.Lock()
		all := slices.Collect(maps.Values(n.limiters.bySet))
		n.limiting.Unlock()
		if len(all) > 0 {
			qos.Second(all)
			n.shareLimits(ctx)
		}
	}
}

// QoSFact is a rule, and how it stands.
type QoSFact struct {
	Set string
	QoSRule
	// Arrays are this array, and the other one if it told of itself.
	Arrays []QoSOfArray
}

// QoSOfArray is how a rule stands on an array.
type QoSOfArray struct {
	Array string
	qos.Figures
	// Share is the part of the limits that the array may use.
	Share float64
}

// QoS returns the rules, by set.
func (n *Node) QoS() (all []QoSFact, err error) {
	n.limiting.Lock()
	defer n.limiting.Unlock()
	l := &n.limiters
	err = n.store.View(func(t *store.Tx) error {
		return tables.vvsets.Each(t, func(_ string, s VVSet) error {
			if s.QoS == nil || s.Removed {
				return nil
			}
			f := QoSFact{Set: s.Name, QoSRule: *s.QoS, Arrays: []QoSOfArray{{Array: n.cfg.Name, Share: 1}}}
			if x := l.bySet[s.Name]; x != nil {
				f.Arrays[0].Figures, f.Arrays[0].Share = x.Figures(), x.Share()
			}
			if o, told := l.shares.other[s.Name]; told && l.shares.contact {
				f.Arrays = append(f.Arrays, QoSOfArray{n.to().Name, o.Figures, o.Share})
			}
			all = append(all, f)
			return nil
		})
	})
	slices.SortFunc(all, func(a, b QoSFact) int { return cmp.Compare(a.Set, b.Set) })
	return all, err
}
