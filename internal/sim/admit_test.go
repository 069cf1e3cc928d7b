// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

// TestAdmittedUnderLoad: volumes that come to a group while others are written to take
// nothing from those: all of them can be read once the writes are over.
func TestAdmittedUnderLoad(t *testing.T) {
	for _, seed := range []uint64{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed, sound)
			defer w.end()
			w.run(3 * time.Second)
			for n := range 20 {
				id := array.VolumeID(volumes + 1 + n)
				w.each(func(p *process) {
					_, err := p.pool.Create(volume.VolumeSpec{ID: id, Group: groupID, Size: size})
					w.must(err)
					_, err = p.g.AddVolume(scsi.Identity{WWN: array.MakeWWN(id), Volume: id, Name: "late" + strconv.Itoa(n)}, p.pool.Volume(id), 0)
					w.must(err)
				})
				w.run(7 * step)
			}
			for _, c := range w.hosts {
				c.stopping = true
			}
			w.run(3 * time.Second)
			own, _ := w.owner()
			for i, u := range own.units {
				out := make(chan error, 1)
				u.Read(&scsi.Op{ID: 1 << 50, Arrived: time.Now()}, 0, make([]byte, size), func(err error) { out <- err })
				w.run(3 * time.Second)
				if err := <-out; err != nil {
					t.Errorf("seed %d: volume %d can't be read: %v", seed, i, err)
				}
			}
		})
	}
}
