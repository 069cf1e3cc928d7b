// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"slices"
	"sort"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// A large payload need not be written twice, to the journal and then to pages: its owner
// may put it on fresh pages at once, and the record in the journal says where. Such a
// record counts when both are durable, and the records of its group that follow wait for
// it; those of other groups do not. See early.go for which of the two comes first.
//
// What it said stays true for as long as the record can be met again: after a Release
// that is until a checkpoint without it is durable, and nobody reads it any more; after a
// Cut, SetBase or Forget until that is durable.

// Outside is the payload of one record, on its way to where it stays outside the journal.
type Outside interface {
	// Write takes room and makes the payload durable there; ref says where, in at most
	// as many bytes. After an error the payload goes to the journal. It is called once,
	// from a goroutine of its own. It may call known with ref before the payload is
	// durable, if Places.Check finds out whether it is.
	Write(known func(ref []byte)) (ref []byte, err error)
	// Drop says that the journal doesn't have the record any more.
	Drop()
}

// Places is where payloads lie that are outside.
type Places interface {
	// Claim is called for each such record when the journal is opened, before Open
	// returns: what ref names must stay as it is until Drop.
	Claim(ref []byte) (Outside, error)
	// Load reads the payload that ref names, of exactly len(dst) bytes. dst is aligned.
	Load(ref []byte, dst []byte) error
	// Check reports whether the payload that ref names is there, by its checksums, and
	// makes it durable if so. An error says that this can't be known.
	Check(ref []byte) (whole bool, err error)
}

// writers is how many payloads are written at the same time, outside.
const writers = 8

// outsider is an outside payload of a place.
type outsider struct {
	place array.Place
	at    Outside
}

// lateAfter is how long a payload may be on its way outside. Then it goes to the journal:
// pages that hang must not keep the journal, and with it all groups, from going on.
const lateAfter = 500 * time.Millisecond

// sendOutside lets an item's payload be written. The caller holds j.mu.
func (j *Journal) sendOutside(it *item) {
	it.waits = true
	if it.Buf != nil {
		it.Buf.Retain() // a journal that breaks lets go of its own
	}
	it.late = time.AfterFunc(lateAfter, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		it.giveUp()
		j.wake.Broadcast()
	})
	j.outward = append(j.outward, it)
	if j.writers < writers {
		j.writers++
		go j.writeOutside()
	}
}

// writeOutside writes payloads until there are none.
func (j *Journal) writeOutside() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.outward) > 0 {
		it := j.outward[0]
		j.outward = slices.Delete(j.outward, 0, 1)
		var ref []byte
		err := errLate
		if it.waits {
			j.mu.Unlock()
			ref, err = it.Outside.Write(func(ref []byte) { j.known(it, ref) })
			j.mu.Lock()
		}
		if err == nil && (len(ref) > len(it.Payload) || !it.waits) {
			j.mu.Unlock()
			it.Outside.Drop() // of no use: the journal has the payload, or will
			j.mu.Lock()
			err = errLate
		}
		if it.giveUp(); err == nil {
			it.ref = ref
		}
		it.late.Stop()
		if it.Buf != nil {
			it.Buf.Release()
		}
		j.wake.Broadcast()
	}
	j.writers--
	j.wake.Broadcast()
}

var errLate = errors.New("the payload goes to the journal")

// letGo takes out those that are not from lo to hi.
func (g *group) letGo(lo, hi array.Place) (gone []Outside) {
	from := sort.Search(len(g.outs), func(i int) bool { return g.outs[i].place >= lo })
	to := sort.Search(len(g.outs), func(i int) bool { return g.outs[i].place > hi })
	for i, o := range g.outs {
		if i < from || i >= to {
			gone = append(gone, o.at)
		}
	}
	if len(gone) > 0 {
		g.outs = slices.Clone(g.outs[from:to])
	}
	return gone
}

// gone is what no record on disk names any more since a moment: readers up to a number
// may still meet it.
type gone struct {
	readers uint64
	outs    []Outside
}

// droppable returns what nobody can meet any more. The caller holds j.mu.
func (j *Journal) droppable() (outs []Outside) {
	oldest := j.lastReader + 1
	for n := range j.readers {
		oldest = min(oldest, n)
	}
	k := 0
	for ; k < len(j.gone) && j.gone[k].readers < oldest; k++ {
		outs = append(outs, j.gone[k].outs...)
	}
	j.gone = slices.Delete(j.gone, 0, k)
	return outs
}

func drop(outs []Outside) {
	for _, o := range outs {
		o.Drop()
	}
}

// enoughReleased is how many payloads are let go of at once while records are written: a
// checkpoint has something of every group.
const enoughReleased = 16

// mayLetGo reports whether a checkpoint is worth while that frees no segment: if it takes
// no room that was promised. The caller holds j.mu.
func (j *Journal) mayLetGo() bool {
	return len(j.released) > 0 && (len(j.released) >= enoughReleased || len(j.queue) == 0) && j.room(keepForData) >= j.o.checkpointRoom()
}

// load returns a record's payload, wherever it is. Of one that lies outside it is valid
// until the window loads another.
func (j *Journal) load(w *window, h *header) error {
	if !h.outside {
		return nil
	}
	if j.o.Places == nil {
		return array.Errorf(array.Invalid, "its %d bytes are outside the journal, and nothing says where that is", h.Length)
	}
	if h.Length < 0 || h.Length > maxOutside {
		return array.Errorf(array.Medium, "it says that %d bytes are outside the journal", h.Length)
	}
	if int64(len(w.out)) < h.Length {
		w.out = vfs.NewBuffer(int(h.Length))
	}
	dst := w.out[:h.Length]
	if err := j.o.Places.Load(h.Payload, dst); err != nil {
		return err
	}
	h.Payload = dst
	return nil
}

// maxOutside bounds what a damaged record can ask for.
const maxOutside = 64 << 20
