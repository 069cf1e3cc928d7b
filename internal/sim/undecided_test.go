// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/scsi"
)

// TestPathsStayWhileUndecided: an array that served hosts, and serves them again in a moment,
// never tells them that its paths are worse meanwhile: multipath software takes a path out that
// is in standby, and looks at it again seconds later (SPC-4, 5.15.2).
func TestPathsStayWhileUndecided(t *testing.T) {
	for name, fails := range map[string]func(w *world, own *process){
		"the owner dies": func(w *world, own *process) { w.kill(own.m, true) },
		"the owner loses everybody": func(w *world, own *process) {
			w.wit.reach[own.m.side] = false
			w.run(300 * time.Millisecond)
			w.net.cut = [2]bool{true, true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2, sound) // both arrays serve
				defer w.end()
				w.run(4 * time.Second)
				own, goesOn := w.owner()
				lost := own.m.p
				fails(w, own)
				for end := time.Now().Add(3 * time.Second); time.Now().Before(end); w.run(step) {
					if s := local(goesOn); s != scsi.Optimized && s != scsi.NonOptimized {
						t.Fatalf("the paths of the array that goes on are %v", s)
					}
				}
				if now, _ := w.owner(); now != goesOn {
					t.Fatal("the other array does not serve")
				}
				if s := local(goesOn); s != scsi.Optimized {
					t.Errorf("the paths of the array that serves alone are %v", s)
				}
				if !lost.dead.Load() {
					if s := local(lost); s == scsi.Optimized || s == scsi.NonOptimized {
						t.Errorf("the paths of the array that is left out are %v", s)
					}
				}
				w.wit.reach, w.net.cut = [2]bool{true, true}, [2]bool{}
				if lost.dead.Load() {
					w.boot(lost.m)
				}
				w.settle()
			})
		})
	}
}

// local is the state of an array's own paths.
func local(p *process) scsi.PathState {
	paths := p.units[0].Paths("")
	return paths.Groups[paths.Local].State
}

// TestASlowWitnessRefusesNothing: an array that is left alone and hears the witness late goes on
// late; what came meanwhile was held, and no path was worse.
func TestASlowWitnessRefusesNothing(t *testing.T) {
	for _, d := range []time.Duration{20, 300, 500} {
		for _, dies := range []string{"the owner", "the other array"} {
			t.Run(dies+"/"+(d*time.Millisecond).String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 2, sound)
					defer w.end()
					w.wit.delay = d * time.Millisecond
					w.hosts = nil
					w.run(8 * time.Second)
					dead, live := w.owner()
					if dies != "the owner" {
						dead, live = live, dead
					}
					w.kill(dead.m, true)
					out := w.write(live.m, 0, 9)
					for end := time.Now().Add(3 * time.Second); time.Now().Before(end); w.run(step) {
						if s := local(live); s != scsi.Optimized && s != scsi.NonOptimized {
							t.Fatalf("the paths of the array that goes on are %v", s)
						}
					}
					select {
					case err := <-out:
						w.must(err)
					default:
						t.Error("the write is not answered")
					}
				})
			})
		}
	}
}

// TestUndecidedRefusesAsItsPathsSay: where nobody can decide, commands are held and then BUSY;
// what is refused as in standby comes by a path that says so.
func TestUndecidedRefusesAsItsPathsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, sound)
		defer w.end()
		w.run(4 * time.Second)
		own, other := w.owner()
		w.hosts = nil
		w.wit.reach, w.net.cut = [2]bool{}, [2]bool{true, true}
		w.run(time.Second)
		held := []chan error{w.write(own.m, 0, 1), w.write(other.m, 1, 1)}
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end); w.run(step) {
			for i, p := range []*process{own, other} {
				select {
				case err := <-held[i]:
					if k := array.KindOf(err); err == nil || k != array.Busy && (k != array.Standby || local(p) != scsi.Standby) {
						t.Errorf("a command is answered %v (%v), its paths are %v", err, k, local(p))
					}
					held[i] = nil
				default:
				}
			}
		}
		for i, p := range []*process{own, other} {
			if held[i] != nil || local(p) != scsi.Standby {
				t.Errorf("array %v: not answered %v, its paths are %v", p.m.side, held[i] != nil, local(p))
			}
		}
	})
}
