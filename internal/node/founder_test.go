// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/scsi"
)

// inUse makes a volume on one array alone that a host sees and has written to.
func (a *testArray) inUse(vv string) VV {
	a.t.Helper()
	a.run("createvv", "cpg0", vv, "64m")
	a.run("createhost", "host", "iqn.2026-01.org.example:host")
	a.run("createvlun", vv, "5", "host")
	a.write(vv, 0, []byte("before"))
	a.write(vv, 60<<20, []byte("far behind"))
	return a.stored(vv)
}

// once writes, and returns the answer whatever it is.
func (a *testArray) once(u *group.Unit, off int64, data []byte) error {
	b, err := a.pool.Wait(a.t.Context(), len(data))
	if err != nil {
		return err
	}
	defer b.Release()
	copy(b.Bytes(), data)
	answer := make(chan error, 1)
	u.Mutate(a.ownOp(u), scsi.Mutation{Kind: scsi.Write, Offset: off, Length: int64(len(data)), Data: b}, func(err error) { answer <- err })
	return <-answer
}

// TestAVolumeInUseIsProtected: it becomes the first one of a group with its data, identity
// and exports, on whichever array it is.
func TestAVolumeInUseIsProtected(t *testing.T) {
	long(t)
	t.Parallel()
	for _, mode := range []string{"sync", "periodic"} {
		for from := range 2 {
			arrays := openArrays(t, 2, nil)
			a, b := arrays[from], arrays[1-from]
			was := a.inUse("v")
			a.run("creatercopygroup", "g", b.cfg.Name+":"+mode)
			a.run("admitrcopyvv", "-createvv", "v", "g")
			if err := a.tryWrite("v", 4096, []byte("after")); err != nil {
				t.Fatalf("%s from %d: %v\n%s", mode, from, err, a.all.told())
			}
			a.run("syncrcopy", "-w", "g")
			now := a.stored("v")
			if now.ID != was.ID || a.sees("iqn.2026-01.org.example:host") != 1 {
				t.Errorf("the volume had number %v and has %v, the host sees %d", was.ID, now.ID, a.sees("iqn.2026-01.org.example:host"))
			}
			verb := map[string]string{"sync": "switchover", "periodic": "reverse"}[mode]
			a.run("setrcopygroup", verb, "g")
			b.until("b to serve", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
			for off, want := range map[int64]string{0: "before", 4096: "after", 60 << 20: "far behind"} {
				b.has("v", off, []byte(want))
			}
			if b.stored("v").ID != was.ID || b.sees("iqn.2026-01.org.example:host") != 1 {
				t.Error("the other array has another volume, or does not export it")
			}
			for _, x := range arrays {
				if text := x.run("showrcopy", "groups"); strings.Count(text, "\ng ") > 1 {
					t.Errorf("%s has two groups of one name:\n%s", x.cfg.Name, text)
				}
			}
			a.Close()
			a.open()
			b.until("a to be back", func() bool { f, err := b.Group("g"); return err == nil && f.Contact })
			b.run("syncrcopy", "-w", "g")
			// And back: it stays where it is served, and goes on the other array.
			b.refuses("is exported", "dismissrcopyvv", "-f", "-destroy", "v", "g")
			b.run("dismissrcopyvv", "-f", "-keepvv", "v", "g")
			b.write("v", 8192, []byte("alone"))
			b.has("v", 0, []byte("before"))
			if f := b.fact("v"); f.Group != "" || b.stored("v").ID != was.ID || b.sees("iqn.2026-01.org.example:host") != 1 {
				t.Errorf("volume v is in group %q, its number %v", f.Group, b.stored("v").ID)
			}
			if _, _, err := a.vv("v"); err == nil || a.sees("iqn.2026-01.org.example:host") != 0 {
				t.Error("the other array still has the volume, or exports it")
			}
			b.Close()
			b.open()
			b.until("v to be served", func() bool { return b.serves(b.stored("v").Group) })
			b.has("v", 8192, []byte("alone"))
			b.until("a to be back", b.reachable)
			b.run("admitrcopyvv", "-createvv", "v", "g")
			b.run("syncrcopy", "-w", "g")
		}
	}
}

// noKeep can't be read.
type noKeep struct{ group.Keep }

func (noKeep) Get(array.GroupID, string) ([]byte, error) { return nil, errors.New("no") }

// TestTheFirstVolumeIsWaitedFor: -wait waits until the other array holds a volume, whether it
// is the first of its group, in use or not, or of a set.
func TestTheFirstVolumeIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"sync", "periodic"} {
		arrays := openArrays(t, 2, quick)
		a, b := arrays[0], arrays[1]
		a.inUse("v")
		a.run("createvvset", "s", "v")
		a.run("createvv", "cpg0", "unused", "64m")
		for k, admits := range [][]string{{"v"}, {"set:s"}, {"unused"}, {"-size", "64m", "new"}} {
			a.run("creatercopygroup", "g", "array-b:"+mode)
			a.run(append(append([]string{"admitrcopyvv", "-createvv", "-wait"}, admits...), "g")...)
			for _, x := range []*testArray{a, b} {
				if f, err := x.Group("g"); err != nil || f.Sync != "Synced" || mode == "periodic" && f.LastSync.IsZero() {
					t.Errorf("%s, %v, %s: %s, of %v, %v", mode, admits, x.cfg.Name, f.Sync, f.LastSync, err)
				}
			}
			if k < 2 {
				a.run("dismissrcopyvv", "-f", "-keepvv", "-wait", "v", "g")
			} else {
				a.run("dismissrcopyvv", "-f", "-destroy", admits[len(admits)-1], "g")
			}
			a.run("removercopygroup", "-f", "g")
		}
	}
}

// TestWhatCannotBecomeAGroup: a volume in use that can't be a group's first stays what it is.
func TestWhatCannotBecomeAGroup(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	arrays := openArrays(t, 2, func(c *Config) {
		c.Groups = func(g *group.Config) {
			if broken.Load() && g.Peer != nil {
				g.Keep = noKeep{g.Keep}
			}
		}
	})
	a, b := arrays[0], arrays[1]
	a.inUse("v")
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("createsv", "-ro", "snap", "v")
	a.refuses("has snapshots", "admitrcopyvv", "-createvv", "v", "g")
	a.run("removevv", "-f", "snap")
	b.run("createvv", "cpg0", "v", "64m")
	a.refuses("exists on array array-b and is another one", "admitrcopyvv", "-createvv", "v", "g")
	b.run("removevv", "-f", "v")
	// It can't be opened as a group of two arrays: all is as before, and hosts are served.
	broken.Store(true)
	a.refuses("read membership: no", "admitrcopyvv", "-createvv", "v", "g")
	broken.Store(false)
	a.has("v", 0, []byte("before"))
	a.write("v", 0, []byte("still here"))
	if f := a.fact("v"); f.Group != "" {
		t.Errorf("volume v is in group %q", f.Group)
	}
	a.run("admitrcopyvv", "-createvv", "v", "g")
	a.run("syncrcopy", "-w", "g")
	a.run("setrcopygroup", "switchover", "g")
	b.has("v", 0, []byte("still here"))
}

// TestAVolumeIsProtectedUnderLoad: the host's writes go on through it, and none is lost.
func TestAVolumeIsProtectedUnderLoad(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.inUse("v")
	a.run("creatercopygroup", "g", "array-b:sync")
	page := func(n int64) []byte { return bytes.Repeat([]byte{byte(n), byte(n >> 8), 1, 2}, 1024) }
	stop, ended := make(chan struct{}), make(chan int64)
	go func() {
		n := int64(0)
		for {
			select {
			case <-stop:
				ended <- n
				return
			default:
			}
			u, ok := a.exports.Unit("iqn.2026-01.org.example:host", 5)
			if !ok {
				t.Error("the host does not see the volume")
				ended <- n
				return
			}
			switch err := a.once(u.(*group.Unit), n%1000*4096, page(n)); {
			case err == nil:
				n++
			case array.KindOf(err) != array.Busy: // a host that is told BUSY asks again
				t.Errorf("write %d: %v", n, err)
				ended <- n
				return
			}
		}
	}()
	a.run("admitrcopyvv", "-createvv", "v", "g")
	a.run("syncrcopy", "-w", "g")
	close(stop)
	n := <-ended
	a.run("setrcopygroup", "switchover", "g")
	b.run("syncrcopy", "-w", "g")
	for i := max(n-1000, 0); i < n; i++ {
		b.has("v", i%1000*4096, page(i))
	}
	t.Logf("%d writes", n)
}

// TestTheReplacedGroupGoesOn: a group without volumes follows its journal while a volume is to
// become its first, and is what it was if that fails.
func TestTheReplacedGroupGoesOn(t *testing.T) {
	t.Parallel()
	var empty atomic.Pointer[running]
	var moved error
	arrays := openArrays(t, 2, func(c *Config) {
		c.Groups = func(g *group.Config) {
			if r := empty.Load(); r != nil && g.Peer != nil {
				moved = switchOver(t.Context(), r.g)
				g.Keep = noKeep{g.Keep}
			}
		}
	})
	a, b := arrays[0], arrays[1]
	a.inUse("v")
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("syncrcopy", "-w", "g")
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	empty.Store(r)
	a.refuses("read membership: no", "admitrcopyvv", "-createvv", "v", "g")
	empty.Store(nil)
	if moved != nil {
		t.Errorf("the group without volumes can't be handed over: %v", moved)
	}
	b.until("it to be served by the other array", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	a.has("v", 0, []byte("before"))
}
