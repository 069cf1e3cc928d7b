// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"maps"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
)

// unopened is a group that exists and could not be opened: nothing of it is served, and
// nothing about it can be changed here.
type unopened struct {
	rec RCGroup
	why error
}

func (u unopened) err() error {
	what := "group"
	if u.rec.Private {
		what = "volume"
	}
	return array.Errorf(array.Unavailable, "%s %s can't be opened: %v", what, u.rec.Name, u.why)
}

// leaveOut remembers and tells that a group can't be opened.
func (n *Node) leaveOut(r RCGroup, why error) {
	u := unopened{r, why}
	n.mu.Lock()
	was, again := n.unopened[r.ID]
	n.unopened[r.ID] = u
	n.mu.Unlock()
	if !again || was.err().Error() != u.err().Error() {
		n.raise(event.Condition{Kind: kindUnopened, Object: r.Name}, event.Major, u.err().Error())
	}
}

// leftOut returns what could not be opened, in the order of the names.
func (n *Node) leftOut() []unopened {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.SortedFunc(maps.Values(n.unopened), func(a, b unopened) int { return cmp.Compare(a.rec.Name, b.rec.Name) })
}
