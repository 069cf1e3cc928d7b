// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

// TestSpace: an ext4 file system with Go's own sources, written twice to a deduplicated
// volume, costs once; on a compressed one it costs less than half; zeros cost nothing;
// and removing the volumes gives all back.
func TestSpace(t *testing.T) {
	need(t, "mke2fs")
	p := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*setUpIn)
	defer cancel()
	p.must(p.StartPair(ctx))
	file := filepath.Join(p.Dir, "image")
	makeImage(t, file)
	image, err := os.ReadFile(file)
	p.must(err)
	full := content(image, block.Page)
	plain := content(image, 4096) / full // a plain page has no blocks of zeros
	for _, c := range []struct {
		options []string
		copies  int64
		low, hi float64 // of what the image's pages take plain
	}{
		{nil, 1, 0.999 * plain, 1.001 * plain},
		{[]string{"-tdvv"}, 2, 0.5, 1.001},
		{[]string{"-compr"}, 1, 0.2, 0.5},
		{[]string{"-tdvv", "-compr"}, 2, 0.1, 0.5},
	} {
		p.command(rig.A, append(append([]string{"createvv"}, c.options...), "cpg0", "v", strconv.Itoa(2*imageSize>>20))...)
		d := p.seen(rig.A, "v")
		for n := range c.copies {
			p.fill(ctx, d, image, n*imageSize, false)
		}
		used := p.used(float64(c.copies) * full)
		t.Logf("%v: %d times %.1f MiB take %.1f MiB", c.options, c.copies, full, used)
		if used < full*c.low || used > full*c.hi {
			t.Errorf("%v: %.1f MiB are used; want %.2f to %.2f of %.1f", c.options, used, c.low, c.hi, full)
		}
		for n := range c.copies {
			p.same(d, image[imageSize/2:imageSize/2+1<<16], n*imageSize+imageSize/2)
		}
		p.fill(ctx, d, image, 0, true) // what is zeroed costs nothing
		if c.copies == 1 && p.used(0) != 0 {
			t.Errorf("%v: zeros cost %.1f MiB", c.options, p.used(0))
		}
		p.command(rig.A, "removevlun", "-f", "v", "0", "host-v")
		p.command(rig.A, "removehost", "-f", "host-v")
		p.command(rig.A, "removevv", "-f", "v")
		if used := p.used(0); used != 0 {
			t.Errorf("%v: %.1f MiB are used by nothing", c.options, used)
		}
	}
}

// content returns how many MiB of an image are in pieces of a size that are not zeros.
func content(image []byte, size int) (mib float64) {
	for off := 0; off < len(image); off += size {
		if bytes.Count(image[off:off+size], []byte{0}) < size {
			mib += float64(size) / (1 << 20)
		}
	}
	return mib
}

// fill writes an image to a disk, but for what is zeros; or zeros in its place.
func (p *pair) fill(ctx context.Context, d *host.Disk, b []byte, at int64, zeros bool) {
	p.t.Helper()
	const size = 1 << 16
	none := make([]byte, size)
	for off := 0; off < len(b); off += size {
		piece := b[off : off+size]
		if bytes.Equal(piece, none) {
			continue
		}
		if zeros {
			piece = none
		}
		p.must(d.Write(ctx, piece, at+int64(off)))
	}
}

// used returns how many MiB of array A's first CPG are used once so many were written to
// pages.
func (p *pair) used(written float64) (mib float64) {
	p.t.Helper()
	const tenth = 0.1 // showcpg rounds to it
	p.until(setUpIn, "what was written to be on pages", func() bool {
		f := strings.Fields(p.command(rig.A, "showcpg", "-nohdtot"))
		mib, _ = strconv.ParseFloat(f[4], 64)
		have, err := strconv.ParseFloat(f[8], 64)
		return err == nil && (written == 0 && have == 0 || written > 0 && have > written-tenth)
	})
	return mib
}
