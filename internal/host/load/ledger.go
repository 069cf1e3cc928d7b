// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"hash/crc32"
	"sync/atomic"
)

// A ledger knows what the blocks of one disk may hold.
type ledger struct {
	run, disk uint64
	table     *crc32.Table
	// least is the oldest sequence that a read which starts now may return: the last
	// one acknowledged or shown. tried is the newest ever sent. By block.
	least, tried []atomic.Uint64
	acked        []atomic.Uint64
}

func newLedger(run, disk uint64, blocks int64) *ledger {
	return &ledger{
		run: run, disk: disk, table: crc32.MakeTable(crc32.Castagnoli),
		least: make([]atomic.Uint64, blocks), tried: make([]atomic.Uint64, blocks), acked: make([]atomic.Uint64, blocks),
	}
}

func (l *ledger) stamp(block int64) stamp {
	return stamp{run: l.run, disk: l.disk, block: uint64(block)}
}

// write stamps buf with the next sequence of each block from first on. Only the
// blocks' writer may call it.
func (l *ledger) write(first int64, buf []byte) {
	for i := range int64(len(buf) / Block) {
		s := l.stamp(first + i)
		s.sequence = l.tried[first+i].Add(1)
		s.fill(buf[i*Block:(i+1)*Block], l.table)
	}
}

// acknowledge notes that what write stamped last is on the disk.
func (l *ledger) acknowledge(first int64, blocks int) {
	for i := range int64(blocks) {
		seq := l.tried[first+i].Load()
		l.acked[first+i].Store(seq)
		raise(&l.least[first+i], seq)
	}
}

// floor returns what a read of these blocks that starts now must at least return.
func (l *ledger) floor(first int64, blocks int) []uint64 {
	out := make([]uint64, blocks)
	for i := range out {
		out[i] = l.least[first+int64(i)].Load()
	}
	return out
}

// A Fault is a block that holds what it may not.
type Fault struct {
	Disk, Block uint64
	// Have is the sequence found, Acknowledged or shown before the read began, Tried
	// the newest sent.
	Have, Least, Tried uint64
	Err                error // the block is not whole
}

// Error tells the fault.
func (f *Fault) Error() string {
	if f.Err != nil {
		return fmt.Sprintf("disk %d, block %d (write %d was acknowledged): %v", f.Disk, f.Block, f.Least, f.Err)
	}
	return fmt.Sprintf("disk %d, block %d: holds write %d, but %d was acknowledged or read before and %d is the newest", f.Disk, f.Block, f.Have, f.Least, f.Tried)
}

// check holds what was read against the floor from before the read.
func (l *ledger) check(first int64, buf []byte, floor []uint64) (faults []*Fault) {
	for i, least := range floor {
		n := first + int64(i)
		have, err := l.stamp(n).sequenceOf(buf[i*Block:(i+1)*Block], l.table)
		tried := l.tried[n].Load()
		if err != nil || have < least || have > tried {
			faults = append(faults, &Fault{Disk: l.disk, Block: uint64(n), Have: have, Least: least, Tried: tried, Err: err})
			continue
		}
		raise(&l.least[n], have)
	}
	return faults
}

func raise(a *atomic.Uint64, v uint64) {
	for {
		old := a.Load()
		if old >= v || a.CompareAndSwap(old, v) {
			return
		}
	}
}
