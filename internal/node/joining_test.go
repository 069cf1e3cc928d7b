// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
)

// fullGroup makes a group that has a volume.
func (a *testArray) fullGroup(mode string) {
	a.t.Helper()
	a.run("creatercopygroup", "g", a.to().Name+":"+mode)
	a.until("the group to be served", func() bool { f, err := a.Group("g"); return err == nil && f.ServedHere })
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "first", "g")
	a.run("syncrcopy", "-w", "g")
	a.write("first", 0, []byte("first"))
}

// TestAVolumeInUseJoinsOthers: it is admitted to a group that has volumes, with its data,
// identity, exports and reservations, on whichever array it is.
func TestAVolumeInUseJoinsOthers(t *testing.T) {
	t.Parallel()
	const host = "iqn.2026-01.org.example:host"
	for _, mode := range []string{"sync", "periodic"} {
		for from := range 2 {
			arrays := openArrays(t, 2, nil)
			a, b := arrays[from], arrays[1-from]
			was := a.inUse("v")
			a.run("createvvset", "s", "v")
			wwn := a.fact("v").WWN
			a.fullGroup(mode)
			a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
			if err := a.tryWrite("v", 4096, []byte("after")); err != nil {
				t.Fatalf("%s from %d: %v\n%s", mode, from, err, a.all.told())
			}
			a.run("syncrcopy", "-w", "g")
			now := a.stored("v")
			if a.fact("v").WWN != wwn || len(now.Sets) != 1 || a.sees(host) != 1 || now.Joined != was.ID {
				t.Errorf("the volume had WWN %v and has %v, the host sees %d: %+v", wwn, a.fact("v").WWN, a.sees(host), now)
			}
			verb := map[string]string{"sync": "switchover", "periodic": "reverse"}[mode]
			a.run("setrcopygroup", verb, "g")
			b.until("b to serve", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
			for off, want := range map[int64]string{0: "before", 4096: "after", 60 << 20: "far behind"} {
				b.has("v", off, []byte(want))
			}
			b.has("first", 0, []byte("first"))
			if b.fact("v").WWN != wwn || b.sees(host) != 1 || b.unit("v").to.Identity().WWN != wwn {
				t.Error("the other array has another volume, or does not export it")
			}
			if n := a.count("") + b.count(""); n != 4 {
				t.Errorf("the arrays have %d volumes and snapshots, want two each:\n%s", n, a.run("showvv"))
			}
			a.Close()
			a.open()
			a.until("a to be back", func() bool { f, err := a.Group("g"); return err == nil && f.Contact })
			if a.fact("v").WWN != wwn || a.count("") != 2 {
				t.Error("after a restart it is another one")
			}
		}
	}
}

// underLoad does something while the host writes to v, and returns how often it wrote.
func (a *testArray) underLoad(do func()) int64 {
	a.t.Helper()
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
				a.t.Error("the host does not see the volume")
				ended <- n
				return
			}
			switch err := a.once(u.(*group.Unit), n%1000*4096, numbered(n)); {
			case err == nil:
				n++
			case array.KindOf(err) != array.Busy: // a host that is told BUSY asks again
				a.t.Errorf("write %d: %v", n, err)
				ended <- n
				return
			}
		}
	}()
	do()
	close(stop)
	return <-ended
}

func numbered(n int64) []byte { return bytes.Repeat([]byte{byte(n), byte(n >> 8), 1, 2}, 1024) }

// TestAVolumeJoinsUnderLoad: the host's writes go on through it, and none is lost.
func TestAVolumeJoinsUnderLoad(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.inUse("v")
	a.fullGroup("sync")
	n := a.underLoad(func() { a.run("admitrcopyvv", "-createvv", "-wait", "v", "g") })
	a.run("setrcopygroup", "switchover", "g")
	b.run("syncrcopy", "-w", "g")
	for i := max(n-1000, 0); i < n; i++ {
		b.has("v", i%1000*4096, numbered(i))
	}
	b.has("v", 60<<20, []byte("far behind"))
	t.Logf("%d writes", n)
}
