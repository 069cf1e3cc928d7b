// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"os"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/test/kernel/guest"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Main(func() int {
		defer func() { _ = os.RemoveAll(prepared.dir) }()
		return m.Run()
	}))
}

// prepared is the image that all tests boot, made by the first that asks.
var prepared struct {
	once sync.Once
	dir  string // what ends with the run, "" if nobody asked
	img  guest.Image
	err  error
}

func image(t *testing.T) guest.Image {
	t.Helper()
	prepared.once.Do(func() {
		dir, err := os.MkdirTemp("", "pk-image-")
		if err != nil {
			prepared.err = err
			return
		}
		prepared.dir = dir
		prepared.img, prepared.err = guest.Prepare(t.Context(), "guest", dir)
	})
	if prepared.err != nil {
		t.Fatal(prepared.err)
	}
	return prepared.img
}

// binaries returns where the commands are.
func binaries(t *testing.T) string {
	t.Helper()
	dir, err := rig.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
