// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"testing"

	"github.com/perdure/perdure/internal/vfs"
)

func TestGroupsComeAndGo(t *testing.T) {
	fs, o := vfs.NewMem(), testOptions(t.TempDir())
	p, v := onePool(t, fs, o, 1<<20)
	ok(t, v.Apply(data(7, 0, page(1))))
	ok(t, p.Flush(1))
	ok(t, p.Begin(1, 3)) // known: stays
	ok(t, p.Begin(2, 41))
	if p.Destaged(1) != 7 || p.Destaged(2) != 41 {
		t.Fatal(p.Destaged(1), p.Destaged(2))
	}
	if err := p.Forget(1); err == nil {
		t.Error("a group with a volume was forgotten")
	}
	ok(t, p.Close())
	p, _ = onePool(t, fs, o, 1<<20)
	if p.Destaged(1) != 7 || p.Destaged(2) != 41 {
		t.Fatal("after opening again:", p.Destaged(1), p.Destaged(2))
	}
	ok(t, p.Remove(1))
	ok(t, p.Forget(1))
	ok(t, p.Close())
	p, err := OpenPool(fs, "pool", o)
	ok(t, err)
	defer p.Close()
	if p.Destaged(1) != 0 || p.Destaged(2) != 41 {
		t.Fatal("after forgetting:", p.Destaged(1), p.Destaged(2))
	}
}
