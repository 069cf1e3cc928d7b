// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"hash/crc64"
	"sync"
)

// readers is how many commands read at a time in a pass over everything.
const readers = 8

// A Picture is a checksum of every block of every disk. Not the checksum that the
// blocks carry: that one is the same over every block that ends with its own.
type Picture [][]uint64

// Verify reads everything through the named array, while the load is stopped, and
// holds it against what was acknowledged. Blocks that hold less are counted as
// faults, like in the load itself.
func (l *Load) Verify(ctx context.Context, array string) (Picture, error) {
	p := make(Picture, len(l.ledgers))
	for d, g := range l.ledgers {
		p[d] = make([]uint64, len(g.acked))
		if err := l.verify(ctx, array, d, p[d]); err != nil {
			return nil, fmt.Errorf("read disk %d through %s: %w", d, array, err)
		}
	}
	return p, nil
}

func (l *Load) verify(ctx context.Context, array string, d int, sums []uint64) error {
	g, poly := l.ledgers[d], crc64.MakeTable(crc64.ECMA)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int64)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			buf := make([]byte, extent*Block)
			for first := range work {
				n := min(extent, len(g.acked)-int(first))
				floor := g.floor(first, n)
				if err := l.opt.Disks[d].Read(ctx, array, buf[:n*Block], first*Block); err != nil {
					cancel(err)
					continue
				}
				l.note(g.check(first, buf[:n*Block], floor))
				for i := range n {
					sums[first+int64(i)] = crc64.Checksum(buf[i*Block:(i+1)*Block], poly)
				}
			}
		})
	}
feed:
	for first := int64(0); first < int64(len(g.acked)); first += extent {
		select {
		case work <- first:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// Compare returns how many blocks differ between two pictures.
func (p Picture) Compare(q Picture) (blocks, different int) {
	for d := range p {
		for i := range p[d] {
			blocks++
			if d >= len(q) || i >= len(q[d]) || p[d][i] != q[d][i] {
				different++
			}
		}
	}
	return blocks, different
}
