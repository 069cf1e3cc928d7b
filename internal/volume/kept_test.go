// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

func unit(b byte) []byte { return bytes.Repeat([]byte{b}, unitSize) }

func TestKeptUnits(t *testing.T) {
	k := newKept(keptShards * 2 * unitSize) // two frames a shard
	got := make([]byte, unitSize)
	k.put(8, 1, unit(8), k.since(8))
	if !k.get(8, 1, got, 0) || !bytes.Equal(got, unit(8)) {
		t.Error("a unit is not found")
	}
	if k.get(8, 2, got, 0) {
		t.Error("an entry with another checksum found it")
	}
	if k.get(9, 1, got, 0) {
		t.Error("its neighbour is found")
	}
	before := k.since(9)
	k.drop(0, 64) // something of the shard was written
	if k.get(8, 1, got, 0) {
		t.Error("found after it was written")
	}
	if k.put(9, 3, unit(9), before); k.get(9, 3, got, 0) {
		t.Error("what was read before a write was kept after it")
	}
	// 8 to 11 are in one shard: what was read again stays, the other goes.
	for _, u := range []int64{8, 9} {
		k.put(u, uint32(u), unit(byte(u)), k.since(u))
	}
	k.get(8, 8, got, 0)
	k.put(10, 10, unit(10), k.since(10))
	if !k.get(8, 8, got, 0) || k.get(9, 9, got, 0) || !k.get(10, 10, got, 0) {
		t.Error("the wrong one went")
	}
	if newKept(0) != nil {
		t.Error("nothing is kept somewhere")
	}
	newKept(0).drop(1, 1)
}

// TestReadsFromMemory: what was written, or read once, is read again without the disk, and
// never as it was before a write.
func TestReadsFromMemory(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t.TempDir())
	o.Keep = 1 << 20
	p, v := onePool(t, disk, o, 1<<20)
	got := make([]byte, block.Page)
	for place := array.Place(1); place < 20; place++ {
		ok(t, v.Apply(data(place, 0, page(byte(place)))))
		if !v.ReadCached(got, 0) || !bytes.Equal(got, page(byte(place))) {
			t.Fatalf("write %d is in memory, and not read from there", place)
		}
		ok(t, p.Flush(1))
		if place < 5 { // later ones have no room left in their shard, perhaps
			if !v.ReadCached(got, 0) || !bytes.Equal(got, page(byte(place))) {
				t.Fatalf("write %d is on pages, and was not kept", place)
			}
		}
		ok(t, v.Read(got, 0))
		clear(got)
		if !v.ReadCached(got, 0) || !bytes.Equal(got, page(byte(place))) {
			t.Fatalf("write %d was read, and is not read from memory", place)
		}
		if !v.ReadCached(got[:512], 5*512) || got[0] != byte(place) {
			t.Fatal("a part is not read from memory")
		}
	}
	if !v.ReadCached(got, 4*block.Page) || !bytes.Equal(got, page(0)) {
		t.Error("zeros need no disk")
	}
	if v.ReadCached(got, 1<<20) || v.ReadCached(got, -512) {
		t.Error("read beyond the end")
	}
}

// TestKeptInPlace: of what is written when there is no room, only what takes the place of
// something that hosts read is kept.
func TestKeptInPlace(t *testing.T) {
	const blocks = 256
	o := testOptions(t.TempDir())
	o.Keep = keptShards * 4 * unitSize
	p, v := onePool(t, vfs.NewMem(), o, blocks*unitSize)
	place := array.Place(0)
	write := func(b int) []byte {
		place++
		content := unit(byte(place%255 + 1))
		ok(t, v.Apply(data(place, int64(b)*unitSize, content)))
		ok(t, p.Flush(1))
		return content
	}
	for b := range blocks { // more than there is room for
		write(b)
	}
	got := make([]byte, unitSize)
	ok(t, v.Read(got, 5*unitSize))
	for range 20 {
		want := write(5)
		if clear(got); !v.ReadCached(got, 5*unitSize) || !bytes.Equal(got, want) {
			t.Fatalf("write %d took the place of a block that is read, and was not kept", place)
		}
	}
	kept := 0
	for b := range blocks {
		if write(b); b != 5 && v.ReadCached(got, int64(b)*unitSize) {
			kept++
		}
	}
	if kept > keptShards*4 {
		t.Errorf("%d blocks are kept, more than there is room for", kept)
	}
}

// TestKeptUnderLoad: readers see every block at a write between the last that was applied
// before they began and the newest, whatever is put away and read again meanwhile.
func TestKeptUnderLoad(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Keep = keptShards * 3 * unitSize
	const blocks = 64
	p, v := onePool(t, vfs.NewMem(), o, blocks*unitSize)
	var mu sync.Mutex
	var applied [blocks]byte
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for r := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 1))
			got := make([]byte, unitSize)
			for {
				select {
				case <-stop:
					return
				default:
				}
				b := rng.IntN(blocks)
				mu.Lock()
				floor := applied[b]
				mu.Unlock()
				if !v.ReadCached(got, int64(b)*unitSize) {
					if err := v.Read(got, int64(b)*unitSize); err != nil {
						t.Error(err)
						return
					}
				}
				if got[0] != got[unitSize-1] || int8(got[0]-floor) < 0 {
					t.Errorf("block %d is %d to %d, and was %d before", b, got[0], got[unitSize-1], floor)
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for place := array.Place(1); place < 3000; place++ {
		b := rng.IntN(blocks)
		mu.Lock()
		next := applied[b] + 1
		mu.Unlock()
		ok(t, v.Apply(data(place, int64(b)*unitSize, unit(next))))
		mu.Lock()
		applied[b] = next
		mu.Unlock()
		if place%40 == 0 {
			ok(t, p.Flush(1))
		}
	}
	close(stop)
	wg.Wait()
}
