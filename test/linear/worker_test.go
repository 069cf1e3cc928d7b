// SPDX-License-Identifier: Apache-2.0

//go:build lab

package linear

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

const (
	blockSize = 4096
	// pathWithin is how long a worker waits for a path before it looks elsewhere.
	pathWithin = 100 * time.Millisecond
)

// field is what the workers share: some blocks of a disk.
type field struct {
	began  time.Time
	blocks int
	last   atomic.Uint64 // value
	done   atomic.Int64
	// through counts what was answered by each array.
	through [2]atomic.Int64
	failed  atomic.Pointer[error]
}

// shared reports whether each array answered three tenths of all.
func (f *field) shared() bool {
	least := f.done.Load() * 3 / 10
	return f.through[0].Load() >= least && f.through[1].Load() >= least
}

// worker has one command out at a time.
type worker struct {
	*field
	id      int
	disk    *host.Disk
	arrays  []int // whose paths it has; of both it uses the one that answered less
	rng     *rand.Rand
	seen    []uint64 // the newest value it saw of each block
	history []porcupine.Operation
	lost    *input // a compare and write without an answer, to be sent again
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil && w.failed.Load() == nil {
		i := w.next()
		if err := w.once(ctx, i); err != nil && ctx.Err() == nil {
			err = fmt.Errorf("worker %d: %w", w.id, err)
			w.failed.CompareAndSwap(nil, &err)
		}
	}
}

func (w *worker) next() input {
	if i := w.lost; i != nil {
		w.lost = nil
		again := *i
		again.again = true
		return again
	}
	i := input{block: w.rng.IntN(w.blocks)}
	switch dice := w.rng.IntN(10); {
	case dice < 5:
	case dice < 8:
		i.kind, i.value = write, w.last.Add(1)
	default:
		i.kind, i.value, i.compare = compareAndWrite, w.last.Add(1), w.seen[i.block]
	}
	return i
}

// once sends an operation once and notes what came of it.
func (w *worker) once(ctx context.Context, i input) error {
	off := int64(i.block) * blockSize
	cmd, err := host.Reading(blockSize, off)
	switch i.kind {
	case write:
		cmd, err = host.Writing(content(i.value, i.block), off)
	case compareAndWrite:
		cmd, err = host.Comparing(content(i.compare, i.block), content(i.value, i.block), off)
	}
	if err != nil {
		return err
	}
	at := w.arrays[0]
	if len(w.arrays) > 1 && w.through[1].Load() < w.through[0].Load() {
		at = w.arrays[1]
	}
	call := time.Since(w.began)
	r, outcome, err := w.disk.Once(ctx, rig.Name(at), cmd, pathWithin)
	back := time.Since(w.began)
	o := output{}
	switch {
	case outcome == host.NotDone: // no path, perhaps
		if i.again {
			w.lost = &i
		}
		return nil
	case err != nil:
		return fmt.Errorf("block %d through %s: %w", i.block, rig.Name(at), err)
	case outcome == host.Maybe && i.kind == read:
		return nil
	case outcome == host.Maybe:
		o.unknown, back = true, forever
		if i.kind == compareAndWrite {
			w.lost = &i
		}
	case i.kind == read:
		if o.value, err = valueOf(r.In, i.block); err != nil {
			return fmt.Errorf("block %d through %s: %w", i.block, rig.Name(at), err)
		}
		w.seen[i.block] = o.value
	case outcome == host.Miscompared:
		o.miscompared = true
	default:
		w.seen[i.block] = i.value
	}
	if !o.unknown {
		w.through[at].Add(1)
		w.done.Add(1)
	}
	w.history = append(w.history, porcupine.Operation{ClientId: w.id, Input: i, Output: o, Call: int64(call), Return: int64(back)})
	return nil
}

// content is a block with a value.
func content(value uint64, block int) []byte {
	b := make([]byte, blockSize)
	if value == 0 {
		return b
	}
	for at := 0; at < len(b); at += 16 {
		binary.LittleEndian.PutUint64(b[at:], value)
		binary.LittleEndian.PutUint64(b[at+8:], uint64(block)<<16|uint64(at))
	}
	return b
}

// valueOf reads it back.
func valueOf(b []byte, block int) (uint64, error) {
	value := binary.LittleEndian.Uint64(b)
	if string(b) != string(content(value, block)) {
		return 0, fmt.Errorf("is torn, or not what write %d wrote", value)
	}
	return value, nil
}
