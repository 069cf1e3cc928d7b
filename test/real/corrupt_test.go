// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/host/load"
	"github.com/perdure/perdure/internal/rig"
)

var flips = flag.Int("real.flips", 24, "how often TestCorrupt damages B's page file")

// damageCount is what came of the damage.
type damageCount struct {
	flips, served, undetected, repaired, harmless int
}

func (n damageCount) String() string {
	return fmt.Sprintf("corrupt: %d flips, %d served, %d undetected, %d repaired", n.flips, n.served, n.undetected, n.repaired)
}

// TestCorrupt damages B's page file under load, again and again: a bit, or a lost sector.
// Each time B's pages are read. Whatever was hit is found and repaired from A, or was of
// no use to anybody, as `check` shows; and no host ever reads it.
func TestCorrupt(t *testing.T) {
	p := newRig(t)
	p.readingDisks()
	p.bringUp(2, "64m")
	c := newCorruption(t, p)
	n := c.play(*flips)
	c.judge("all damage is repaired", false)
	t.Logf("%d of %d hit nothing in use", n.harmless, n.flips)
	if n.served > 0 || n.undetected > 0 || n.repaired < n.flips/2 || n.repaired+n.harmless != n.flips {
		t.Errorf("%+v", n)
	}
	t.Log(n)
}

// TestCorruptIsNoticed: of arrays that believe their disks the same damage is served.
func TestCorruptIsNoticed(t *testing.T) {
	p := newRig(t)
	p.readingDisks()
	sound := p.Bin
	p.Bin = t.TempDir()
	for _, name := range []string{"perdure", "perdure-witness"} {
		p.must(os.Symlink(filepath.Join(sound, name), filepath.Join(p.Bin, name)))
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(p.Bin, "perdured"), "./unchecked")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.bringUp(2, "64m")
	c := newCorruption(t, p)
	c.sound = sound
	n := c.play(6)
	t.Log("mutant ", n)
	c.load.Stop()
	if n.served == 0 || n.undetected == 0 {
		t.Errorf("%+v: the damage was not noticed", n)
	}
	// Its disks are in no order, and are not to be checked as the others' are.
	for i := range 2 {
		p.must(p.Array(i).Kill())
		p.must(os.Remove(filepath.Join(p.Dir, rig.Name(i), "array.db")))
	}
}

// readingDisks makes every read one of the disk: what is in memory is as it was written.
func (p *pair) readingDisks() {
	for i := range 2 {
		p.configure(i, "size_mib = 1024", "size_mib = 64\n[memory]\nread_cache_mib = 0")
	}
}

// corruption is a load over a pair whose array B has a bad disk.
type corruption struct {
	*work
	rng   *rand.Rand
	run   uint64 // as the load stamps its blocks
	sound string // where the daemon is that checks
	old   map[int64][]byte
}

func newCorruption(t *testing.T, p *pair) *corruption {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	// What is damaged should not be written anew at once.
	w := p.workWith(load.Options{Blocks: 4 * blocks, Workers: workers, Think: 20 * time.Millisecond, Reads: 0.5, Seed: seed}, 2)
	c := &corruption{work: w, rng: rand.New(rand.NewPCG(seed, 1)), run: seed, sound: p.Bin, old: map[int64][]byte{}}
	c.destaged()
	return c
}

// destaged lets what was written come to B's pages, and to their second place.
func (c *corruption) destaged() {
	c.t.Helper()
	c.until(wholeIn, "B to have the load on pages", func() bool { return len(c.newest()) > blocks })
}

func (c *corruption) pages() string { return filepath.Join(c.data(), "cpg0", "pages") }

// blockAt is where a block of a disk lies in the page file, as far as its stamp tells.
type blockAt struct {
	disk, block, sequence uint64
	off                   int64
}

const stampMagic = 0x5045524455524531

// newest reads the page file and returns the newest content of each block in it, which
// is most likely in use.
func (c *corruption) newest() []blockAt {
	c.t.Helper()
	b, err := os.ReadFile(c.pages())
	c.must(err)
	found := map[[2]uint64]blockAt{}
	for off := 0; off+load.Block <= len(b); off += load.Block {
		x := b[off : off+load.Block]
		if binary.LittleEndian.Uint64(x) != stampMagic || binary.LittleEndian.Uint64(x[8:]) != c.run {
			continue
		}
		at := blockAt{binary.LittleEndian.Uint64(x[16:]), binary.LittleEndian.Uint64(x[24:]), binary.LittleEndian.Uint64(x[32:]), int64(off)}
		if key := [2]uint64{at.disk, at.block}; found[key].sequence < at.sequence {
			found[key] = at
		}
		if c.rng.IntN(16) == 0 {
			c.old[at.off] = bytes.Clone(x)
		}
	}
	out := make([]blockAt, 0, len(found))
	for _, at := range found {
		out = append(out, at)
	}
	return out
}

// batch is how many times B is damaged by what one look at its page file tells.
const batch = 6

// play damages B, which serves one half of the time and follows the other.
func (c *corruption) play(count int) (n damageCount) {
	c.t.Helper()
	every := min(max(count/4, batch), 50)
	for n.flips < count {
		c.move((n.flips / batch) % 2) // A first
		hit := c.newest()
		for range min(batch, count-n.flips) {
			n.flips++
			c.flip(&n, hit[c.rng.IntN(len(hit))])
		}
		if n.flips%every < batch || n.flips == count {
			c.prove(&n)
		}
	}
	return n
}

// flip damages a block, reads what it was of, and looks whether the damage was found.
func (c *corruption) flip(n *damageCount, at blockAt) {
	c.t.Helper()
	before, faults := c.repairs(), c.load.Faults()
	f, err := os.OpenFile(c.pages(), os.O_RDWR, 0)
	c.must(err)
	defer f.Close()
	off := at.off
	if c.rng.IntN(10) == 0 { // anything, most likely free
		st, err := f.Stat()
		c.must(err)
		off = c.rng.Int64N(st.Size()/load.Block) * load.Block
	}
	was := make([]byte, load.Block)
	_, err = f.ReadAt(was, off)
	c.must(err)
	now := bytes.Clone(was)
	switch old := c.old[off]; {
	case c.rng.IntN(2) == 0:
		now[c.rng.IntN(len(now))] ^= 1 << c.rng.IntN(8)
	case old != nil && !bytes.Equal(old, was):
		now = old
	default:
		clear(now)
	}
	same := bytes.Equal(was, now)
	_, err = f.WriteAt(now, off)
	c.must(err)
	c.must(f.Sync())
	if at.disk < uint64(len(c.disks)) {
		ctx, cancel := context.WithTimeout(c.t.Context(), goesOnIn)
		err = c.disks[at.disk].Read(ctx, "", make([]byte, load.Block), int64(at.block)*load.Block)
		cancel()
		c.must(err)
	}
	if out, err := c.Command(c.t.Context(), rig.B, "scrub", "-rate", "100000"); err != nil {
		c.t.Logf("scrub: %v\n%s", err, out)
	}
	// What the daemon has written over it since was not damage to anything.
	if c.repairs() > before && !same {
		n.repaired++
	} else {
		n.harmless++ // unless check finds it
	}
	n.served += int(c.load.Faults() - faults)
}

// repairs returns how many pages B says were repaired.
func (c *corruption) repairs() (count int) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.Dir, "logs", "*.log"))
	c.must(err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		c.must(err)
		count += bytes.Count(b, []byte("was damaged on array array-b and was repaired from array array-a"))
	}
	return count
}

// prove shows that what was not found did no harm: the host reads all through B, and
// B's disks, without the daemon, are in order.
func (c *corruption) prove(n *damageCount) {
	c.t.Helper()
	c.load.Stop()
	faults := c.load.Faults()
	c.move(rig.B)
	ctx, cancel := context.WithTimeout(c.t.Context(), wholeIn)
	defer cancel()
	_, err := c.load.Verify(ctx, rig.Name(rig.B))
	c.must(err)
	if served := int(c.load.Faults() - faults); served > 0 {
		n.served += served
		c.t.Logf("served by B: %v", c.load.Err())
		c.move(rig.A)
		_, err := c.load.Verify(ctx, rig.Name(rig.A))
		c.t.Logf("by A: %v, %d blocks wrong: %v", err, int(c.load.Faults()-faults)-served, c.load.Err())
		c.move(rig.B)
	}
	c.must(c.Array(rig.B).Kill())
	out, err := exec.CommandContext(ctx, filepath.Join(c.sound, "perdured"), "--config", filepath.Join(c.data(), "perdured.toml"), "check", "--content").CombinedOutput()
	if bad := strings.Count(string(out), "checksum is"); bad > 0 {
		n.undetected += bad
		n.harmless -= bad
		c.t.Logf("not found by B:\n%s", out)
	} else if err != nil {
		c.t.Errorf("check: %v\n%s", err, out)
	}
	c.start(rig.B)
	c.whole()
	c.load.Start()
	c.goesOn()
}
