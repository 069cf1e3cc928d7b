// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
)

// maxRetries bounds how often a command is checked again because reservations
// changed under it.
const maxRetries = 8

// Command is one SCSI command on its way.
type Command struct {
	// Set by the transport before Prepare.

	LUN uint64
	CDB [16]byte
	// Ordered is the ORDERED task attribute; the others run as SIMPLE.
	Ordered bool
	// Expected is how many bytes the host means to send.
	Expected int
	// Arrived is when, by boottime, the last bytes of the command were known to be fresh. The
	// transport may set it anew before Execute.
	Arrived time.Time
	// Out holds the data that the host sent, set before Execute; nil for none. It
	// belongs to the command and is released before Done.
	Out *block.Buffer
	// Done is called when the command is quiet.
	Done func(*Command)

	// Results, valid at Done.

	// Moves is how many bytes the CDB asks the host to send, for the residual. A
	// write whose host sends fewer is cut down to them.
	Moves int

	Status Status
	Sense  []byte
	// In is the data for the host. If InBuffer isn't nil it holds In's memory and
	// the transport releases it.
	In       []byte
	InBuffer *block.Buffer
	// Unanswerable says that no status would be true: the command may or may not
	// have taken effect. The transport ends the session, as for any answer that is
	// lost, and the host asks again on the path it likes.
	Unanswerable bool
	// Acknowledged, unless nil, is to be called when the host has acknowledged the
	// status. It doesn't block.
	Acknowledged func()

	nexus   *Nexus
	bound   *binding
	unit    Unit
	resets  uint64
	desc    *descriptor
	off     int64 // of the range, in bytes
	length  int64
	want    int           // bytes of data the CDB asks the host for
	second  *block.Buffer // COMPARE AND WRITE's other half of Out
	gen     uint64        // reservation revision under which rights were checked
	gate    gate          // guarded by the task set's lock
	turn    turnState     // this and the next four are the turns'
	weight  int
	began   time.Time
	before  *Command
	after   *Command
	counted bool // it has its place under the volume's limits; this and the next three are theirs
	ended   func(time.Duration)
	freed   time.Time // when it had waited
	delay   *delay
	retries int
	aborted atomic.Bool
	op      atomic.Pointer[Op] // the step under way
	copying atomic.Pointer[copying]
	first   Op // most commands have but one step
}

// Execute runs a command whose data, if it wants any, are in Out. Fewer than it
// wants end it.
func (n *Nexus) Execute(c *Command) {
	ok, gen := c.allowed(c.unit.Reservations())
	switch {
	case c.Out == nil || c.Out.Len() < c.want:
		c.end(sensed{AbortedCommand, notEnoughData})
	case !ok:
		c.refuse(array.Errorf(array.Reserved, "reserved"))
	default:
		c.Out.Resize(c.want)
		c.start(gen)
	}
}

// Fail ends a prepared command for a reason of the transport's: data that came
// damaged, or no memory for them.
func (c *Command) Fail(f Failure) {
	switch f {
	case DamagedData:
		c.end(sensed{AbortedCommand, serviceCRCError})
	case Dropped:
		c.end(abortedError())
	default:
		c.end(c.noRoom())
	}
}

// Failure is why a transport gives up a command.
type Failure uint8

// The failures.
const (
	DamagedData Failure = iota + 1
	NoMemory
	Dropped // aborted before its data were complete
)

// Abort asks to drop the command as far as that is still possible. Done still
// comes. It may be called from any goroutine, after Prepare and even after Done.
func (c *Command) Abort() {
	c.aborted.Store(true)
	if op := c.op.Load(); op != nil {
		op.Cancel()
		c.unit.Cancel(op)
	}
	if x := c.copying.Load(); x != nil {
		x.cancel()
	}
	if c.nexus.server.delays.withdraw(c) || c.nexus.server.turns.withdraw(c) {
		c.end(abortedError())
	}
}

// Range returns what the command is about, for logs: offset and length in bytes.
func (c *Command) Range() (off, length int64) { return c.off, c.length }

// Name returns the command's name, for logs.
func (c *Command) Name() string {
	if c.desc == nil {
		return "unknown command"
	}
	return c.desc.name
}

// start runs the handler.
func (c *Command) start(generation uint64) {
	c.gen = generation
	if !c.bound.tasks.pass(c) {
		return
	}
	if err := c.stale(); err != nil {
		c.end(err)
		return
	}
	if c.desc.turns && !c.admitted() {
		return
	}
	c.takeTurn()
}

// takeTurn runs the handler when it is the host's turn.
func (c *Command) takeTurn() {
	if c.desc.turns && !c.nexus.server.turns.take(c) {
		return
	}
	c.desc.run(c)
}

// proceed begins a command whose turn it is.
func (c *Command) proceed() {
	if err := c.stale(); err != nil {
		c.end(err)
		return
	}
	c.desc.run(c)
}

// stale says why the next step must not begin: the command is aborted, reset, or
// late.
func (c *Command) stale() error {
	switch {
	case c.aborted.Load() || c.bound.lu.resets.Load() != c.resets:
		return abortedError()
	case boottime.Now().Sub(c.Arrived) >= Late && !c.desc.quiet:
		return array.Errorf(array.Busy, "the command is late")
	}
	return nil
}

// step hands f the op for the command's next request to the unit, or ends the
// command if it must not go on.
func (c *Command) step(f func(op *Op)) {
	if err := c.stale(); err != nil {
		c.end(err)
		return
	}
	op := &c.first
	if op.ID != 0 {
		op = new(Op)
	}
	op.ID = c.nexus.server.lastOp.Add(1)
	op.Nexus, op.Arrived, op.Generation = c.nexus.Nexus, c.Arrived, c.gen
	op.resets, op.at = &c.bound.lu.resets, c.resets
	c.op.Store(op)
	if c.aborted.Load() {
		// Abort came between the check and the store: it may not have seen this op.
		op.Cancel()
		c.end(abortedError())
		return
	}
	f(op)
}

// finish ends the command with a unit's answer, or begins it again if the
// reservations changed since its rights were checked.
func (c *Command) finish(err error) {
	if err == nil || array.KindOf(err) != array.Conflict || c.retries >= maxRetries {
		c.end(err)
		return
	}
	c.retries++
	ok, gen := c.allowed(c.unit.Reservations())
	if !ok {
		c.refuse(array.Errorf(array.Reserved, "reserved"))
		return
	}
	c.dropIn()
	c.start(gen)
}

// refuse ends the command with a refusal that reveals the unit's state. It asks
// the unit first whether the snapshot behind it was true.
func (c *Command) refuse(err error) {
	kind := array.KindOf(err)
	if _, plain := err.(sensed); plain || kind != array.Reserved && kind != array.Range {
		c.end(err)
		return
	}
	c.step(func(op *Op) {
		c.unit.Inspect(op, func(f Facts, ierr error) {
			switch {
			case ierr != nil:
				c.end(ierr)
			case kind == array.Range && c.off+c.length <= f.Size:
				// The snapshot was old, nothing was done: once more.
				c.end(array.Errorf(array.Busy, "the unit changed meanwhile"))
			case kind == array.Reserved && f.Reservations.Allows(c.nexus.Nexus, c.desc.access):
				c.again(f.Reservations.Revision)
			default:
				c.end(err)
			}
		})
	})
}

// again begins a command that an old snapshot of the reservations refused: just
// after a session's end frees a unit, a host that logs in again must not meet BUSY,
// which some take for a login that failed. Where its data have not come the host
// must send it again.
func (c *Command) again(revision uint64) {
	if c.want > 0 && c.Out == nil || c.retries >= maxRetries {
		c.end(array.Errorf(array.Busy, "the unit changed meanwhile"))
		return
	}
	c.retries++
	c.start(revision)
}

// end sets the outcome and gives the command back.
func (c *Command) end(err error) {
	c.outcome(err)
	if err != nil {
		c.dropIn()
	}
	if c.Out != nil {
		c.Out.Release()
		c.Out = nil
	}
	if c.second != nil {
		c.second.Release()
		c.second = nil
	}
	var next []*Command
	if c.bound != nil {
		next = c.bound.tasks.leave(c)
	}
	if c.ended != nil {
		c.ended(boottime.Now().Sub(c.freed))
	}
	turns := c.nexus.server.turns
	due := turns.left(c)
	c.Done(c) // c is the transport's from here on
	if due {
		turns.drain()
	}
	for _, w := range next {
		w.start(w.gen)
	}
}

// endQuietly ends the command without error and without data for the host.
func (c *Command) endQuietly() {
	c.dropIn()
	c.end(nil)
}

func (c *Command) dropIn() {
	c.In = nil
	if c.InBuffer != nil {
		c.InBuffer.Release()
		c.InBuffer = nil
	}
}

// reply ends the command with data, cut to the allocation length.
func (c *Command) reply(data []byte, allocation int) {
	c.In = data[:min(len(data), allocation)]
	c.end(nil)
}

// buffer gets the command a buffer for data to the host.
func (c *Command) buffer(n int) error {
	b, ok := c.nexus.buffers.Get(n)
	if !ok {
		return c.noRoom()
	}
	c.InBuffer, c.In = b, b.Bytes()
	return nil
}

// noRoom is the answer to a command without a buffer for its data: TASK SET FULL where
// the host's own commands hold some, so that fewer of them would help, else BUSY
// (SAM-5 5.3.1).
func (c *Command) noRoom() error {
	if s, ok := c.nexus.buffers.(*block.Share); ok && s.Used() > 0 {
		return taskSetFull{}
	}
	return noMemory()
}
