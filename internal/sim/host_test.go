// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

const (
	clients   = 4
	blocks    = 16 // of each volume; a client writes every fourth
	blockSize = 4096
	// patience is how long a host waits for an answer before it drops the session.
	patience = 4 * time.Second
)

// blockOffset spreads the blocks over few pages, so that they share some.
func blockOffset(b int) int { return b * blockSize * 3 }

// ledger is what is known of a block. Its writes are numbered; one at a time is out.
type ledger struct {
	v, b   int
	told   []saying
	issued uint64 // the newest that was sent
	floor  uint64 // the newest that was acknowledged or read: nothing older may be read
}

func (w *world) ledger(v, b int) *ledger { return &w.hosts[b%clients].ledgers[v*blocks+b] }

// content is a block as write n of it leaves it.
func content(v, b int, n uint64, dst []byte) {
	if n == 0 {
		clear(dst)
		return
	}
	for i := 0; i < len(dst); i += 16 {
		binary.LittleEndian.PutUint64(dst[i:], n)
		binary.LittleEndian.PutUint64(dst[i+8:], uint64(v*blocks+b)<<32|uint64(i))
	}
}

// judge holds what was read of a block against what may be there.
func (l *ledger) judge(w *world, what string, got []byte, floor uint64) {
	n := binary.LittleEndian.Uint64(got)
	for i := 0; i < len(got); i += 16 {
		if binary.LittleEndian.Uint64(got[i:]) != n {
			w.about = l
			w.failf("%s: torn, write %d and %d", what, n, binary.LittleEndian.Uint64(got[i:]))
		}
	}
	if n < floor || n > l.issued {
		w.about = l
		w.failf("%s: holds write %d; %d was acknowledged or read before, %d was the last sent", what, n, floor, l.issued)
	}
	l.floor = max(l.floor, n)
}

// client is a host: one command at a time, on the path that worked last.
type client struct {
	w        *world
	id       int
	ledgers  [volumes * blocks]ledger
	at       array.Side
	opID     uint64
	cmd      *command
	retryAt  time.Time
	acked    uint64
	stopping bool
	// stays: it uses one array's paths only, while that works.
	stays bool
}

// command is what the host wants, over all its attempts.
type command struct {
	v, b     int
	kind     scsi.MutationKind // 0: a read
	n        uint64
	floor    uint64
	attempts int
	try      *try
}

// try is one attempt.
type try struct {
	p     *process
	op    *scsi.Op
	began time.Time
	buf   []byte
	out   chan error
	// unread: it came to a process that stands still.
	unread bool
	// replaced: the host logged in again, and waits until it is quiet.
	replaced bool
}

func newClient(w *world, id int) *client {
	c := &client{w: w, id: id, opID: uint64(id) << 40}
	for i := range c.ledgers {
		c.ledgers[i].v, c.ledgers[i].b = i/blocks, i%blocks
	}
	return c
}

// step looks for an answer, or sends something.
func (c *client) step() {
	if c.cmd == nil {
		if c.stopping || c.w.rng.IntN(4) != 0 {
			return
		}
		c.choose()
	}
	if t := c.cmd.try; t != nil {
		c.await(t)
		return
	}
	if !time.Now().Before(c.retryAt) {
		c.send()
	}
}

func (c *client) choose() {
	r := c.w.rng
	v, b := r.IntN(volumes), r.IntN(blocks/clients)*clients+c.id
	cmd := &command{v: v, b: b}
	l := c.w.ledger(v, b)
	switch dice := r.IntN(10); {
	case dice < 3:
		cmd.b = r.IntN(blocks) // reads see what others write
	case dice < 4 && l.floor == l.issued:
		cmd.kind = scsi.CompareAndWrite
	default:
		cmd.kind = scsi.Write
	}
	if cmd.kind != 0 {
		cmd.floor = l.floor
		l.issued++
		cmd.n = l.issued
	}
	c.cmd = cmd
	if c.w.shared && !c.stays && r.IntN(2) == 0 {
		c.at = c.at.Other()
	}
}

func (c *client) send() {
	p := c.w.m[c.at].p
	if p == nil {
		c.elsewhere(20 * time.Millisecond)
		return
	}
	cmd := c.cmd
	cmd.attempts++
	c.opID++
	t := &try{p: p, began: time.Now(), out: make(chan error, 1), buf: make([]byte, blockSize), unread: p.still()}
	cmd.try = t
	c.say(t, "sent")
	if t.unread {
		return
	}
	c.read(t)
}

// read lets the array read a command.
func (c *client) read(t *try) {
	p, cmd := t.p, c.cmd
	port := uint16(1 + 256*int(p.m.side))
	t.unread = false
	t.op = &scsi.Op{
		ID: c.opID, Arrived: t.began, Generation: p.units[cmd.v].Reservations().Revision,
		Nexus: reservation.Nexus{Initiator: fmt.Sprintf("iqn.x:h%d,i,0x1", c.id), Port: port},
	}
	done := func(err error) { t.out <- err }
	off := int64(blockOffset(cmd.b))
	if cmd.kind == 0 {
		cmd.floor = c.w.ledger(cmd.v, cmd.b).floor
		if c.w.mutant == noFlights {
			c.readAtOnce(t, off)
			return
		}
		p.units[cmd.v].Read(t.op, off, t.buf, done)
		return
	}
	m := scsi.Mutation{Kind: cmd.kind, Offset: off, Length: blockSize, Data: c.buffer(p, cmd, cmd.n)}
	if cmd.kind == scsi.CompareAndWrite {
		m.Compare = c.buffer(p, cmd, cmd.floor)
	}
	p.units[cmd.v].Mutate(t.op, m, func(err error) {
		m.Data.Release()
		if m.Compare != nil {
			m.Compare.Release()
		}
		done(err)
	})
}

// readAtOnce reads what is applied, as if nothing could be in flight.
func (c *client) readAtOnce(t *try, off int64) {
	i, err := t.p.g.Info()
	c.w.must(err)
	if !i.Serving && !i.Sharing {
		t.out <- array.Errorf(array.Standby, "not served")
		return
	}
	t.out <- t.p.pool.Volume(array.VolumeID(c.cmd.v+1)).Read(t.buf, off)
}

func (c *client) buffer(p *process, cmd *command, n uint64) *block.Buffer {
	b, ok := p.buffers.Get(blockSize)
	if !ok {
		c.w.failf("no buffer is free")
	}
	content(cmd.v, cmd.b, n, b.Bytes())
	return b
}

func (c *client) await(t *try) {
	if t.p.still() && !t.p.dead.Load() {
		if time.Since(t.began) > c.w.patience {
			c.cmd.try = nil
			c.say(t, "given up")
			c.lost()
		}
		return
	}
	if t.unread && !t.p.dead.Load() {
		if time.Since(t.began) > scsi.Late { // closed unread
			c.cmd.try = nil
			c.say(t, "closed unread")
			c.lost()
			return
		}
		c.read(t)
		return
	}
	select {
	case err := <-t.out:
		c.cmd.try = nil
		if t.p.dead.Load() {
			c.say(t, "lost with the array")
			c.lost() // the answer never came
			return
		}
		if t.replaced { // with the session, and quiet now
			c.say(t, "quiet, and sent again")
			c.changed()
			return
		}
		c.answered(t, err)
	default:
		if t.p.dead.Load() || time.Since(t.began) > c.w.patience {
			c.cmd.try = nil
			c.say(t, "given up")
			c.lost()
		}
	}
}

// lost: the session is gone; the command may have taken effect or not.
func (c *client) lost() {
	c.changed()
	c.elsewhere(0)
}

// changed: what the command compares with may be there no more.
func (c *client) changed() {
	if c.cmd.kind == scsi.CompareAndWrite {
		c.cmd.kind = scsi.Write // a host that does not know what is there writes it
	}
}

func (c *client) elsewhere(wait time.Duration) {
	c.at = c.at.Other()
	c.retryAt = time.Now().Add(wait)
}

func (c *client) answered(t *try, err error) {
	cmd := c.cmd
	l := c.w.ledger(cmd.v, cmd.b)
	if err == nil {
		c.w.answers[t.p.m.side]++
	}
	c.say(t, "answered", err)
	what := fmt.Sprintf("host %d at %v, volume %d block %d", c.id, t.p.m.side, cmd.v, cmd.b)
	switch kind := array.KindOf(err); {
	case err == nil && cmd.kind == 0:
		l.judge(c.w, what, t.buf, cmd.floor)
		c.cmd = nil
		c.acked++
	case err == nil:
		l.floor = max(l.floor, cmd.n)
		c.cmd = nil
		c.acked++
	case kind == array.Busy || kind == array.Conflict || kind == array.Moved:
		c.retryAt = time.Now().Add(10 * time.Millisecond)
	case kind == array.Medium && c.w.rotten != nil || kind == array.Full && t.p.m.limit != 0:
		c.elsewhere(50 * time.Millisecond) // until it is mended, or there is room
	case kind == array.Standby || kind == array.Unavailable:
		c.elsewhere(20 * time.Millisecond)
	case kind == array.Unknown || kind == array.Aborted:
		c.lost()
	case kind == array.Miscompare && cmd.attempts > 1:
		c.lost()
	default:
		c.w.failf("%s: %v", what, err)
	}
}
