// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
)

// maxPassed bounds the commands of the other array that are carried out at a time.
const maxPassed = 1024

// passed are the commands that the other array passed on and that are under way here, by
// the number that it gave them: it says when nobody waits for one any more.
type passed struct {
	mu  sync.Mutex
	all map[uint64]*passedOn
}

// passedOn is one of them.
type passedOn struct {
	giveUp context.CancelFunc
	// step is how far it is, once it said so.
	step *progress.Step
}

// stepEvery is how often the other array is asked how far a command is.
const stepEvery = time.Second

// pass lets the other array carry a command out, tells meanwhile how far it is, and gives it
// up with whoever asked.
func (n *Node) pass(ctx context.Context, q Asked) (string, error) {
	number := nonce()
	over, end := context.WithCancel(ctx)
	var looking sync.WaitGroup
	if q.Tell != nil {
		looking.Go(func() { n.lookOn(over, number, q.Tell) })
	}
	text, err := n.askWithin(ctx, passedWithin, request{Command: q.Words, By: &q.By, Number: number})
	end()
	looking.Wait()
	if err != nil && ctx.Err() != nil {
		_, e := n.ask(context.WithoutCancel(ctx), request{GivenUp: number})
		if e != nil {
			n.log.Info("tell the other array that a command was given up", "err", e)
		}
	}
	return text, n.lacksThere(q.By, q.Words, err)
}

// lacksThere says of a volume that the other array lacks that this one has it: who asked here sees
// it, and does not know who was asked.
func (n *Node) lacksThere(by Caller, words []string, err error) error {
	if array.ReasonOf(err) != array.NoVolume || !by.everything() { // whoever sees a part need not know of it
		return err
	}
	for _, w := range words[1:] {
		if v, g, e := n.vv(w); e == nil && g.Private {
			return fmt.Errorf("%w (it is on array %s alone, and array %s carries the command out, since that serves the group; volume %s can't take part there)", err, n.cfg.Name, n.to().Name, v.Name)
		}
	}
	return err
}

// lookOn tells how far a command is that was passed on, until it is over.
func (n *Node) lookOn(over context.Context, number uint64, tell func(progress.Step)) {
	var last progress.Step
	for pause(over, stepEvery) {
		r, err := n.answered(over, askWithin, request{StepOf: number})
		if err == nil && r.Step != nil && *r.Step != last && over.Err() == nil {
			last = *r.Step
			tell(last)
		}
	}
}

// carryOut runs a command of the other array until that gives it up.
func (n *Node) carryOut(q request) (string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	on := &passedOn{giveUp: cancel}
	p := &n.passed
	p.mu.Lock()
	full := len(p.all) >= maxPassed
	if !full {
		if p.all == nil {
			p.all = map[uint64]*passedOn{}
		}
		p.all[q.Number] = on
	}
	p.mu.Unlock()
	if full {
		return "", array.Errorf(array.Busy, "array %s carries out too many commands: try again", n.cfg.Name)
	}
	defer func() {
		p.mu.Lock()
		delete(p.all, q.Number)
		p.mu.Unlock()
	}()
	asked := n.asked(q)
	asked.Tell = func(s progress.Step) {
		p.mu.Lock()
		on.step = &s
		p.mu.Unlock()
	}
	return n.runHere(ctx, asked)
}

// stepOf returns how far a command is that the other array passed on.
func (n *Node) stepOf(number uint64) *progress.Step {
	n.passed.mu.Lock()
	defer n.passed.mu.Unlock()
	if on := n.passed.all[number]; on != nil {
		return on.step
	}
	return nil
}

// giveUpCommand ends the waiting of one.
func (n *Node) giveUpCommand(number uint64) {
	n.passed.mu.Lock()
	defer n.passed.mu.Unlock()
	if on := n.passed.all[number]; on != nil {
		on.giveUp()
	}
}
