// SPDX-License-Identifier: Apache-2.0

package block

import (
	"context"
	"errors"
	"sync"
	"testing"
	"unsafe"
)

func TestClasses(t *testing.T) {
	p := NewPool(64 << 20)
	for _, n := range []int{0, 1, 512, 4096, 4097, 8192, 16384, 16385, 65536, MaxIO - 1, MaxIO, MaxIO + 1, MaxBuffer} {
		b, ok := p.Get(n)
		if !ok {
			t.Fatalf("Get(%d) refused below the ceiling", n)
		}
		if len(b.Bytes()) != n || b.Len() != n {
			t.Errorf("Get(%d) has %d bytes", n, len(b.Bytes()))
		}
		if addr := uintptr(unsafe.Pointer(&b.mem[0])); addr%Align != 0 {
			t.Errorf("Get(%d) at %#x", n, addr)
		}
		if cap(b.mem) < n || (b.class > 0 && sizeOf(b.class-1) >= n) {
			t.Errorf("Get(%d) has class %d", n, b.class)
		}
		b.Release()
	}
	if p.Used() != 0 {
		t.Errorf("%d bytes used after all releases", p.Used())
	}
}

func TestCeiling(t *testing.T) {
	p := NewPool(2 * MaxBuffer)
	a, _ := p.Get(MaxBuffer)
	b, _ := p.Get(MaxBuffer)
	if _, ok := p.Get(1); ok {
		t.Fatal("Get beyond the ceiling")
	}
	a.Retain()
	a.Release()
	if _, ok := p.Get(1); ok {
		t.Fatal("a retained buffer was given back")
	}
	a.Release()
	c, ok := p.Get(1)
	if !ok {
		t.Fatal("no buffer after a release")
	}
	b.Release()
	c.Release()
}

func TestWaitInOrder(t *testing.T) {
	p := NewPool(MaxBuffer)
	held, _ := p.Get(MaxBuffer)
	got := make(chan int, 2)
	for i := range 2 {
		go func() {
			b, err := p.Wait(context.Background(), MaxBuffer)
			if err != nil {
				t.Error(err)
				return
			}
			got <- i
			b.Release()
		}()
		for p.waiting.Load() != int32(i+1) {
			// The queue's length is the event: spin until the waiter stands in it.
			select {
			case n := <-got:
				t.Fatalf("waiter %d was served from a full pool", n)
			default:
			}
		}
	}
	if _, ok := p.Get(1); ok {
		t.Fatal("Get overtook those who wait")
	}
	held.Release()
	if a, b := <-got, <-got; a != 0 || b != 1 {
		t.Errorf("served %d before %d", a, b)
	}
}

func TestWaitCancelled(t *testing.T) {
	p := NewPool(MaxBuffer)
	held, _ := p.Get(MaxBuffer)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("Wait: %v", err)
	}
	held.Release()
	if b, ok := p.Get(1); !ok {
		t.Fatal("a cancelled waiter still stands in the queue")
	} else {
		b.Release()
	}
}

func TestReleaseTwicePanics(t *testing.T) {
	p := NewPool(1 << 20)
	b, _ := p.Get(10)
	b.Release()
	defer func() {
		if recover() == nil {
			t.Error("second Release went unnoticed")
		}
	}()
	b.Release()
}

func TestManyUsers(t *testing.T) {
	p := NewPool(4 * MaxBuffer)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 300 {
				b, err := p.Wait(context.Background(), 1+(i*7919+g*4099)%MaxBuffer)
				if err != nil {
					t.Error(err)
					return
				}
				if p.Used() > p.Limit() {
					t.Error("ceiling passed")
				}
				mem := b.Bytes()
				mem[0], mem[len(mem)-1] = byte(g), byte(g)
				b.Retain()
				b.Release()
				if mem[0] != byte(g) && len(mem) > 1 {
					t.Error("two holders of one buffer")
				}
				b.Release()
			}
		}()
	}
	wg.Wait()
	if p.Used() != 0 {
		t.Errorf("%d bytes used at the end", p.Used())
	}
}

func TestChecksum(t *testing.T) {
	// The check value of CRC-32/ISCSI.
	if got := Checksum([]byte("123456789")); got != 0xE3069283 {
		t.Errorf("Checksum = %#x", got)
	}
	if ChecksumUpdate(Checksum([]byte("1234")), []byte("56789")) != 0xE3069283 {
		t.Error("ChecksumUpdate does not continue Checksum")
	}
}

func BenchmarkGetRelease(b *testing.B) {
	p := NewPool(64 << 20)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			buf, _ := p.Get(4096)
			buf.Release()
		}
	})
}
