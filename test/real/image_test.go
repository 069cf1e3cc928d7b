// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

const (
	imageSize = 320 << 20
	pieceSize = 32 << 20
)

// TestRealImage copies a file system with qemu's initiator while the group moves,
// the serving array is killed, and comes back; then the file system must be whole on
// both arrays. qemu has one path, so the copy goes piece by piece, each of them
// through whichever array serves.
func TestRealImage(t *testing.T) {
	need(t, "qemu-img", "mke2fs", "e2fsck")
	p := newPair(t, 1, fmt.Sprintf("%dm", imageSize>>20))
	image := filepath.Join(p.Dir, "image")
	makeImage(t, image)

	// So slow that a piece is under way for some tenths of a second.
	for _, node := range []string{lab.A, lab.B} {
		p.must(p.Lab.Shape(lab.Host, node, lab.Fabric1, lab.OneWay, lab.Shape{Rate: 80 << 20}))
	}
	c := &copier{p: p, image: image}
	const moveAt, killAt, backAt = 2, 5, 8 // pieces
	for piece := range imageSize / pieceSize {
		var meanwhile func()
		switch piece {
		case moveAt:
			meanwhile = func() { p.command(rig.B, "setrcopygroup", "switchover", group) }
		case killAt:
			meanwhile = func() { p.must(p.Array(rig.B).Kill()) }
		case backAt:
			meanwhile = func() { p.start(rig.B) }
		}
		c.piece(int64(piece)*pieceSize, meanwhile)
	}
	if c.again == 0 {
		t.Error("no piece was interrupted: the copy proved nothing")
	}
	p.whole()
	for _, i := range []int{rig.B, rig.A} {
		p.move(i)
		back := filepath.Join(p.Dir, rig.Name(i)+".image")
		p.qemu(30*time.Second, "convert", "-O", "raw", "--image-opts", c.volume(i, 0, imageSize), back)
		sameFile(t, image, back)
		if out, err := exec.Command("e2fsck", "-fn", back).CombinedOutput(); err != nil {
			t.Errorf("the file system read through %s: %v\n%s", rig.Name(i), err, out)
		}
		_ = os.Remove(back)
	}
	t.Logf("%d MiB copied in %d pieces, %d of them repeated", imageSize>>20, imageSize/pieceSize, c.again)
}

// need says which programs a test can't do without.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		lab.Need(t, name)
	}
}

// makeImage makes an ext4 file system with the sources of Go's own commands in it.
func makeImage(t *testing.T, file string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src", "cmd")
	args := []string{"-q", "-t", "ext4", "-d", src, file, fmt.Sprintf("%dm", imageSize>>20)}
	if out, err := exec.Command("mke2fs", args...).CombinedOutput(); err != nil {
		t.Fatalf("mke2fs %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// copier copies an image onto the volume.
type copier struct {
	p     *pair
	image string
	again int // how often a piece had to be copied again
}

// volume names a part of the volume through an array, in qemu's words.
func (c *copier) volume(array int, off, size int64) string {
	addr := c.p.Lab.Node(rig.Node(array)).Addr(lab.Fabric1)
	return fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=iscsi,file.transport=tcp,file.portal=%s:3260,"+
		"file.target=iqn.2026-01.io.perdure:%s,file.lun=0,file.initiator-name=%s", off, size, addr, rig.Name(array), rig.Initiator)
}

// piece copies a part of the image. Once its first data are on their way, meanwhile
// is called beside it.
func (c *copier) piece(off int64, meanwhile func()) {
	t := c.p.t
	t.Helper()
	from := fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=file,file.filename=%s", off, pieceSize, c.image)
	for try := 0; ; try++ {
		if try == 20 {
			t.Fatalf("the piece at %d could not be copied\n%s", off, c.p.explain())
		}
		array := c.serving()
		q, err := c.p.Lab.Node(lab.Host).Start("qemu-img", "convert", "-n", "--image-opts", from, "--target-image-opts", c.volume(array, off, pieceSize))
		c.p.must(err)
		if meanwhile != nil {
			c.underWay(array, q)
			meanwhile()
			meanwhile = nil
		}
		// A connection that died makes qemu connect again for ever.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err = q.Wait(ctx)
		cancel()
		if err == nil {
			return
		}
		_ = q.Kill()
		c.again++
		t.Logf("the piece at %d through %s: %v: %s", off, rig.Name(array), err, strings.TrimSpace(q.Log()))
	}
}

// serving waits until an array serves.
func (c *copier) serving() (array int) {
	c.p.t.Helper()
	c.p.until(20*time.Second, "an array to serve", func() bool {
		var err error
		array, err = c.p.Serving(c.p.t.Context(), group)
		return err == nil
	})
	return array
}

// underWay waits until some of a piece's data went over the wire.
func (c *copier) underWay(array int, q *lab.Proc) {
	c.p.t.Helper()
	sent := func() uint64 {
		n, _ := c.p.Lab.Counts(lab.Host, rig.Node(array), lab.Fabric1)
		return n
	}
	before := sent()
	c.p.until(10*time.Second, "the copy to begin", func() bool {
		select {
		case <-q.Done():
			return true
		default:
			return sent() > before+40
		}
	})
}

// qemu runs qemu-img on the host.
func (p *pair) qemu(limit time.Duration, args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	_, err := p.Lab.Node(lab.Host).Run(ctx, append([]string{"qemu-img"}, args...)...)
	p.must(err)
}

// sameFile compares two files byte for byte.
func sameFile(t *testing.T, a, b string) {
	t.Helper()
	var f [2]*os.File
	for i, name := range []string{a, b} {
		var err error
		if f[i], err = os.Open(name); err != nil {
			t.Fatal(err)
		}
		defer f[i].Close()
	}
	const chunk = 1 << 20
	x, y := make([]byte, chunk), make([]byte, chunk)
	for off := 0; ; off += chunk {
		n, errX := io.ReadFull(f[0], x)
		m, errY := io.ReadFull(f[1], y)
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			t.Errorf("%s and %s differ in the MiB at %d", a, b, off)
			return
		}
		if errX != nil || errY != nil {
			return
		}
	}
}
