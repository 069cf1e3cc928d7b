// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pair"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/store"
)

// long is of tests that wait for many seconds, for what is given up or tried again: 'make check'
// goes without, 'make test' and 'make prove' do not.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it waits for many seconds, for arrays that are given up: 'make test' plays it")
	}
}

// testArray is an array in this process, which can be closed and opened again.
type testArray struct {
	*Node
	t   testing.TB
	cfg Config
	all testArrays
}

type testArrays []*testArray

// told is what the arrays can tell of their groups and of what happened.
func (all testArrays) told() string {
	var b strings.Builder
	for _, a := range all {
		for _, r := range a.shared() {
			text, err := a.Run(context.Background(), []string{"explain", r.rec.Name})
			fmt.Fprintf(&b, "%s: group %s:\n%s%v\n", a.cfg.Name, r.rec.Name, text, err)
		}
		fmt.Fprintf(&b, "%s: events:\n%v\n", a.cfg.Name, a.Events())
	}
	return b.String()
}

// openArrays opens one array, or two that are a pair without a witness.
func openArrays(t testing.TB, count int, set func(*Config)) []*testArray {
	t.Helper()
	cfgs := make([]Config, count)
	pins := make([]pki.Pin, count)
	addr := make([]string, count)
	for i := range cfgs {
		dir := t.TempDir()
		id, err := pki.LoadOrCreate(filepath.Join(dir, "identity"), "array", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pins[i], addr[i] = id.Pin(), freePort(t)
		c := Config{Name: fmt.Sprintf("array-%c", 'a'+i), SystemID: array.SystemID(i + 1), DataDir: dir}
		c.ISCSI = ISCSI{Name: "iqn.2026-01.io.perdure:" + c.Name, Portals: []string{"127.0.0.1:0"}}
		c.Journal.SizeMiB, c.Memory.BuffersMiB, c.Memory.OverlayMiB = 64, 64, 32
		c.CPGs = []CPG{{Name: "cpg0", Dir: filepath.Join(dir, "cpg0"), LimitGiB: 1}}
		// All tests share the processors and the disk, which holds a heartbeat up for longer than a
		// machine that is an array's own would: a test that loses no array must not lose one.
		c.Timing = pair.DefaultTiming()
		c.Timing.Lease, c.Timing.Detect = 3*c.Timing.Lease, 3*c.Timing.Detect
		if set != nil {
			set(&c)
		}
		cfgs[i] = c
	}
	arrays := make([]*testArray, count)
	for i := range cfgs {
		if o := 1 - i; count == 2 {
			cfgs[i].Target = Target{Name: cfgs[o].Name, SystemID: cfgs[o].SystemID, Key: pins[o], Links: []Link{{Name: "1", Listen: addr[i], Remote: addr[o]}}}
		}
		arrays[i] = &testArray{t: t, cfg: cfgs[i]}
		arrays[i].open()
	}
	for _, a := range arrays {
		a.all = arrays
	}
	t.Cleanup(func() {
		for _, a := range arrays {
			a.end()
		}
	})
	if count == 2 {
		arrays[0].until("the arrays to meet", func() bool { return arrays[0].reachable() && arrays[1].reachable() })
	}
	return arrays
}

// freePort returns an address to listen on a little later. It is one of 127.0.0.0/8 drawn at
// random: on 127.0.0.1 others, which run at the same time, could take the port meanwhile.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(256), 1+rand.N(254)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (a *testArray) open() {
	a.t.Helper()
	n, err := Open(a.cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		a.t.Fatal(err)
	}
	a.Node = n
}

// end closes the array for good. A test that ran beside others is kept until all are over, with
// its cleanups and what these know: that must not be an array with all its memory.
func (a *testArray) end() {
	a.Close()
	a.Node = nil
}

func (a *testArray) run(words ...string) string {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	text, err := a.Run(ctx, words)
	if err != nil {
		a.t.Fatalf("%s: %s: %v\n%s", a.cfg.Name, strings.Join(words, " "), err, a.all.told())
	}
	if words[0] == "createvv" { // it is opened beside
		name := words[len(words)-2]
		a.until(name+" to be served", func() bool { return a.serves(a.stored(name).Group) })
	}
	return text
}

// refuses wants a command to fail with an error that says so.
func (a *testArray) refuses(why string, words ...string) {
	a.t.Helper()
	if text, err := a.Run(a.t.Context(), words); err == nil || !strings.Contains(err.Error(), why) {
		a.t.Errorf("%s: %s: %q, %v; want an error with %q", a.cfg.Name, strings.Join(words, " "), text, err, why)
	}
}

func (a *testArray) until(what string, ok func() bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	for !ok() {
		if !pause(ctx, 5*time.Millisecond) {
			a.t.Fatalf("%s: waited for %s\n%s", a.cfg.Name, what, a.all.told())
		}
	}
}

// write writes to a volume that is served here.
func (a *testArray) write(vv string, off int64, data []byte) {
	a.t.Helper()
	if err := a.tryWrite(vv, off, data); err != nil {
		a.t.Fatalf("write to %s: %v", vv, err)
	}
}

func (a *testArray) tryWrite(vv string, off int64, data []byte) error {
	a.t.Helper()
	u := a.unit(vv)
	b, err := a.pool.Wait(a.t.Context(), len(data))
	if err != nil {
		a.t.Fatal(err)
	}
	defer b.Release()
	copy(b.Bytes(), data)
	m := scsi.Mutation{Kind: scsi.Write, Offset: off, Length: int64(len(data)), Data: b}
	return patiently(a.t.Context(), func(done func(error)) { u.to.Mutate(a.ownOp(u.to), m, done) })
}

// unit is a volume's.
func (a *testArray) unit(vv string) writer {
	a.t.Helper()
	v, g, err := a.vv(vv)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if r := a.groups[g.ID]; r != nil && r.units[v.ID] != nil {
		return writer{n: a.Node, to: r.units[v.ID]}
	}
	a.t.Fatalf("volume %s is not open", vv)
	return writer{}
}

// has wants a volume to have these bytes.
func (a *testArray) has(vv string, off int64, want []byte) {
	a.t.Helper()
	u, got := a.unit(vv).to, make([]byte, len(want))
	err := patiently(a.t.Context(), func(done func(error)) { u.Read(a.ownOp(u), off, got, done) })
	if err != nil || !bytes.Equal(got, want) {
		a.t.Errorf("volume %s at %d is not what it should be: %v", vv, off, err)
	}
}

func (a *testArray) stored(vv string) (v VV) {
	a.t.Helper()
	v, _, err := a.vv(vv)
	if err != nil {
		a.t.Fatal(err)
	}
	return v
}

// count is how many volumes and snapshots have names that begin so.
func (a *testArray) count(prefix string) (count int) {
	a.t.Helper()
	if err := a.store.View(func(t *store.Tx) error {
		return tables.vvs.Each(t, func(_ string, v VV) error {
			if strings.HasPrefix(v.Name, prefix) {
				count++
			}
			return nil
		})
	}); err != nil {
		a.t.Fatal(err)
	}
	return count
}

func filled(n int, with byte) []byte { return bytes.Repeat([]byte{with}, n) }
