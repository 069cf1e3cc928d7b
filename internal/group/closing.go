// SPDX-License-Identifier: Apache-2.0

package group

import "github.com/perdure/perdure/internal/array"

// end answers all that is under way, and lets go of the memory that it held. What has a
// place, here or at the owner, may have taken effect.
func (g *Group) end() {
	unknown := array.Errorf(array.Unknown, "%s is closing", g.what())
	g.ending = true
	g.gate.Store(&gate{state: gateHold}) // units outlive their group in hosts' commands under way
	g.stopCopy()
	g.endFill()
	g.endHeals() // which reads may wait for
	g.modifying.Wait()
	g.endSwitch(unknown)
	g.dropCalls()
	g.dropQuestions()
	g.dropSends()
	g.endInstalls(unknown)
	g.endForwards(func(w *work) bool {
		w.finish(unknown)
		return true
	})
	for _, w := range g.waiting {
		w.running = false // nobody reads for it any more
	}
	g.refuseAll(array.Errorf(array.Busy, "%s is closing", g.what()))
	for _, e := range g.tail {
		if e.work != nil {
			e.work.finish(unknown)
		}
		if e.then != nil {
			e.then()
		}
		if e.buf != nil {
			e.buf.Release()
		}
	}
	g.tail = nil
}
