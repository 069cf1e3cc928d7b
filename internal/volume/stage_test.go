// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"syscall"
	"testing"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

func TestTransientReadError(t *testing.T) {
	fs := vfs.NewInject(vfs.NewMem())
	p, v := onePool(t, fs, testOptions(t.TempDir()), 100*block.Page)
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, p.Flush(1))
	ok(t, v.Apply(data(2, 0, page(2)[:512])))
	fs.Add(vfs.Rule{Verb: vfs.OpRead, Match: "pages", Err: syscall.EIO, Times: 5})
	err := p.Flush(1)
	t.Log("flush:", err)
	fs.Clear()
	_ = p.Flush(1)
	got := make([]byte, block.Page)
	if err := v.Read(got, 0); err != nil {
		t.Fatal("good data were lost by a passing read error:", err)
	}
}
