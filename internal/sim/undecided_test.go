// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

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
