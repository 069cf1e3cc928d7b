// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/perdure/perdure/internal/scsi"
)

// BenchmarkWrite4K writes pages of 4 KiB, 32 at a time, to a volume of one array and to one
// of two arrays. What is counted is that of both arrays, below SCSI.
func BenchmarkWrite4K(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		a := openArrays(b, 1, nil)[0]
		a.run("createvv", "cpg0", "v", "64m")
		a.writeOn(b, "v")
	})
	b.Run("mirrored", func(b *testing.B) {
		a := openArrays(b, 2, nil)[0]
		a.run("creatercopygroup", "g", "array-b:sync")
		a.run("admitrcopyvv", "-createvv", "-size", "64m", "v", "g")
		a.run("syncrcopy", "-w", "g")
		a.writeOn(b, "v")
	})
}

// writeOn writes to a volume that is served here, for as long as the benchmark wants.
func (a *testArray) writeOn(b *testing.B, vv string) {
	const depth, size, pages = 32, 4096, 64 << 20 / 4096
	type slot struct {
		op   scsi.Op
		m    scsi.Mutation
		done func(error)
	}
	u := a.unit(vv)
	free := make(chan *slot, depth)
	for range depth {
		buf, err := a.pool.Wait(b.Context(), size)
		if err != nil {
			b.Fatal(err)
		}
		s := &slot{m: scsi.Mutation{Kind: scsi.Write, Length: size, Data: buf}}
		s.done = func(err error) {
			if err != nil {
				b.Error(err)
			}
			free <- s
		}
		free <- s
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		s := <-free
		s.m.Offset = int64(n) * 7919 % pages * size
		s.op = *a.ownOp(u.to)
		u.to.Mutate(&s.op, s.m, s.done)
	}
	for range depth {
		(<-free).m.Data.Release()
	}
}
