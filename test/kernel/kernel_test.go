// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/test/kernel/guest"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Main(func() int {
		defer func() {
			_ = os.RemoveAll(uml.dir)
			_ = os.RemoveAll(stock.dir)
		}()
		return m.Run()
	}))
}

// prepared is an image that tests boot, made by the first that asks.
type prepared struct {
	how  func(ctx context.Context, source, work string) (guest.Image, error)
	once sync.Once
	dir  string // what ends with the run, "" if nobody asked
	img  guest.Image
	err  error
}

var (
	uml   = prepared{how: guest.Prepare}
	stock = prepared{how: guest.PrepareStock}
)

// image is what the hosts of most tests boot, stockImage has Debian's own kernel.
func image(t *testing.T) guest.Image      { return uml.image(t) }
func stockImage(t *testing.T) guest.Image { return stock.image(t) }

func (p *prepared) image(t *testing.T) guest.Image {
	t.Helper()
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "pk-image-"); p.err == nil {
			p.img, p.err = p.how(t.Context(), "guest", p.dir)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.img
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
