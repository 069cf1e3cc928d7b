// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/qos"
)

// Both arrays may serve volumes that are under one rule, and its limits are for both
// together. Once a second the array of side A tells the other one which share it may use. No
// command of a host waits for that.

// ruleShare is what an array tells of a rule: how it stands there, and the share that the
// other array may use, or the most that its own commands still use.
type ruleShare struct {
	Set     string      `json:"set"`
	Share   float64     `json:"share"`
	Mine    float64     `json:"mine"`
	Need    qos.Need    `json:"need"`
	Figures qos.Figures `json:"figures"`
}

// shareOffers are in order: one that was overtaken counts for nothing.
type shareOffers struct {
	Start uint64      `json:"start"`
	Turn  uint64      `json:"turn"`
	Rules []ruleShare `json:"rules"`
}

// newer reports whether s was made after o.
func (s shareOffers) newer(o shareOffers) bool {
	return cmp.Or(cmp.Compare(s.Start, o.Start), cmp.Compare(s.Turn, o.Turn)) > 0
}

const (
	// sharesAtOnce is how many rules one message has, shareWithin how long an answer may
	// take.
	sharesAtOnce = 256
	shareWithin  = time.Second
)

// shares is how the limits are divided; guarded by limiting.
type shares struct {
	// contact: this array has the other's lease, so that the other may serve too.
	contact bool
	divide  map[string]*qos.Divider
	follow  map[string]*qos.Follower
	turn    uint64
	taken   shareOffers // the newest, without its rules
	other   map[string]otherShare
}

// otherShare is how a rule stands on the other array, by its word.
type otherShare struct {
	qos.Figures
	Share float64
}

// keep forgets rules that there are no more.
func (s *shares) keep(rules map[string]*qos.Limiter) {
	for name := range s.divide {
		if rules[name] == nil {
			delete(s.divide, name)
		}
	}
	for name := range s.follow {
		if rules[name] == nil {
			delete(s.follow, name)
		}
	}
	for name := range s.other {
		if rules[name] == nil {
			delete(s.other, name)
		}
	}
}

// begin begins or ends a contact. An array has all when there is nobody to share with, and
// what it has until the first turn of a contact.
func (s *shares) begin(contact bool, now time.Time, rules map[string]*qos.Limiter) {
	if contact == s.contact {
		return
	}
	*s = shares{contact: contact, turn: s.turn, divide: map[string]*qos.Divider{}, follow: map[string]*qos.Follower{}, other: map[string]otherShare{}}
	if contact {
		return
	}
	for _, x := range rules {
		x.SetShare(now, 1)
	}
}

// otherMayServe reports whether the other array may serve beside this one.
func (n *Node) otherMayServe() bool {
	p := n.other()
	if p == nil {
		return false
	}
	contact, _, _ := p.Standing()
	return contact
}

// shareLimits divides the limits anew, or looks whether what this array was told still
// holds.
func (n *Node) shareLimits(ctx context.Context) {
	contact := n.otherMayServe()
	n.limiting.Lock()
	l, now := &n.limiters, boottime.Now()
	l.shares.begin(contact, now, l.bySet)
	var offers []ruleShare
	for name, x := range l.bySet {
		switch {
		case !contact:
		case n.side() == array.SideA:
			if l.shares.divide[name] == nil {
				l.shares.divide[name] = &qos.Divider{}
			}
			need := n.need(name)
			o := ruleShare{Set: name, Share: l.shares.divide[name].Offer(now, x, need), Need: need, Figures: x.Figures()}
			o.Mine = x.Share()
			offers = append(offers, o)
		default:
			n.following(name).Tick(now, x)
		}
	}
	n.limiting.Unlock()
	for some := range slices.Chunk(offers, sharesAtOnce) {
		n.offerShares(ctx, some)
	}
}

// need is what this array's hosts want of a rule. limiting is held.
func (n *Node) need(set string) qos.Need {
	l := &n.limiters
	n.mu.RLock()
	defer n.mu.RUnlock()
	serves := slices.ContainsFunc(l.volumes[set], func(v volumeOf) bool {
		r := n.groups[v.group]
		return r != nil && r.g.MayServe()
	})
	return qos.NeedOf(l.rules[set], l.bySet[set].Figures(), serves)
}

// following returns this array's part for a rule that the other one divides. limiting is
// held.
func (n *Node) following(set string) *qos.Follower {
	s := &n.limiters.shares
	if s.follow[set] == nil {
		s.follow[set] = &qos.Follower{}
	}
	return s.follow[set]
}

// offerShares tells the other array, and takes its answer.
func (n *Node) offerShares(ctx context.Context, offers []ruleShare) {
	n.limiting.Lock()
	n.limiters.shares.turn++
	q := shareOffers{Start: n.start.Count, Turn: n.limiters.shares.turn, Rules: offers}
	n.limiting.Unlock()
	r, err := n.answered(ctx, shareWithin, request{Shares: &q})
	if err != nil {
		return // it uses no more than it was offered before, and soon less
	}
	n.limiting.Lock()
	defer n.limiting.Unlock()
	l, now := &n.limiters, boottime.Now()
	answers := map[string]ruleShare{}
	for _, x := range r.Shares {
		answers[x.Set] = x
	}
	for _, o := range offers {
		d, limit := l.shares.divide[o.Set], l.bySet[o.Set]
		if d == nil || limit == nil {
			continue
		}
		x, knows := answers[o.Set]
		if !knows || x.Mine == 0 {
			// It does not know the rule, or is of an earlier version: it does not share.
			d.Answered(now, limit, 0, qos.Need{Serves: true})
			continue
		}
		d.Answered(now, limit, x.Share, x.Need)
		l.shares.other[o.Set] = otherShare{x.Figures, x.Mine}
	}
}

// takeShares takes what the other array offers. The answer has the same rules in the same
// order.
func (n *Node) takeShares(q shareOffers) (all []ruleShare, err error) {
	if len(q.Rules) > sharesAtOnce {
		return nil, array.Errorf(array.Invalid, "the other array divides the limits of %d rules at once, want at most %d", len(q.Rules), sharesAtOnce)
	}
	contact := n.otherMayServe()
	n.limiting.Lock()
	defer n.limiting.Unlock()
	l, now := &n.limiters, boottime.Now()
	l.shares.begin(contact, now, l.bySet)
	if !contact || n.side() != array.SideB || !q.newer(l.shares.taken) {
		return nil, array.Errorf(array.Conflict, "the limits of rules are not divided so now")
	}
	l.shares.taken = shareOffers{Start: q.Start, Turn: q.Turn}
	for _, o := range q.Rules {
		x := l.bySet[o.Set]
		if x == nil {
			all = append(all, ruleShare{Set: o.Set})
			continue
		}
		held := n.following(o.Set).Take(now, x, o.Share)
		all = append(all, ruleShare{Set: o.Set, Share: held, Mine: x.Share(), Need: n.need(o.Set), Figures: x.Figures()})
		l.shares.other[o.Set] = otherShare{o.Figures, o.Mine}
	}
	return all, nil
}
