// SPDX-License-Identifier: Apache-2.0

package group

import (
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/replication"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

// sized is a disk with a size and, for a copy, no pages but those that were changed.
type sized struct {
	Disk
	size    int64
	changed []int64
}

func (d sized) Spec() volume.VolumeSpec { return volume.VolumeSpec{Size: d.size} }

func (d sized) ChangedSince(_ array.Place, from int64, fn func(int64, array.Place) bool) error {
	for _, n := range d.changed {
		if n >= from && !fn(n, 1) {
			return nil
		}
	}
	return nil
}

// TestFilled: a copy by pages is as far as the volumes were looked through, and what is sent
// from the journal as far as the places are.
func TestFilled(t *testing.T) {
	c := &copyRun{begun: true, acked: 3}
	c.cond = sync.NewCond(&c.mu)
	g := &Group{core: replication.New(array.SideA, nil, 0), copying: c}
	first := &Unit{g: g, id: scsi.Identity{}, disk: sized{size: 3 << 30}}
	second := &Unit{g: g, disk: sized{size: 1 << 30}}
	c.beginPass([]*Unit{first, second})
	sent := int64(0)
	if err := g.sendVolume(c, first, 1, &sent); err != nil {
		t.Fatal(err)
	}
	want := progress.Amount{Done: 3 << 30, Total: 4 << 30, Bytes: 3 * block.Page}
	if f := g.filled(); f != want || f.Percent() != 75 {
		t.Errorf("after the first of two volumes %+v, %d percent; want %+v, 75", f, f.Percent(), want)
	}
	g.copying = nil
	g.filling = &fillRun{from: 100, acked: 100, under: []underWay{{101, 512}, {102, 1024}, {103, 512}}, bytes: 2048}
	g.filling.cond = sync.NewCond(&g.filling.mu)
	g.filling.tell(102)
	if f := g.filled(); f.Done != 2 || f.Bytes != 1536 {
		t.Errorf("with two records acknowledged %+v", f)
	}
	g.filling = nil
	if f := g.filled(); f.Percent() != -1 {
		t.Errorf("with nothing under way %+v", f)
	}
}
