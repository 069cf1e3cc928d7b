// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/vfs"
)

// load is a kind of work, of ours and of the peer.
type load struct {
	name   string
	write  bool
	random bool
	block  int64
	depth  int // workers with one command outstanding each
}

// fio returns fio's name of the load.
func (l load) fio() string {
	name := "read"
	if l.write {
		name = "write"
	}
	if l.random {
		name = "rand" + name
	}
	return name
}

// value turns commands per second into what is printed.
func (l load) value(iops float64) (float64, string) {
	if l.random {
		return iops, "IOPS"
	}
	return iops * float64(l.block) / (1 << 20), "MiB/s"
}

// driver puts a load on a unit.
type driver struct {
	u       *group.Unit
	buffers *block.Pool
	span    int64 // the bytes of the volume that are used, all of them written
	seed    uint64
	// Of the last run: what a command took of the processors, and the slowest one.
	cpu, slowest time.Duration
	drained      float64 // commands per second, with the time until all was on pages
	ops          atomic.Uint64
	busy         atomic.Int64 // commands that found no room for two seconds
}

// run returns the commands per second of d, after a lead that is not counted: a write
// is measured against an overlay that is as full as it gets under this load.
func (dr *driver) run(l load, lead, d time.Duration) (float64, error) {
	var counted atomic.Int64
	var phase atomic.Int32 // 0 lead, 1 counted, 2 over
	errs := make(chan error, l.depth)
	var wg sync.WaitGroup
	workers := make([]*worker, l.depth)
	for i := range workers {
		dr.seed++
		w := newWorker(dr, l, i, dr.seed)
		workers[i] = w
		wg.Go(func() {
			for phase.Load() < 2 {
				began := time.Now()
				if err := w.step(); err != nil {
					errs <- err
					return
				}
				w.slowest = max(w.slowest, time.Since(began))
				if phase.Load() == 1 {
					counted.Add(1)
				}
			}
		})
	}
	time.Sleep(lead)
	began, before := time.Now(), processors()
	phase.Store(1)
	time.Sleep(d)
	n, took := counted.Load(), time.Since(began)
	dr.cpu = (processors() - before) / time.Duration(max(n, 1))
	phase.Store(2)
	wg.Wait()
	close(errs)
	dr.slowest = 0
	for _, w := range workers {
		dr.slowest = max(dr.slowest, w.slowest)
	}
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return float64(n) / took.Seconds(), errors.Join(all...)
}

// processors is what this program has had of them. Unlike a rate it says something on
// a machine that others use too.
func processors() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// worker has one command outstanding.
type worker struct {
	dr       *driver
	l        load
	rng      *rand.Rand
	from, to int64 // its part of the volume, for sequential work
	at       int64
	noise    []byte // what it writes comes from here, and is never twice the same
	dst      []byte
	ended    chan error
	slowest  time.Duration
}

func newWorker(dr *driver, l load, i int, seed uint64) *worker {
	part := dr.span / int64(l.depth) / l.block * l.block
	w := &worker{
		dr: dr, l: l, rng: rand.New(rand.NewPCG(seed, uint64(i))), from: int64(i) * part, to: int64(i+1) * part, at: int64(i) * part,
		noise: make([]byte, l.block+stampEvery), dst: vfs.NewBuffer(int(l.block)), ended: make(chan error, 1),
	}
	if l.write {
		for n := 0; n < len(w.noise); n += 8 {
			binary.LittleEndian.PutUint64(w.noise[n:], w.rng.Uint64())
		}
	}
	return w
}

func (w *worker) next() int64 {
	if w.l.random {
		return w.rng.Int64N(w.dr.span/w.l.block) * w.l.block
	}
	off := w.at
	if w.at += w.l.block; w.at >= w.to {
		w.at = w.from
	}
	return off
}

func (w *worker) step() error {
	off := w.next()
	id := w.dr.ops.Add(1)
	done := func(err error) { w.ended <- err }
	if !w.l.write {
		w.dr.u.Read(freshOp(w.dr.u, id), off, w.dst, done)
		if err := <-w.ended; err != nil {
			return err
		}
		return checkStamps(w.dst, off)
	}
	b, ok := w.dr.buffers.Get(int(w.l.block))
	if !ok {
		return fmt.Errorf("no buffer left at %d outstanding commands", w.l.depth)
	}
	skip := int(id) % stampEvery / 8 * 8
	copy(b.Bytes(), w.noise[skip:])
	stamp(b.Bytes(), off, id)
	defer b.Release()
	for {
		w.dr.u.Mutate(freshOp(w.dr.u, id), scsi.Mutation{Kind: scsi.Write, Offset: off, Length: w.l.block, Data: b}, done)
		err := <-w.ended
		if array.KindOf(err) != array.Busy {
			return err
		}
		w.dr.busy.Add(1) // as a host does: the same command again
	}
}

// stampEvery is how often the content says where it belongs.
const stampEvery = 4096

// stamp says in each block where it belongs and which write it was.
func stamp(b []byte, off int64, id uint64) {
	for n := 0; n < len(b); n += stampEvery {
		binary.LittleEndian.PutUint64(b[n:], ^uint64(off+int64(n)))
		binary.LittleEndian.PutUint64(b[n+8:], id)
	}
}

// checkStamps finds a block that was never written or belongs elsewhere: figures of an
// engine that returns wrong bytes are worth nothing.
func checkStamps(b []byte, off int64) error {
	for n := 0; n < len(b); n += stampEvery {
		if got := ^binary.LittleEndian.Uint64(b[n:]); got != uint64(off)+uint64(n) {
			return fmt.Errorf("WRONG DATA: the block at %d is stamped %d", off+int64(n), int64(got))
		}
	}
	return nil
}
