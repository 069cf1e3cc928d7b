// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// extent is how many blocks one worker owns in a row, and the most it writes at
	// once: 64 KiB.
	extent = 16
	// maxFaults bounds the faults that are kept; all are counted.
	maxFaults = 16
)

// A Disk is what is loaded.
type Disk interface {
	Size() int64
	// Read reads through the named array only, or through any if it is "".
	Read(ctx context.Context, array string, b []byte, off int64) error
	Write(ctx context.Context, b []byte, off int64) error
}

// Options describe a load.
type Options struct {
	Disks []Disk
	// Blocks bounds the part of each disk that is used; 0 is all.
	Blocks int64
	// Workers is how many commands are under way at a time.
	Workers int
	// Reads is the part of commands that read, 0 to 1.
	Reads float64
	// Think is how long a worker waits between two commands.
	Think time.Duration
	Seed  uint64
}

// A Load is under way from Start to Stop, and can be started again.
type Load struct {
	opt     Options
	ledgers []*ledger

	acked  atomic.Uint64 // write commands acknowledged
	faults atomic.Uint64
	failed atomic.Uint64 // commands that failed in the host's eyes

	mu    sync.Mutex
	kept  []error
	stop  context.CancelFunc
	wg    sync.WaitGroup
	begun uint64 // how often it was started: each time other random numbers
}

// New returns a load that has not begun.
func New(o Options) (*Load, error) {
	if len(o.Disks) == 0 || o.Workers < 1 {
		return nil, fmt.Errorf("new load: %d disks and %d workers", len(o.Disks), o.Workers)
	}
	l := &Load{opt: o}
	for i, d := range o.Disks {
		blocks := d.Size() / Block
		if o.Blocks > 0 {
			blocks = min(blocks, o.Blocks)
		}
		if blocks < extent*int64(o.Workers) {
			return nil, fmt.Errorf("new load: disk %d has %d blocks, too few for %d workers", i, blocks, o.Workers)
		}
		l.ledgers = append(l.ledgers, newLedger(o.Seed, uint64(i), blocks))
	}
	return l, nil
}

// Start lets the workers work until Stop.
func (l *Load) Start() {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.begun++
	for w := range l.opt.Workers {
		rng := rand.New(rand.NewPCG(l.opt.Seed+l.begun, uint64(w)))
		l.wg.Go(func() { l.work(ctx, w, rng) })
	}
}

// Stop returns when all commands have ended. A command that waits for a path is
// not cut short: its outcome would be lost.
func (l *Load) Stop() {
	l.stop()
	l.wg.Wait()
}

// Acknowledged returns how many writes were acknowledged.
func (l *Load) Acknowledged() uint64 { return l.acked.Load() }

// Faults returns how many blocks held what they may not.
func (l *Load) Faults() uint64 { return l.faults.Load() }

// Failed returns how many commands ended with an error.
func (l *Load) Failed() uint64 { return l.failed.Load() }

// Err returns the first faults and errors.
func (l *Load) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.kept...)
}

func (l *Load) keep(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) < maxFaults {
		l.kept = append(l.kept, fmt.Errorf("%s: %w", time.Now().Format("15:04:05.000"), err))
	}
}

func (l *Load) work(ctx context.Context, w int, rng *rand.Rand) {
	buf := make([]byte, extent*Block)
	for ctx.Err() == nil {
		d := rng.IntN(len(l.opt.Disks))
		if rng.Float64() < l.opt.Reads {
			l.read(d, rng, buf)
		} else {
			l.write(d, w, rng, buf)
		}
		if l.opt.Think > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(l.opt.Think):
			}
		}
	}
}

// size returns how many blocks a command has: 1 to extent, the powers of two alike
// likely.
func size(rng *rand.Rand) int { return 1 << rng.IntN(bits.Len(extent)) }

// read reads anywhere.
func (l *Load) read(d int, rng *rand.Rand, buf []byte) {
	g := l.ledgers[d]
	n := size(rng)
	first := rng.Int64N(int64(len(g.acked) - n + 1))
	floor := g.floor(first, n)
	if err := l.opt.Disks[d].Read(context.Background(), "", buf[:n*Block], first*Block); err != nil {
		l.failed.Add(1)
		l.keep(err)
		return
	}
	l.note(g.check(first, buf[:n*Block], floor))
}

// write writes inside one of the worker's own extents.
func (l *Load) write(d, w int, rng *rand.Rand, buf []byte) {
	g := l.ledgers[d]
	workers := int64(l.opt.Workers)
	extents := int64(len(g.acked)) / extent
	e := rng.Int64N(extents/workers)*workers + int64(w)
	n := size(rng)
	first := e*extent + int64(rng.IntN(extent-n+1))
	g.write(first, buf[:n*Block])
	if err := l.opt.Disks[d].Write(context.Background(), buf[:n*Block], first*Block); err != nil {
		l.failed.Add(1)
		l.keep(err)
		return
	}
	g.acknowledge(first, n)
	l.acked.Add(1)
}

func (l *Load) note(faults []*Fault) {
	l.faults.Add(uint64(len(faults)))
	for _, f := range faults {
		l.keep(f)
	}
}
