// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync/atomic"
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// unheardOf are two arrays whose group g got the volume w in a command that the other array did
// not answer. heard lets the other array be told again.
func unheardOf(t *testing.T) (a, b *testArray, heard func()) {
	var cutting atomic.Bool
	var before atomic.Int64
	all := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
				if cutting.Load() && (ctx.Value(stoppable{}) == nil || before.Add(-1) < 0) {
					return nil, errCut
				}
				return ask()
			}
		}
	})
	a, b = all[0], all[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	before.Store(2) // questions whether it may be
	cutting.Store(true)
	if _, err := a.Do(context.WithValue(t.Context(), stoppable{}, true), local("admitrcopyvv", "-createvv", "-size", "16m", "w", "g")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.vv("w"); err == nil {
		t.Fatal("the other array has heard of the volume")
	}
	return a, b, func() { cutting.Store(false) }
}

// TestWriteToAVolumeUnheardOf: while the other array, a member, has not heard of a volume, no write
// to it is acknowledged, no snapshot of it made, and the group not handed over; what is beside it goes
// on. Alone, that array could serve nothing that comes after such a write.
func TestWriteToAVolumeUnheardOf(t *testing.T) {
	t.Parallel()
	a, b, heard := unheardOf(t)
	written := make(chan error, 1)
	go func() { written <- a.tryWrite("w", 0, []byte("of w")) }()
	a.write("v", 0, []byte("of v"))
	a.refuses("the other array has not taken what the group is now", "setrcopygroup", "switchover", "g")
	select {
	case err := <-written:
		t.Fatalf("a write to a volume that the other array has not heard of was answered: %v", err)
	default:
	}
	heard()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	a.until("the arrays to be in step", inStep(a, "g"))
	a.run("createsv", "-ro", "s", "w")
	a.run("setrcopygroup", "switchover", "g")
	b.has("w", 0, []byte("of w"))
	b.has("v", 0, []byte("of v"))
}

// TestLearnsOfAVolume: an array asks for what it was not told.
func TestLearnsOfAVolume(t *testing.T) {
	t.Parallel()
	a, b, _ := unheardOf(t)
	if err := b.learn(t.Context(), a.stored("w").Group); err != nil {
		t.Fatal(err)
	}
	a.until("the arrays to be in step", inStep(a, "g"))
	a.write("w", 0, []byte("of w"))
	a.run("setrcopygroup", "switchover", "g")
	b.has("w", 0, []byte("of w"))
}

// TestUnheardOfAfterARestart: that the other array has not heard of a volume is not forgotten.
func TestUnheardOfAfterARestart(t *testing.T) {
	t.Parallel()
	a, b, heard := unheardOf(t)
	a.end()
	b.end()
	a.open()
	b.open()
	a.until("the arrays to be a pair again, served here", func() bool {
		r, err := a.findGroup("g")
		if err != nil {
			return false
		}
		i, err := r.g.Info()
		return err == nil && i.Serving && i.Contact && i.Met && i.View.Role == arb.Paired
	})
	if _, _, err := b.vv("w"); err == nil {
		t.Fatal("the other array has heard of the volume")
	}
	written := make(chan error, 1)
	go func() { written <- a.tryWrite("w", 0, []byte("of w")) }()
	beside := make(chan error, 1)
	go func() { beside <- a.tryWrite("v", 0, []byte("of v")) }()
	a.until("the write beside it", func() bool { return len(beside) > 0 })
	if err := <-beside; err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-written:
		t.Fatalf("a write to a volume that the other array has not heard of was answered: %v", err)
	default:
	}
	heard()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	a.until("the mark to be gone", func() bool {
		r, err := a.findGroup("g")
		if err != nil {
			return false
		}
		marked, err := a.unheardOf(r.rec)
		return err == nil && len(marked) == 0
	})
	a.run("setrcopygroup", "switchover", "g")
	b.has("w", 0, []byte("of w"))
}
