// SPDX-License-Identifier: Apache-2.0

package node

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
)

// slowShadow is a pool that is slow to begin a shadow, once.
type slowShadow struct {
	group.Copier
	slow    atomic.Bool // the next one is
	blocked atomic.Bool
	free    func()
	until   chan struct{}
}

func (s *slowShadow) BeginResync(g array.GroupID) error {
	if s.slow.CompareAndSwap(true, false) {
		s.blocked.Store(true)
		<-s.until
		s.blocked.Store(false)
	}
	return s.Copier.BeginResync(g)
}

// Resyncing lets it go on if somebody looks meanwhile: whoever gives the shadow up must not look
// before it is begun.
func (s *slowShadow) Resyncing(g array.GroupID) bool {
	was := s.Copier.Resyncing(g)
	if s.blocked.Load() {
		s.free()
	}
	return was
}

// TestAPointThatIsLeftIsGivenUpWhole: a point was beginning when its group became synchronous, and
// the disk is slow. What is given up is waited for: a shadow that begins later would hide what is
// written from then on.
func TestAPointThatIsLeftIsGivenUpWhole(t *testing.T) {
	t.Parallel()
	s := &slowShadow{until: make(chan struct{})}
	s.free = sync.OnceFunc(func() { close(s.until) })
	defer s.free()
	arrays := openArrays(t, 2, func(c *Config) {
		if c.Name == "array-b" {
			c.Groups = func(g *group.Config) {
				if g.Name == "g" {
					s.Copier = g.Copy
					g.Copy = s
				}
			}
		}
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v1", "g")
	a.until("both to talk of g", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
	a.run("syncrcopy", "-w", "g")
	a.write("v1", 0, filled(block.Page, 'a'))
	s.slow.Store(true)
	a.run("syncrcopy", "g")
	a.until("the point to begin", s.blocked.Load)
	done := make(chan error, 1)
	go func() {
		_, err := a.Run(t.Context(), []string{"setrcopygroup", "mode", "sync", "array-b", "g"})
		done <- err
	}()
	b.until("it to be given up", func() bool {
		if !s.blocked.Load() {
			return true
		}
		r, err := b.findGroup("g")
		if err != nil {
			return false
		}
		i, err := r.g.Info()
		return err == nil && i.Copy == "giving up an unfinished copy"
	})
	s.free()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a.until("g to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" && f.Period == 0 })
	b.copyHas("v1", 0, filled(block.Page, 'a'))
	if r, err := b.findGroup("g"); err != nil || s.Copier.Resyncing(r.rec.ID) {
		t.Errorf("a shadow is left: %v", err)
	}
}
