// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/host"
)

// blockSize is the unit of the verified load.
const blockSize = 4096

// load writes and reads stamped blocks of one disk and remembers what was
// acknowledged. A block is changed by one worker only, so what a read may return is
// known: the last acknowledged stamp, or one that was tried after it.
type load struct {
	disk   *host.Disk
	blocks int
	acked  []uint64 // by block, the stamp acknowledged last
	tried  []uint64

	writes, reads atomic.Int64
	// began is when each worker's command started, 0 between commands.
	began  []atomic.Int64
	worst  atomic.Int64
	failed atomic.Pointer[error]
	stop   chan struct{}
	wg     sync.WaitGroup
}

// newLoad starts workers over the first blocks of d, a third of them reading.
func newLoad(d *host.Disk, blocks, workers int, seed uint64) *load {
	l := &load{
		disk: d, blocks: blocks, acked: make([]uint64, blocks), tried: make([]uint64, blocks),
		began: make([]atomic.Int64, workers), stop: make(chan struct{}),
	}
	for w := range workers {
		l.wg.Go(func() { l.work(w, workers, rand.New(rand.NewPCG(seed, uint64(w)))) })
	}
	return l
}

func (l *load) work(w, workers int, rng *rand.Rand) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		b := rng.IntN(l.blocks/workers)*workers + w
		l.began[w].Store(time.Now().UnixNano())
		var err error
		if rng.IntN(3) == 0 {
			err = l.read(b)
		} else {
			err = l.write(b)
		}
		took := time.Now().UnixNano() - l.began[w].Swap(0)
		for o := l.worst.Load(); took > o && !l.worst.CompareAndSwap(o, took); o = l.worst.Load() {
		}
		if err != nil {
			err = fmt.Errorf("block %d: %w", b, err)
			l.failed.CompareAndSwap(nil, &err)
			return
		}
	}
}

// stamped fills a block so that no other stamp or block gives the same bytes.
func stamped(block int, stamp uint64) []byte {
	p := make([]byte, blockSize)
	binary.BigEndian.PutUint64(p, uint64(block))
	binary.BigEndian.PutUint64(p[8:], stamp)
	x := uint64(block)*0x9E3779B97F4A7C15 ^ stamp
	for i := 16; i+8 <= blockSize-4; i += 8 {
		x = x*6364136223846793005 + 1442695040888963407
		binary.BigEndian.PutUint64(p[i:], x)
	}
	binary.BigEndian.PutUint32(p[blockSize-4:], crc32.ChecksumIEEE(p[:blockSize-4]))
	return p
}

// stampOf returns the stamp of what was read; a block never written reads as zeros.
func stampOf(block int, p []byte) (uint64, error) {
	zero := true
	for _, c := range p {
		zero = zero && c == 0
	}
	if zero {
		return 0, nil
	}
	if binary.BigEndian.Uint32(p[blockSize-4:]) != crc32.ChecksumIEEE(p[:blockSize-4]) || binary.BigEndian.Uint64(p) != uint64(block) {
		return 0, fmt.Errorf("holds bytes that were never written there as a whole")
	}
	return binary.BigEndian.Uint64(p[8:]), nil
}

func (l *load) write(b int) error {
	l.tried[b]++
	stamp := l.tried[b]
	if err := l.disk.Write(context.Background(), stamped(b, stamp), int64(b)*blockSize); err != nil {
		return err
	}
	l.acked[b] = stamp
	l.writes.Add(1)
	return nil
}

func (l *load) read(b int) error {
	p := make([]byte, blockSize)
	if err := l.disk.Read(context.Background(), "", p, int64(b)*blockSize); err != nil {
		return err
	}
	l.reads.Add(1)
	return l.judge(b, p)
}

func (l *load) judge(b int, p []byte) error {
	s, err := stampOf(b, p)
	if err != nil {
		return err
	}
	if s < l.acked[b] || s > l.tried[b] {
		return fmt.Errorf("reads as of write %d; %d was acknowledged and %d tried", s, l.acked[b], l.tried[b])
	}
	return nil
}

// longest returns the longest any command took since the last call, one still
// under way included.
func (l *load) longest() time.Duration {
	w := l.worst.Swap(0)
	now := time.Now().UnixNano()
	for i := range l.began {
		if b := l.began[i].Load(); b != 0 {
			w = max(w, now-b)
		}
	}
	return time.Duration(w)
}

// err returns the first error a worker met.
func (l *load) err() error {
	if e := l.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// end stops the workers.
func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

// verify reads every block after end through one array, and returns how many
// acknowledged writes are missing and a checksum of all blocks.
func (l *load) verify(array string) (lost int, sum uint32, err error) {
	const chunk = 64
	h := crc32.NewIEEE()
	p := make([]byte, chunk*blockSize)
	for at := 0; at < l.blocks; at += chunk {
		n := min(chunk, l.blocks-at)
		if err := l.disk.Read(context.Background(), array, p[:n*blockSize], int64(at)*blockSize); err != nil {
			return lost, 0, err
		}
		_, _ = h.Write(p[:n*blockSize])
		for i := range n {
			if l.judge(at+i, p[i*blockSize:(i+1)*blockSize]) != nil {
				lost++
			}
		}
	}
	return lost, h.Sum32(), nil
}
