// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"sync/atomic"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
)

// running is a group that is open, as it stands. What n.groups and n.aside hold is never changed,
// but replaced under n.mu (publish): whoever found it reads it without a lock.
type running struct {
	rec   RCGroup
	g     *group.Group
	units map[array.VolumeID]*group.Unit
	pages *pages
	// half: not all is done of what rec says.
	half bool
	// unheard: there may be marks of volumes of which the other array has not heard.
	unheard *atomic.Bool
	// refused is why the other array does not take what the group is now, nil if it does.
	refused *atomic.Pointer[string]
}

// refusedThere notes that the other array refuses what the group is now, or not any more. What passes
// by itself is no refusal.
func (r *running) refusedThere(err error) {
	if err == nil || array.KindOf(err) == array.Busy || errors.As(err, new(unanswered)) && !errors.As(err, new(unfinished)) {
		r.refused.Store(nil)
		return
	}
	text := err.Error()
	r.refused.Store(&text)
}

// forgetRefusals: of an array that does not answer nobody knows what it refuses.
func (n *Node) forgetRefusals() {
	for _, r := range n.shared() {
		r.refusedThere(nil)
	}
}

// whyRefused says so, "" if it is not refused.
func (r *running) whyRefused() string {
	if why := r.refused.Load(); why != nil {
		return "the other array does not take what it is now: " + *why
	}
	return ""
}

// running returns a group that is open, nil if it is not.
func (n *Node) running(id array.GroupID) *running {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.groups[id]
}

// runningShared is running for a group that the arrays share.
func (n *Node) runningShared(id array.GroupID) *running {
	if r := n.running(id); r != nil && !r.rec.Private {
		return r
	}
	return nil
}

// findGroup returns the open group of a name.
func (n *Node) findGroup(name string) (*running, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, r := range n.groups {
		if r.rec.Name == name && !r.rec.Private {
			return r, nil
		}
	}
	for _, u := range n.unopened {
		if u.rec.Name == name && !u.rec.Private {
			return nil, u.err()
		}
	}
	return nil, array.Errorf(array.NotFound, "Remote Copy group %s does not exist", name).Because(array.NoGroup)
}

// groupNow is findGroup, with what the store says of the group.
func (n *Node) groupNow(name string) (*running, Description, error) {
	r, err := n.findGroup(name)
	if err != nil {
		return nil, Description{}, err
	}
	d, err := n.describe(r.rec.ID)
	return r, d, err
}

// publish changes what is known of a group that is open.
func (n *Node) publish(id array.GroupID, change func(*running)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.groups[id]; r != nil {
		now := *r
		change(&now)
		n.groups[id] = &now
	}
}
