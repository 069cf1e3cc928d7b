// SPDX-License-Identifier: Apache-2.0

package node

import (
	"sync"

	"github.com/perdure/perdure/internal/array"
)

// remaking are the volumes, and the groups as a whole, that this array is making what a snapshot
// is. A second run beside the first would go on when that has ended, and write back over what
// hosts wrote since.
type remaking struct {
	mu  sync.Mutex
	now map[remade]bool
}

// remade is a volume, or a group with no volume named.
type remade struct {
	group  array.GroupID
	volume array.VolumeID
}

// has reports whether it is being remade.
func (r *remaking) has(x remade) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now[x]
}

// begin refuses what is being remade already. Whoever began ends it, when no write of his is
// under way any more.
func (r *remaking) begin(x remade, what string) (end func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now[x] {
		return nil, array.Errorf(array.Busy, "%s is being made what a snapshot is already: wait for that", what).Because(array.Copied)
	}
	if r.now == nil {
		r.now = map[remade]bool{}
	}
	r.now[x] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.now, x)
	}, nil
}
