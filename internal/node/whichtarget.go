// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
)

// toOutside reports whether a command about a group is about its copy on a target outside the
// pair, by the name after -t. None, and the other array's of the pair, are the pair. Any other
// name is refused: what a person has misspelt must not be done to the pair.
func (n *Node) toOutside(a *args, r *running, target string) (bool, error) {
	switch {
	case target == "", n.paired() && target == n.to().Name:
		return false, nil
	case n.isFar(target):
		_, _, err := n.findFar(r, target)
		return err == nil, err
	case n.paired() && target == n.cfg.Name && slices.Contains([]string{overArray(n.to().Name), overTask}, a.by.Over):
		return false, nil // the other one was asked, and this is its other array
	}
	var all []string
	if n.paired() {
		all = append(all, n.to().Name)
	}
	for _, f := range n.recordOf(r).Far {
		all = append(all, n.farName(f))
	}
	want := "no -t, since the group has no target"
	if len(all) > 0 {
		want = strings.Join(all, " or ")
	}
	return false, array.Errorf(array.NotFound, "target %.40s does not exist: want %s", target, want).Because(array.NoTarget)
}

// overTask is what a command came over that is given again after a restart.
const overTask = "task"

// overArray is what one came over that the other array passed on.
func overArray(name string) string { return "array " + name }
