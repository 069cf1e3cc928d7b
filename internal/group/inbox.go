// SPDX-License-Identifier: Apache-2.0

package group

import (
	"sync"

	"github.com/perdure/perdure/internal/array"
)

// inbox is what waits for the loop, in the order in which it came.
type inbox struct {
	mu     sync.Mutex
	queue  []posted
	spare  []posted // what the loop is through with: its memory serves again
	closed bool
}

// posted is one thing that waits: a call, or one of the frequent ones, for which a call of
// its own would have to be allocated.
type posted struct {
	call   func()
	work   *work       // a host's command
	packet Packet      // of the other array, if it has a type
	holds  array.Place // the journal's word, if it is not 0
}

// maxSpare bounds what an idle group keeps of the memory that a crowd once took.
const maxSpare = 256

// put reports whether the inbox took x.
func (b *inbox) put(x posted) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.queue = append(b.queue, x)
	}
	return !b.closed
}

// take returns all that waits, which is valid until the next take.
func (b *inbox) take() (batch []posted, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch, b.queue = b.queue, b.spare[:0]
	b.spare = nil
	return batch, b.closed
}

// through gives a batch back.
func (b *inbox) through(batch []posted) {
	clear(batch)
	if cap(batch) > maxSpare {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spare = batch
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// post runs f on the loop. It returns false if the group is closed.
func (g *Group) post(f func()) bool { return g.deliver(posted{call: f}) }

func (g *Group) deliver(x posted) bool {
	ok := g.in.put(x)
	g.poke()
	return ok
}

// take does what was posted.
func (g *Group) take(x *posted) {
	switch {
	case x.call != nil:
		x.call()
	case x.work != nil:
		g.admit(x.work)
	case x.packet.Type != 0:
		g.receive(x.packet)
		if x.packet.Buf != nil {
			x.packet.Buf.Release()
		}
	case x.holds != 0:
		g.core.JournalHolds(x.holds)
	}
}
