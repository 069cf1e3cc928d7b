// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestADamagedMap: whatever sector of the map is changed or lost, the pool is refused,
// without a panic, or reads as it was written.
func TestADamagedMap(t *testing.T) {
	disk, o := vfs.NewMem(), testOptions(t.TempDir())
	p, v := onePool(t, disk, o, 4000*block.Page)
	for i := range int64(200) {
		ok(t, v.Apply(data(array.Place(i+1), i*17*block.Page, page(byte(i+1)))))
		if i%50 == 0 {
			ok(t, p.Flush(1))
		}
	}
	ok(t, p.Flush(1))
	ok(t, p.Close())
	whole, err := os.ReadFile(o.MapFile)
	ok(t, err)
	rng := rand.New(rand.NewPCG(1, 1))
	var sectors []int // that hold something
	for at := 0; at < len(whole); at += 4096 {
		if !bytes.Equal(whole[at:at+4096], make([]byte, 4096)) {
			sectors = append(sectors, at)
		}
	}
	refused, tries := 0, 60
	if testing.Short() {
		tries = 15
	}
	for n := range tries {
		file := bytes.Clone(whole)
		at := sectors[rng.IntN(len(sectors))] + rng.IntN(4096)
		if n%2 == 0 {
			file[at] ^= 1 << rng.IntN(8)
		} else {
			clear(file[at/4096*4096:][:4096])
		}
		ok(t, os.WriteFile(o.MapFile, file, 0o600))
		p, err := OpenPool(disk, "pool", o)
		if err != nil {
			refused++
			continue
		}
		v, buf := p.Volume(1), make([]byte, block.Page)
		destaged := p.Destaged(1)
		if v == nil {
			t.Fatalf("byte %d of the map changed: the volume is gone", at)
		}
		for i := range int64(200) {
			// With one of both roots damaged the one before counts; the journal has the rest.
			if ok(t, v.Read(buf, i*17*block.Page)); array.Place(i+1) <= destaged && !bytes.Equal(buf, page(byte(i+1))) {
				t.Fatalf("byte %d of the map changed: page %d reads as %x", at, i*17, buf[:4])
			}
		}
		ok(t, p.Close())
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	t.Logf("%d of %d refused", refused, tries)
}
