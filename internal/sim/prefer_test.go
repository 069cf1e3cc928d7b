// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
)

// preferring is a quiet pair without a witness, whose owner is told what p gives, and the
// other array what it gives for that.
func preferring(t *testing.T, p func(own, other array.Side) (atOwner, atOther group.Policy)) (w *world, own, other *process) {
	w = newWorld(t, 1, sound)
	w.stop(true)
	w.wit.up = false
	w.run(3 * time.Second)
	own, other = w.owner()
	a, b := p(own.m.side, other.m.side)
	own.g.SetPolicy(a)
	other.g.SetPolicy(b)
	w.run(5 * time.Second)
	return w, own, other
}

func prefers(s array.Side, auto bool) group.Policy {
	return group.Policy{AutoFailover: auto, AutoRecover: true, AutoSynchronize: true, Prefer: array.Only(s)}
}

// TestThePreferredIsStopped: a group that prefers the array that does not serve can be
// stopped, and that array may leave, without a witness.
func TestThePreferredIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, own, other := preferring(t, func(_, other array.Side) (group.Policy, group.Policy) {
			return prefers(other, true), prefers(other, true)
		})
		defer w.end()
		if err := own.g.LetGo(); err != nil {
			t.Error(err)
		}
		w.run(5 * time.Second)
		w.kill(other.m, true)
		w.run(5 * time.Second)
		if i, _ := own.g.Info(); !i.Serving {
			t.Errorf("%v: %s", i.Record, i.Reason)
		}
	})
}

// TestThePreferredWithoutAutoFailover: only the owner goes on by itself.
func TestThePreferredWithoutAutoFailover(t *testing.T) {
	for _, witness := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, own, other := preferring(t, func(_, other array.Side) (group.Policy, group.Policy) {
				return prefers(other, false), prefers(other, false)
			})
			defer w.end()
			if witness {
				w.wit.up = true
				w.run(3 * time.Second)
			}
			w.net.cut = [2]bool{true, true}
			w.run(5 * time.Second)
			i, _ := own.g.Info()
			j, _ := other.g.Info()
			if !i.Serving || j.Serving {
				t.Errorf("witness %v: owner %v %s; other %v serves %v", witness, i.Record, i.Reason, j.Record, j.Serving)
			}
		})
	}
}

// TestArraysDisagreeWhoIsPreferred: that starts no exchange of privileges, and one goes on
// whenever the links are cut.
func TestArraysDisagreeWhoIsPreferred(t *testing.T) {
	for k := range 8 {
		synctest.Test(t, func(t *testing.T) {
			w, own, _ := preferring(t, func(own, other array.Side) (group.Policy, group.Policy) {
				return prefers(other, true), prefers(own, true)
			})
			defer w.end()
			before, _ := own.g.Info()
			w.run(2*time.Second + time.Duration(k)*step*7)
			after, _ := own.g.Info()
			if before.Record != after.Record {
				t.Errorf("%v became %v", before.Record, after.Record)
			}
			w.net.cut = [2]bool{true, true}
			w.run(10 * time.Second)
			if o, _ := w.owner(); o == nil {
				t.Error("nobody goes on")
			}
		})
	}
}
