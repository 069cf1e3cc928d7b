// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

const (
	sector = 512
	// MaxIO is the most that one command may read or write: it goes with the command.
	MaxIO = 64 << 10
	// pause is how long the same path is left alone after BUSY.
	pause = 5 * time.Millisecond
)

// ErrNoPath says that a command found no usable path for as long as it may wait.
var ErrNoPath = errors.New("no usable path")

// A Disk is a volume with all paths to it.
type Disk struct {
	WWN  string
	host *Host

	mu      sync.Mutex
	size    int64
	lanes   []*lane
	turn    int
	waiting int
	changed chan struct{} // closed and replaced when a lane changes
}

// Size returns the disk's size in bytes.
func (d *Disk) Size() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.size
}

func (d *Disk) setSize(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = n
}

// A Path is a disk's path as it is now.
type Path struct {
	Portal
	State State
}

// Paths returns the state of the disk's path through every portal, in the order of
// the portals.
func (d *Disk) Paths() []Path {
	out := make([]Path, len(d.host.opt.Portals))
	for i, p := range d.host.opt.Portals {
		out[i] = Path{p, Down}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lanes {
		out[l.path.index].State = l.state
	}
	return out
}

// WaitPaths returns when ok likes the disk's paths.
func (d *Disk) WaitPaths(ctx context.Context, ok func([]Path) bool) error {
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if ok(d.Paths()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for paths of %s, which are %v: %w", d.WWN, d.Paths(), ctx.Err())
		}
	}
}

func (d *Disk) add(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lanes = append(d.lanes, l)
	d.signal()
}

func (d *Disk) remove(l *lane) {
	d.mu.Lock()
	i := slices.Index(d.lanes, l)
	if i >= 0 {
		d.lanes = slices.Delete(d.lanes, i, i+1)
	}
	from := l.state
	l.state = Down
	d.signal()
	d.mu.Unlock()
	d.tell(l, from, Down)
}

// signal wakes who waits for a path. Callers hold mu.
func (d *Disk) signal() {
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Disk) setState(l *lane, s State) {
	d.mu.Lock()
	from := l.state
	l.state = s
	if from != s {
		d.signal()
	}
	d.mu.Unlock()
	d.tell(l, from, s)
}

// state returns a lane's state, whether it is in doubt, and whether its connection's units
// are to be discovered anew.
func (d *Disk) state(l *lane) (s State, doubt, stale bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return l.state, l.doubt, l.stale
}

// asks: the states are about to be read through lane l. What is told from now on may be
// newer than the answer, and has to be looked at again.
func (d *Disk) asks(l *lane) {
	d.mu.Lock()
	l.doubt = false
	d.mu.Unlock()
}

// setStates notes what an array said, through lane from, of all target port groups.
func (d *Disk) setStates(from *lane, states map[uint16]State) {
	d.mu.Lock()
	lanes := slices.Clone(d.lanes)
	d.mu.Unlock()
	for _, l := range lanes {
		// One without a word of its own array yet stays as it is.
		s, ok := states[l.group]
		if old, _, _ := d.state(l); ok && (l == from || old != Down) {
			d.setState(l, s)
		}
	}
}

func (d *Disk) tell(l *lane, from, to State) {
	if from != to && d.host.opt.Changed != nil {
		d.host.opt.Changed(l.path.portal, d.WWN, from, to)
	}
}

// look asks for all paths to be looked at. What r told of is to be read through l: the
// unit attention was given to a command, and won't be given again.
func (d *Disk) look(l *lane, r initiator.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.doubt = true
	l.stale = l.stale || r.Code() == codeUnits || r.Code() == codeCapacity
	for _, x := range d.lanes {
		x.path.nudge()
	}
}

// pick returns a usable lane, or a channel that is closed when there may be one.
// With array set only lanes to that array count.
func (d *Disk) pick(array string) (*lane, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var best *lane
	low := 2
	d.turn++
	for i := range d.lanes {
		l := d.lanes[(i+d.turn)%len(d.lanes)]
		if rank, ok := l.state.usable(); ok && rank < low && (array == "" || l.path.portal.Array == array) {
			best, low = l, rank
		}
	}
	return best, d.changed
}

// Read reads into b at off, through the named array only, or any if it is "".
func (d *Disk) Read(ctx context.Context, array string, b []byte, off int64) error {
	cdb, err := transfer(0x88, len(b), off)
	if err != nil {
		return fmt.Errorf("read %s: %w", d.WWN, err)
	}
	r, err := d.do(ctx, array, initiator.Command{CDB: cdb, In: len(b)}, false)
	if err != nil {
		return fmt.Errorf("read %s at %d: %w", d.WWN, off, err)
	}
	if len(r.In) != len(b) {
		return fmt.Errorf("read %s at %d: %d bytes of %d came", d.WWN, off, len(r.In), len(b))
	}
	copy(b, r.In)
	return nil
}

// Write writes b at off. After an error part of it, or all, may be written, then or
// later.
func (d *Disk) Write(ctx context.Context, b []byte, off int64) error {
	cdb, err := transfer(0x8A, len(b), off)
	if err != nil {
		return fmt.Errorf("write %s: %w", d.WWN, err)
	}
	if _, err = d.do(ctx, "", initiator.Command{CDB: cdb, Out: b, Immediate: len(b)}, true); err != nil {
		return fmt.Errorf("write %s at %d: %w", d.WWN, off, err)
	}
	return nil
}

func transfer(op byte, n int, off int64) ([]byte, error) {
	if n <= 0 || n > MaxIO || n%sector != 0 || off < 0 || off%sector != 0 {
		return nil, fmt.Errorf("%d bytes at %d: want blocks of %d, at most %d", n, off, sector, MaxIO)
	}
	cdb := make([]byte, 16)
	cdb[0] = op
	binary.BigEndian.PutUint64(cdb[2:], uint64(off/sector))
	binary.BigEndian.PutUint32(cdb[10:], uint32(n/sector))
	return cdb, nil
}

// do runs a command until it ends one way or the other.
func (d *Disk) do(ctx context.Context, array string, cmd initiator.Command, write bool) (initiator.Result, error) {
	end := d.host.meter.begin(write, max(cmd.In, len(cmd.Out)))
	deadline := time.NewTimer(d.host.opt.Queue)
	defer deadline.Stop()
	for {
		l, err := d.lane(ctx, array, deadline.C)
		if err != nil {
			end(err)
			return initiator.Result{}, err
		}
		cmd.LUN, cmd.Tag = l.lun, 0
		r := l.conn.Do(cmd)
		v, down, look := judge(r)
		switch v {
		case finished:
			end(nil)
			return r, nil
		case failed:
			err := &Error{r.Status, r.Code()}
			end(err)
			return r, err
		case again:
			d.host.stats.attentions.Add(1)
		case later:
			d.host.stats.busy.Add(1)
			if err := wait(ctx, deadline.C); err != nil {
				end(err)
				return r, err
			}
		case elsewhere:
			d.host.stats.elsewhere.Add(1)
			d.leave(l, down)
		}
		if look {
			d.look(l, r)
		}
	}
}

// leave stops using a lane. A broken connection is closed, which is what its path
// waits for.
func (d *Disk) leave(l *lane, s State) {
	d.mu.Lock()
	l.doubt = true
	d.mu.Unlock()
	d.setState(l, s)
	if s == Down {
		l.conn.Close()
	}
}

// lane waits for a usable lane.
func (d *Disk) lane(ctx context.Context, array string, deadline <-chan time.Time) (*lane, error) {
	l, changed := d.pick(array)
	if l != nil {
		return l, nil
	}
	d.host.stats.queued.Add(1)
	d.mu.Lock()
	d.waiting++
	n := d.waiting
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.waiting--
		d.mu.Unlock()
	}()
	if n > d.host.opt.Queued {
		return nil, fmt.Errorf("%w, and %d commands wait for one already", ErrNoPath, n-1)
	}
	for l == nil {
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-d.host.ctx.Done():
			return nil, d.host.ctx.Err()
		case <-deadline:
			return nil, fmt.Errorf("%w for %v", ErrNoPath, d.host.opt.Queue)
		}
		l, changed = d.pick(array)
	}
	return l, nil
}

// wait leaves a busy path alone for a moment.
func wait(ctx context.Context, deadline <-chan time.Time) error {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-deadline:
		return errors.New("busy for longer than a command may wait")
	}
}
