// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/internal/wsapi"
)

// third is an array outside the pair, on the witness's machine.
type third struct {
	*pair
	proc   *lab.Proc
	dir    string
	key    pki.Pin
	listen netip.AddrPort
}

const thirdConfig = `name = "array-c"
system_id = 3
data_dir = %q

[iscsi]
name = "iqn.2026-01.io.perdure:array-c"
portals = ["%v:3260"]

[journal]
size_mib = 64

[links]
listen = [%q]
`

// newThird makes its keys and configuration. The pair's arrays connect to it: it does not reach
// the networks of their links.
func newThird(p *pair) *third {
	p.t.Helper()
	at := p.Lab.Node(lab.Witness).Addr(lab.Manage)
	c := &third{pair: p, dir: filepath.Join(p.Dir, "array-c"), listen: netip.AddrPortFrom(at, 5785)}
	for c.key == (pki.Pin{}) {
		p.must(os.RemoveAll(c.dir))
		p.must(os.MkdirAll(c.dir, 0o700))
		id, err := pki.LoadOrCreate(filepath.Join(c.dir, "identity"), "array-c", time.Now())
		p.must(err)
		pin := id.Pin()
		connects := func(i int) bool { // the array whose key is the smaller one
			o, err := pki.Load(filepath.Join(p.Dir, rig.Name(i), "identity"))
			p.must(err)
			other := o.Pin()
			return bytes.Compare(other[:], pin[:]) < 0
		}
		if connects(rig.A) && connects(rig.B) {
			c.key = pin
		}
	}
	p.must(os.WriteFile(filepath.Join(c.dir, "perdured.toml"), fmt.Appendf(nil, thirdConfig, c.dir, at, c.listen), 0o600))
	return c
}

func (c *third) start() {
	c.t.Helper()
	p, err := c.Lab.Node(lab.Witness).StartCommand(lab.Command{Name: "array-c", Args: []string{filepath.Join(c.Bin, "perdured"), "--config", filepath.Join(c.dir, "perdured.toml")}})
	c.must(err)
	c.proc = p
	c.until(setUpIn, "array-c to take commands", func() bool {
		_, err := wsapi.Do(c.t.Context(), filepath.Join(c.dir, "perdured.sock"), []string{"status"})
		return err == nil
	})
}

func (c *third) give(words ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	text, err := wsapi.Do(ctx, filepath.Join(c.dir, "perdured.sock"), words)
	if err != nil {
		c.t.Fatalf("%v: %v", words, err)
	}
	return text
}

// TestThirdArray: the pair's third copy while a host writes, over kills of the array that sends
// and of the one that takes, in the middle of a point each; then both of the pair are killed,
// and the third one has all of its last point.
func TestThirdArray(t *testing.T) {
	p := newSmall(t, 1, "64m")
	c := newThird(p)
	c.start()
	for _, i := range []int{rig.A, rig.B} {
		p.command(i, "creatercopytarget", "-periodic", "-sysid", "3", "-key", c.key.String(), "far", "IP", "0:0:1:"+c.listen.String())
		id, err := pki.Load(filepath.Join(p.Dir, rig.Name(i), "identity"))
		p.must(err)
		c.give("creatercopytarget", "-periodic", "-sysid", fmt.Sprint(i+1), "-key", id.Pin().String(), rig.Name(i), "IP", "0:0:1:10.77.3.99")
	}
	reached := func() {
		t.Helper()
		p.until(setUpIn, "the third array to be reached", func() bool {
			return strings.Count(p.command(rig.A, "showrcopy", "targets"), "ready") == 2 && strings.Count(p.command(rig.B, "showrcopy", "targets"), "ready") == 2
		})
	}
	reached()
	vv := group + ".0"
	const pages = 4096
	d := p.seen(rig.A, vv)
	write := func(with byte) {
		t.Helper()
		for n := int64(0); n < pages; n += 4 {
			p.must(d.Write(t.Context(), bytes.Repeat([]byte{with}, 4*block.Page), n*block.Page))
		}
	}
	write('a')
	p.command(rig.A, "admitrcopytarget", "-period", "1h", "far", "periodic", group)
	sending := func(i int) {
		t.Helper()
		p.until(setUpIn, "a point to be on its way", func() bool { return strings.Contains(p.command(i, "explain", group), "is on its way") })
	}
	sending(rig.A)
	p.must(c.proc.Kill()) // in the middle of the first
	c.start()
	reached()
	p.command(rig.A, "syncrcopy", "-w", "-t", "far", group)

	write('b')
	p.command(rig.A, "syncrcopy", "-t", "far", group)
	sending(rig.A)
	p.must(p.Array(rig.A).Kill()) // the one that sends
	p.until(setUpIn, "the other array to go on", func() bool { return p.serves(rig.B) })
	p.until(setUpIn, "the point to have come from the other array", func() bool {
		text := p.command(rig.B, "explain", group)
		return !strings.Contains(text, "is on its way") && strings.Contains(text, "Started; newest point")
	})
	p.command(rig.B, "syncrcopy", "-w", "-t", "far", group)
	write('c') // which no point has
	p.must(p.Array(rig.B).Kill())
	c.until(setUpIn, "the pair to be gone", func() bool { return !strings.Contains(c.give("showrcopy", "targets"), "ready") })
	c.give("setrcopygroup", "failover", "-f", group+".r1")
	c.give("createhost", "host", rig.Initiator)
	c.give("createvlun", vv, "0", "host")
	got := c.read(vv, pages)
	for n, b := range got {
		if b != 'b' {
			t.Fatalf("byte %d of the third copy is %q, want b", n, b)
		}
	}
	p.must(c.proc.Terminate(15 * time.Second))
	p.start(rig.A)
	p.start(rig.B)
	p.whole()
}

// read reads a volume of the third array over iSCSI, from the machine of array A.
func (c *third) read(vv string, pages int64) []byte {
	c.t.Helper()
	node := c.Lab.Node(lab.A)
	h, err := host.Open(host.Options{
		Name: rig.Initiator, Dial: func(x initiator.Config) (*initiator.Conn, error) {
			x.Dial = node.DialContext
			return initiator.Dial(x)
		},
		Portals: []host.Portal{{Array: "array-c", Network: lab.Manage, Target: "iqn.2026-01.io.perdure:array-c", Addr: netip.AddrPortFrom(c.listen.Addr(), 3260).String()}},
	})
	c.must(err)
	defer h.Close()
	disks, err := h.Wait(c.t.Context(), 1)
	c.must(err)
	got := make([]byte, pages*block.Page)
	for off := 0; off < len(got); off += 4 * block.Page {
		c.must(disks[0].Read(c.t.Context(), "array-c", got[off:off+4*block.Page], int64(off)))
	}
	return got
}
