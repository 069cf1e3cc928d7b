// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

// What a snapshot shows is written to a volume as a host would: in the order of the
// volume's group, on both arrays. Nobody else writes to the volume meanwhile, so writing
// the same again does no harm.

const (
	// writesAtOnce is how many ranges are under way when a volume is written back.
	writesAtOnce = 32
	// busyTries is how often a range is tried that its group has no place for, busyEvery
	// how long after each other: as long as a failover takes, and more.
	busyTries = 100
	busyEvery = 100 * time.Millisecond
	// healings is how many damaged pages of one range are repaired on the way.
	healings = 64
)

// writer writes what a snapshot shows to a volume.
type writer struct {
	n    *Node
	pool *volume.Pool // the snapshot's
	from *volume.Volume
	to   *group.Unit
}

// differences writes the pages of from that may differ to its volume, and returns how
// many. It tells up to where it is.
func (w writer) differences(ctx context.Context, at func(off int64)) (written int64, err error) {
	all, inner := errgroup.WithContext(ctx)
	all.SetLimit(writesAtOnce)
	size := w.from.Spec().Size
	err = w.pool.Differ(w.from.Spec().ID, w.to.Identity().Volume, 0, func(page int64) bool {
		if inner.Err() != nil {
			return false
		}
		written++
		off := page * block.Page
		at(off)
		all.Go(func() error {
			if off >= size { // it was shorter
				return w.zero(inner, off, min(block.Page, w.to.Size()-off))
			}
			return w.copyRange(inner, off, min(block.Page, size-off), false)
		})
		return true
	})
	return written, errors.Join(all.Wait(), err, ctx.Err())
}

// copyRange writes one range as it is in the snapshot; with compare only if it is
// something else.
func (w writer) copyRange(ctx context.Context, off, length int64, compare bool) error {
	b, err := w.n.pool.Wait(ctx, int(length))
	if err != nil {
		return err
	}
	defer b.Release()
	if err := w.read(ctx, b.Bytes(), off); err != nil {
		return err
	}
	if compare {
		same, err := w.isThere(ctx, b.Bytes(), off)
		if err != nil || same {
			return err
		}
	}
	return w.mutate(ctx, scsi.Mutation{Kind: scsi.Write, Offset: off, Length: length, Data: b})
}

// copyChunk is how much of a volume is copied by one write.
const copyChunk = 8 * block.Page

// whole makes the volume, up to the snapshot's size, what the snapshot shows. What is
// there already is not written again, so that beginning anew costs reads. done is told
// of each range that is as it should be.
func (w writer) whole(ctx context.Context, done func(bytes int64)) error {
	all, inner := errgroup.WithContext(ctx)
	all.SetLimit(writesAtOnce)
	var from, to extent
	size := w.from.Spec().Size
	for off, n := int64(0), int64(0); off < size && inner.Err() == nil; off += n {
		if err := from.at(off, w.from.Extent); err != nil {
			return errors.Join(err, all.Wait())
		}
		_ = to.at(off, func(off int64) (int64, bool, error) { n, mapped := w.to.Extent(off); return n, mapped, nil })
		n = min(from.end, to.end, size) - off
		if from.mapped {
			n = min(n, copyChunk)
		}
		at, length, compare := off, n, to.mapped
		if !from.mapped && !to.mapped {
			done(length)
			continue
		}
		zero := !from.mapped
		all.Go(func() (err error) {
			if zero {
				err = w.zero(inner, at, length)
			} else {
				err = w.copyRange(inner, at, length, compare)
			}
			if err == nil {
				done(length)
			}
			return err
		})
	}
	return errors.Join(all.Wait(), ctx.Err())
}

// extent is a range of a volume that is alike mapped or not.
type extent struct {
	end    int64
	mapped bool
}

// at makes e the extent that off is in.
func (e *extent) at(off int64, look func(off int64) (int64, bool, error)) error {
	if off < e.end {
		return nil
	}
	n, mapped, err := look(off)
	if err == nil && n <= 0 {
		err = array.Errorf(array.Internal, "an extent of %d bytes at %d", n, off)
	}
	e.end, e.mapped = off+n, mapped
	return err
}

func (w writer) zero(ctx context.Context, off, length int64) error {
	return w.mutate(ctx, scsi.Mutation{Kind: scsi.Unmap, Offset: off, Length: length})
}

// maxEmpty is how much is given back by one command.
const maxEmpty = 512 << 20

// empty gives a range of the volume back.
func (w writer) empty(ctx context.Context, off, length int64) error {
	for end := off + length; off < end; {
		n, mapped := w.to.Extent(off)
		n = min(n, end-off, maxEmpty)
		if n <= 0 {
			return array.Errorf(array.Internal, "an extent of %d bytes at %d", n, off)
		}
		if mapped {
			if err := w.zero(ctx, off, n); err != nil {
				return err
			}
		}
		off += n
	}
	return nil
}

// read reads the snapshot, and heals the damaged pages that it meets.
func (w writer) read(ctx context.Context, dst []byte, off int64) error {
	for range healings {
		err := w.from.Read(dst, off)
		var bad *volume.Bad
		if !errors.As(err, &bad) || !w.n.heal(ctx, w.pool, *bad) {
			return err
		}
	}
	return array.Errorf(array.Medium, "%d damaged pages at %d of a snapshot", healings, off)
}

// isThere reports whether the volume has these bytes already.
func (w writer) isThere(ctx context.Context, want []byte, off int64) (same bool, err error) {
	b, err := w.n.pool.Wait(ctx, len(want))
	if err != nil {
		return false, err
	}
	defer b.Release()
	err = patiently(ctx, func(done func(error)) { w.to.Read(w.n.ownOp(w.to), off, b.Bytes(), done) })
	return err == nil && bytes.Equal(b.Bytes(), want), err
}

func (w writer) mutate(ctx context.Context, m scsi.Mutation) error {
	return patiently(ctx, func(done func(error)) { w.to.Mutate(w.n.ownOp(w.to), m, done) })
}

// patiently carries a command of the array's own out, again while its group has no place
// for it.
func patiently(ctx context.Context, do func(done func(error))) error {
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		do(func(err error) { ended <- err })
		err := <-ended
		if err == nil || array.KindOf(err) != array.Busy || try == busyTries {
			return err
		}
		pause(ctx, busyEvery)
	}
}

// ownOp is a command of the array's own.
func (n *Node) ownOp(u *group.Unit) *scsi.Op {
	return &scsi.Op{ID: n.ops.Add(1) | 1<<63, Arrived: boottime.Now(), Generation: u.Reservations().Revision}
}
