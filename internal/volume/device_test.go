// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// newDevice makes a blank file of so many pages that stands for a device.
func newDevice(t *testing.T, m *vfs.Mem, name string, pages int64) {
	t.Helper()
	f, err := m.Open(name, vfs.Create)
	ok(t, err)
	ok(t, f.Allocate(pages*block.Page))
	ok(t, f.Sync())
	ok(t, f.Close())
}

func deviceOptions(dir, device string) Options {
	o := testOptions(dir)
	o.Pages, o.Limit = device, 1<<40
	return o
}

// refused opens a pool, which must fail, and tell.
func refused(t *testing.T, m *vfs.Mem, o Options, tells ...string) {
	t.Helper()
	p, err := OpenPool(m, "pool", o)
	if err == nil {
		_ = p.Close()
		t.Fatalf("it was opened; want %q", tells)
	}
	for _, text := range tells {
		if !strings.Contains(err.Error(), text) {
			t.Fatalf("%v\n\tdoes not tell %q", err, text)
		}
	}
}

// TestPagesOnDevice fills a device to its end, without touching the label, grows it and
// goes on.
func TestPagesOnDevice(t *testing.T) {
	m, dir := vfs.NewMem(), t.TempDir()
	const pages, room = 80, 79 - 5 // some are kept for replacing others
	newDevice(t, m, "dev", pages)
	o := deviceOptions(dir, "dev")
	p, v := onePool(t, m, o, 1<<30)
	if c := p.Capacity(); c.Limit != (pages-1)*block.Page {
		t.Fatalf("limit %d", c.Limit)
	}
	for n := range int64(room) {
		ok(t, v.Apply(data(array.Place(n+1), n*block.Page, page(byte(n+1)))))
	}
	ok(t, p.Flush(1))
	ok(t, v.Apply(data(room+1, room*block.Page, page(1))))
	if err := p.Flush(1); array.KindOf(err) != array.Full {
		t.Fatal(err)
	}
	ok(t, p.Close())
	for range 2 { // the second time with the label moved
		p, v = onePool(t, m, o, 0)
		got := make([]byte, block.Page)
		for n := range int64(room) {
			ok(t, v.Read(got, n*block.Page))
			if got[0] != byte(n+1) {
				t.Fatalf("page %d begins with %d", n, got[0])
			}
		}
		ok(t, check(p))
		ok(t, p.Close())
		f, err := m.Open("dev", 0)
		ok(t, err)
		ok(t, f.Allocate((pages+5)*block.Page))
		ok(t, f.Close())
	}
	p, v = onePool(t, m, o, 0)
	ok(t, v.Apply(data(room+1, room*block.Page, page(1))))
	ok(t, p.Flush(1))
	refused(t, m, func() Options { o := o; o.MapFile = filepath.Join(t.TempDir(), "map"); return o }(), "lock")
	ok(t, p.Close())
	found, err := Inspect(m, "pool", o.MapFile, "dev", true, func(text string) { t.Error(text) })
	ok(t, err)
	if found.Used != (room+1)*block.Page {
		t.Fatalf("%d bytes of pages", found.Used)
	}
}

// TestDeviceAndMapBelongTogether: a map takes no device but its own, in any state.
func TestDeviceAndMapBelongTogether(t *testing.T) {
	m, dir, other := vfs.NewMem(), t.TempDir(), t.TempDir()
	newDevice(t, m, "one", 80)
	newDevice(t, m, "two", 80)
	newDevice(t, m, "small", 70)
	newDevice(t, m, "foreign", 80)
	f, err := m.Open("foreign", 0)
	ok(t, err)
	_, err = f.WriteAt([]byte("\x53\xef"), 1080)
	ok(t, err)
	ok(t, f.Close())

	refused(t, m, deviceOptions(dir, "foreign"), "foreign", "ext2, ext3 or ext4", "wipefs")
	refused(t, m, deviceOptions(dir, "missing"), "not exist")
	for d, name := range map[string]string{dir: "one", other: "two"} {
		p, v := onePool(t, m, deviceOptions(d, name), 1<<30)
		ok(t, v.Apply(data(1, 0, page(1))))
		ok(t, p.Flush(1))
		ok(t, p.Close())
	}
	refused(t, m, deviceOptions(dir, "two"), "two holds the pages of another CPG")
	refused(t, m, deviceOptions(dir, "small"), "was made smaller")
	refused(t, m, deviceOptions(dir, "foreign"), "does not hold the pages of this CPG")
	refused(t, m, testOptions(dir), "lie on a device", "the configuration names none")
	refused(t, m, deviceOptions(t.TempDir(), "two"), "not blank", "whose map is another one")
	for _, name := range []string{"two", "small", ""} {
		if _, err := Inspect(m, "pool", deviceOptions(dir, "").MapFile, name, true, func(string) {}); array.KindOf(err) != array.Medium && name != "" {
			t.Errorf("inspect with %q: %v", name, err)
		}
	}
	inDir := t.TempDir()
	p, v := onePool(t, m, testOptions(inDir), 1<<30)
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, p.Flush(1))
	ok(t, p.Close())
	newDevice(t, m, "blank", 80)
	refused(t, m, deviceOptions(inDir, "blank"), "which lie in its directory")

	// Three of the four copies of the label may be lost.
	for i := range int64(4) {
		ok(t, m.Flip("one", 8*(79*block.Page+i*labelSize+20)))
		if i < 3 {
			p, err := OpenPool(m, "pool", deviceOptions(dir, "one"))
			ok(t, err)
			ok(t, p.Close())
			continue
		}
		refused(t, m, deviceOptions(dir, "one"), "fails its checksum")
	}
}

// TestDeviceIsClaimedInSteps: whatever was done when the power went, it goes on; the map
// alone knows of a device that was never claimed.
func TestDeviceIsClaimedInSteps(t *testing.T) {
	type cut struct {
		disk *vfs.Mem
		m    []byte
	}
	var cuts []cut
	m, dir := vfs.NewMem(), t.TempDir()
	newDevice(t, m, "dev", 80)
	ok(t, m.SyncDir("."))
	ok(t, m.MkdirAll("pool"))
	o := deviceOptions(dir, "dev")
	m.SetHook(func(op vfs.Op) {
		b, err := os.ReadFile(o.MapFile)
		ok(t, err)
		for keep := range 3 {
			cuts = append(cuts, cut{m.CrashClone(rand.New(rand.NewPCG(uint64(len(cuts)), 1)), 50*keep), b})
		}
	})
	p, err := OpenPool(m, "pool", o)
	ok(t, err)
	ok(t, p.Close())
	m.SetHook(nil)
	for _, c := range cuts {
		ok(t, os.WriteFile(o.MapFile, c.m, 0o600))
		p, err := OpenPool(c.disk, "pool", o)
		ok(t, err)
		ok(t, p.Close())
	}
	if len(cuts) < 6 {
		t.Fatalf("%d cuts", len(cuts))
	}
}

func FuzzLabel(f *testing.F) {
	f.Add(encodeLabel([16]byte{1}))
	f.Add([]byte(labelMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := decodeLabel(b)
		if err != nil {
			return
		}
		if again, err := decodeLabel(encodeLabel(id)); err != nil || again != id {
			t.Fatalf("%x became %x: %v", id, again, err)
		}
	})
}
