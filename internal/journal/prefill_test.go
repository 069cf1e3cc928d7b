// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// TestThePrefillerLeavesATakenSegmentAlone holds the prefiller at its first segment
// until the committer, which then takes the next one, is about to flush what that
// begins with. The prefiller must not write zeros over it, nor over the records behind.
func TestThePrefillerLeavesATakenSegmentAlone(t *testing.T) {
	disk := vfs.NewMem()
	files := vfs.NewInject(disk)
	arrived, taken := make(chan struct{}), make(chan struct{})
	var j opened
	files.Add(vfs.Rule{Verb: vfs.OpWrite, Match: segmentName(1), Times: 1, Before: func(vfs.Op) {
		close(arrived)
		<-taken
	}})
	// The first flush of a segment is that of its blocks, when the journal is made.
	files.Add(vfs.Rule{Verb: vfs.OpSync, Match: segmentName(2), Skip: 1, Times: 1, Before: func(vfs.Op) {
		close(taken)
		<-j.Prepared()
	}})
	o := testOptions()
	o.NoPrefill = false
	j = mustOpen(t, files, o)
	<-arrived
	ok(t, j.SetBase(1, array.Position{}))
	p := array.Place(0)
	for j.seq() < 3 { // the first record behind the checkpoint of the second segment, and more
		p++
		ok(t, j.Append(rec(1, p, 4<<10)))
		j.waitFor(1, p)
	}
	ok(t, j.Close())
	j = mustOpen(t, disk, testOptions())
	defer j.Close()
	if _, last, _ := j.Bounds(1); last.Place != p {
		t.Fatalf("%d records were durable, %d are there", p, last.Place)
	}
}

// seq returns the number of the segment that is being written.
func (o opened) seq() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cur.seq
}
