// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// diskDir returns a directory on the disk that the work tree lies on; the system's
// temporary directory may be memory.
func diskDir(b *testing.B) string {
	b.Helper()
	if err := os.MkdirAll("../../.cache", 0o755); err != nil {
		b.Fatal(err)
	}
	dir, err := os.MkdirTemp("../../.cache", "journal")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// BenchmarkAppend measures durable 4 KiB records at a given number in flight.
func BenchmarkAppend(b *testing.B) {
	for _, depth := range []int{1, 32} {
		b.Run(fmt.Sprintf("QD%d", depth), func(b *testing.B) { benchAppend(b, depth) })
	}
}

func benchAppend(b *testing.B, depth int) {
	slots := make(chan struct{}, 1024)
	var j *Journal
	var seen array.Place
	o := Options{Limit: 256 << 20, SegmentSize: 16 << 20, Durable: func(ds []Durable) {
		for _, d := range ds {
			for ; seen < d.Pos.Place; seen++ {
				slots <- struct{}{}
			}
			j.Release(1, d.Pos.Place)
		}
	}}
	var err error
	if j, err = Open(vfs.NewOS(diskDir(b)), "j", o); err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	<-j.filled
	if err := j.SetBase(1, array.Position{}); err != nil {
		b.Fatal(err)
	}
	for range depth {
		slots <- struct{}{}
		seen = 0
	}
	payload := make([]byte, 4096)
	b.SetBytes(4096)
	b.ResetTimer()
	for i := range b.N {
		<-slots
		r := Record{Group: 1, Pos: array.Position{Place: array.Place(i + 1)}, Kind: Data, Length: 4096, Payload: payload}
		if err := j.Append(r); err != nil {
			b.Fatal(err)
		}
	}
	for range depth {
		<-slots
	}
}

// BenchmarkNaive is what a journal without group commit could do: every writer
// writes and flushes by itself.
func BenchmarkNaive(b *testing.B) {
	for _, depth := range []int{1, 32} {
		b.Run(fmt.Sprintf("QD%d", depth), func(b *testing.B) { benchNaive(b, depth) })
	}
}

func benchNaive(b *testing.B, depth int) {
	const size = 256 << 20
	f, err := vfs.NewOS(diskDir(b)).Open("x", vfs.Create|vfs.Direct)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	zeros := vfs.NewBuffer(1 << 20)
	for off := int64(0); off < size; off += 1 << 20 {
		if _, err := f.WriteAt(zeros, off); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(4096)
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range depth {
		wg.Go(func() {
			buf := vfs.NewBuffer(4096)
			for i := w; i < b.N; i += depth {
				if _, err := f.WriteAt(buf, int64(i)*4096%size); err != nil {
					b.Error(err)
				}
				if err := f.Sync(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
