// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync"

	"github.com/perdure/perdure/internal/array"
)

// maxPassed bounds the commands of the other array that are carried out at a time.
const maxPassed = 1024

// passed are the commands that the other array passed on and that are under way here, by
// the number that it gave them: it says when nobody waits for one any more.
type passed struct {
	mu    sync.Mutex
	ended map[uint64]context.CancelFunc
}

// pass lets the other array carry a command out, and give it up with whoever asked.
func (n *Node) pass(ctx context.Context, q Asked) (string, error) {
	number := nonce()
	text, err := n.askWithin(ctx, commandWithin, request{Command: q.Words, By: &q.By, Number: number})
	if err != nil && ctx.Err() != nil {
		_, e := n.ask(context.WithoutCancel(ctx), request{GivenUp: number})
		if e != nil {
			n.log.Info("tell the other array that a command was given up", "err", e)
		}
	}
	return text, err
}

// carryOut runs a command of the other array until that gives it up.
func (n *Node) carryOut(q request) (string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &n.passed
	p.mu.Lock()
	full := len(p.ended) >= maxPassed
	if !full {
		if p.ended == nil {
			p.ended = map[uint64]context.CancelFunc{}
		}
		p.ended[q.Number] = cancel
	}
	p.mu.Unlock()
	if full {
		return "", array.Errorf(array.Busy, "array %s carries out too many commands: try again", n.cfg.Name)
	}
	defer func() {
		p.mu.Lock()
		delete(p.ended, q.Number)
		p.mu.Unlock()
	}()
	return n.runHere(ctx, n.asked(q))
}

// giveUpCommand ends the waiting of one.
func (n *Node) giveUpCommand(number uint64) {
	n.passed.mu.Lock()
	defer n.passed.mu.Unlock()
	if end := n.passed.ended[number]; end != nil {
		end()
	}
}
