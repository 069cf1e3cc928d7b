// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/pki"
)

// rig is a running witness and the keys of two arrays, a third one and a stranger.
type rig struct {
	t                    *testing.T
	dir, addr            string
	id, a, b, c, unknown *pki.Identity
	server               *Server
	store                *Store
	stop                 func() error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	for _, p := range []**pki.Identity{&r.id, &r.a, &r.b, &r.c, &r.unknown} {
		id, err := pki.Create("test", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		*p = id
	}
	r.start()
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.store, err = OpenStore(r.dir, 3); err != nil {
		r.t.Fatal(err)
	}
	r.server, err = NewServer(ServerConfig{
		Identity: r.id, Store: r.store, Version: "test", Logger: slog.New(slog.DiscardHandler),
		Clients: []ClientKey{{"a", r.a.Pin()}, {"b", r.b.Pin()}, {"c", r.c.Pin()}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if r.addr == "" {
		r.addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(ctx, l) }()
	r.stop = func() error {
		cancel()
		return errors.Join(<-done, r.store.Close())
	}
}

func (r *rig) restart() {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	r.start()
}

func (r *rig) client(id *pki.Identity) *Client {
	c := NewClient(ClientConfig{Address: r.addr, Identity: id, Witness: r.id.Pin()})
	r.t.Cleanup(c.Close)
	return c
}

func (r *rig) owners() Owners { return Owners{r.a.Pin(), r.b.Pin()} }

// one makes a single swap and returns its outcome.
func (r *rig) one(id *pki.Identity, s Swap) Outcome {
	r.t.Helper()
	out, err := r.client(id).Swap(r.t.Context(), r.server.Incarnation(), []Swap{s})
	if err != nil {
		r.t.Fatal(err)
	}
	return out[0]
}

func TestSwap(t *testing.T) {
	r := newRig(t)
	create := Swap{Key: "g/1:7", Value: []byte("one"), Owners: r.owners()}
	for _, step := range []struct {
		name    string
		who     *pki.Identity
		swap    Swap
		want    Result
		version uint64
		value   string
	}{
		{"a change before there is anything", r.a, Swap{Key: "g/1:7", Version: 4}, Conflict, 0, ""},
		{"a stranger to the register creates it", r.c, create, Denied, 0, ""},
		{"one owner only", r.a, Swap{Key: "g/1:7", Owners: Owners{r.a.Pin(), r.a.Pin()}}, Invalid, 0, ""},
		{"an owner who is no client", r.a, Swap{Key: "g/1:7", Owners: Owners{r.a.Pin(), r.unknown.Pin()}}, Denied, 0, ""},
		{"create", r.a, create, OK, 1, "one"},
		{"create again, its answer was lost", r.a, create, OK, 1, "one"},
		{"the other one creates the same", r.b, Swap{Key: "g/1:7", Value: []byte("one"), Owners: Owners{r.b.Pin(), r.a.Pin()}}, OK, 1, "one"},
		{"create another", r.b, Swap{Key: "g/1:7", Value: []byte("two"), Owners: r.owners()}, Conflict, 1, "one"},
		{"create with other owners", r.a, Swap{Key: "g/1:7", Value: []byte("one"), Owners: Owners{r.a.Pin(), r.c.Pin()}}, Conflict, 1, "one"},
		{"change", r.b, Swap{Key: "g/1:7", Version: 1, Value: []byte("two")}, OK, 2, "two"},
		{"repeat", r.b, Swap{Key: "g/1:7", Version: 1, Value: []byte("two")}, OK, 2, "two"},
		{"too late", r.a, Swap{Key: "g/1:7", Version: 1, Value: []byte("three")}, Conflict, 2, "two"},
		{"ahead", r.a, Swap{Key: "g/1:7", Version: 3, Value: []byte("three")}, Conflict, 2, "two"},
		{"foreign", r.c, Swap{Key: "g/1:7", Version: 2, Value: []byte("three")}, Denied, 0, ""},
		{"empty value", r.a, Swap{Key: "g/1:7", Version: 2}, OK, 3, ""},
		{"foreign removal", r.c, Swap{Key: "g/1:7", Version: 3, Remove: true}, Denied, 0, ""},
		{"late removal", r.a, Swap{Key: "g/1:7", Version: 2, Remove: true}, Conflict, 3, ""},
		{"removal", r.a, Swap{Key: "g/1:7", Version: 3, Remove: true}, OK, 0, ""},
		{"repeated removal", r.a, Swap{Key: "g/1:7", Version: 3, Remove: true}, OK, 0, ""},
		{"no key", r.a, Swap{Key: "", Owners: r.owners()}, Invalid, 0, ""},
		{"a space", r.a, Swap{Key: "a b", Owners: r.owners()}, Invalid, 0, ""},
		{"a long key", r.a, Swap{Key: strings.Repeat("k", MaxKey+1), Owners: r.owners()}, Invalid, 0, ""},
		{"a long value", r.a, Swap{Key: "v", Value: make([]byte, MaxValue+1), Owners: r.owners()}, Invalid, 0, ""},
		{"the last version", r.a, Swap{Key: "v", Version: 1<<64 - 1}, Invalid, 0, ""},
	} {
		got := r.one(step.who, step.swap)
		if got.Result != step.want || got.Version != step.version || string(got.Value) != step.value {
			t.Errorf("%s: %s version %d %q (%s), want %s version %d %q", step.name, got.Result, got.Version, got.Value, got.Reason,
				step.want, step.version, step.value)
		}
	}
}

func TestLimitPerPair(t *testing.T) {
	r := newRig(t)
	for i := range 4 {
		want := OK
		if i == 3 {
			want = Full
		}
		if got := r.one(r.a, Swap{Key: fmt.Sprint("g", i), Owners: r.owners()}); got.Result != want {
			t.Errorf("register %d: %s %s, want %s", i, got.Result, got.Reason, want)
		}
	}
	if got := r.one(r.a, Swap{Key: "other", Owners: Owners{r.a.Pin(), r.c.Pin()}}); got.Result != OK {
		t.Errorf("another pair's register: %s", got.Result)
	}
	if got := r.one(r.a, Swap{Key: "g1", Version: 1, Remove: true}); got.Result != OK {
		t.Errorf("remove: %s", got.Result)
	}
	if got := r.one(r.a, Swap{Key: "g3", Owners: r.owners()}); got.Result != OK {
		t.Errorf("after a removal: %s", got.Result)
	}
}

// TestAVersionHasOneValue: also of a register that was removed and created again, of which an array
// that was slow knows a version of before.
func TestAVersionHasOneValue(t *testing.T) {
	r := newRig(t)
	r.one(r.a, Swap{Key: "x", Value: []byte("old"), Owners: r.owners()})
	r.one(r.a, Swap{Key: "x", Version: 1, Value: []byte("older"), Owners: r.owners()})
	r.one(r.a, Swap{Key: "x", Version: 2, Remove: true})
	again := Swap{Key: "x", Value: []byte("new"), Owners: r.owners()}
	for range 2 { // whose answer may get lost
		if got := r.one(r.a, again); got.Result != OK || got.Version != 3 {
			t.Errorf("created again: %s, version %d, want 3", got.Result, got.Version)
		}
	}
	for version := range uint64(3) {
		late := Swap{Key: "x", Version: version, Value: []byte("late"), Owners: r.owners()}
		if got := r.one(r.b, late); got.Result != Conflict || string(got.Value) != "new" {
			t.Errorf("a late swap of version %d: %s %q", version, got.Result, got.Value)
		}
	}
	_, regs, err := r.client(r.b).Read(t.Context(), []string{"x"}, r.server.Incarnation(), []uint64{2})
	if err != nil || string(regs[0].Value) != "new" {
		t.Errorf("who knows version 2 reads %+v, %v", regs, err)
	}
}

func TestRead(t *testing.T) {
	r := newRig(t)
	r.one(r.a, Swap{Key: "x", Value: []byte("v"), Owners: r.owners()})
	in, regs, err := r.client(r.b).Read(t.Context(), []string{"x", "absent", " "}, Incarnation{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if in != r.server.Incarnation() {
		t.Errorf("incarnation %v, want %v", in, r.server.Incarnation())
	}
	if g := regs[0]; g.Result != OK || g.Version != 1 || string(g.Value) != "v" || g.Owners != r.owners().sorted() {
		t.Errorf("x: %+v", g)
	}
	if g := regs[1]; g.Result != OK || g.Version != 0 {
		t.Errorf("absent: %+v", g)
	}
	if regs[2].Result != Invalid {
		t.Errorf("bad key: %+v", regs[2])
	}
	if _, regs, err = r.client(r.c).Read(t.Context(), []string{"x"}, Incarnation{}, nil); err != nil || regs[0].Result != Denied || regs[0].Value != nil {
		t.Errorf("foreign read: %+v %v", regs, err)
	}
}

func TestRestartRefusesOldIncarnation(t *testing.T) {
	r := newRig(t)
	c := r.client(r.a)
	old := r.server.Incarnation()
	if _, err := c.Swap(t.Context(), old, []Swap{{Key: "x", Value: []byte("v"), Owners: r.owners()}}); err != nil {
		t.Fatal(err)
	}
	r.restart()
	// The kept connection is dead. A read finds a new one by itself.
	now, regs, err := c.Read(t.Context(), []string{"x"}, Incarnation{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if now == old || regs[0].Version != 1 {
		t.Errorf("after a restart: incarnation %v (was %v), %+v", now, old, regs[0])
	}
	_, err = c.Swap(t.Context(), old, []Swap{{Key: "x", Version: 1}})
	var changed *IncarnationError
	if !errors.As(err, &changed) || changed.Now != now || errors.Is(err, ErrUnknown) {
		t.Errorf("swap in the old incarnation: %v", err)
	}
	if _, regs, _ := c.Read(t.Context(), []string{"x"}, Incarnation{}, nil); regs[0].Version != 1 {
		t.Errorf("a refused swap changed the register: %+v", regs[0])
	}
}

// TestRivals lets two arrays change the same registers at once: each version is
// won by exactly one of them.
func TestRivals(t *testing.T) {
	r := newRig(t)
	r.one(r.a, Swap{Key: "x", Owners: r.owners()})
	const rounds = 20
	var mu sync.Mutex
	won := map[uint64]string{}
	var wg sync.WaitGroup
	for name, id := range map[string]*pki.Identity{"a": r.a, "b": r.b} {
		c := r.client(id)
		wg.Add(1)
		go func() {
			defer wg.Done()
			version, value := uint64(1), ""
			for version < rounds {
				value = fmt.Sprint(name, version)
				out, err := c.Swap(context.Background(), r.server.Incarnation(), []Swap{{Key: "x", Version: version, Value: []byte(value)}})
				if err != nil {
					t.Error(err)
					return
				}
				if out[0].Result == OK {
					mu.Lock()
					if other, twice := won[version]; twice {
						t.Errorf("version %d was won by %s and %s", version, other, value)
					}
					won[version] = value
					mu.Unlock()
				}
				version = out[0].Version
			}
		}()
	}
	wg.Wait()
	if len(won) != rounds-1 {
		t.Errorf("%d versions were won, want %d", len(won), rounds-1)
	}
}

func TestFullBatch(t *testing.T) {
	r := newRig(t)
	swaps := make([]Swap, MaxBatch)
	for i := range swaps {
		swaps[i] = Swap{Key: fmt.Sprint(strings.Repeat("k", 120), i), Value: make([]byte, MaxValue), Owners: r.owners()}
	}
	out, err := r.client(r.a).Swap(t.Context(), r.server.Incarnation(), swaps)
	if err != nil {
		t.Fatal(err)
	}
	if out[2].Result != OK || out[3].Result != Full {
		t.Errorf("outcomes %s, %s", out[2].Result, out[3].Result)
	}
	_, err = r.client(r.a).Swap(t.Context(), r.server.Incarnation(), append(swaps, Swap{}))
	if err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("a batch beyond the limit: %v", err)
	}
}

// TestReadWhatIsKnown: registers that a reader knows come without what it knows, and those that changed
// with it; after a restart of the witness all of it comes, and a witness of before is asked as before.
func TestReadWhatIsKnown(t *testing.T) {
	r := newRig(t)
	keys := make([]string, 20) // of which the pair has all that it may
	for i := range keys {
		if keys[i] = fmt.Sprintf("k%02d", i); i == 6 || i == 7 || i == 19 {
			r.one(r.a, Swap{Key: keys[i], Value: []byte(keys[i]), Owners: r.owners()})
		}
	}
	c := r.client(r.a)
	known := make([]uint64, len(keys))
	read := func(in Incarnation) (Incarnation, []Register) {
		t.Helper()
		now, regs, err := c.Read(t.Context(), keys, in, known)
		if err != nil {
			t.Fatal(err)
		}
		for i := range regs {
			known[i] = regs[i].Version
		}
		return now, regs
	}
	with := func(regs []Register) (values string) {
		for _, x := range regs {
			values += string(x.Value)
		}
		return values
	}
	in, regs := read(Incarnation{})
	all := with(regs)
	if all != "k06k07k19" || !c.knows.Load() {
		t.Fatalf("the first answer has %q", all)
	}
	r.one(r.a, Swap{Key: "k07", Version: 1, Value: []byte("new")})
	r.one(r.a, Swap{Key: "k19", Version: 1, Value: []byte("last")})
	_, regs = read(in)
	if got := with(regs); got != "newlast" || regs[7].Version != 2 || regs[6].Version != 1 || regs[3].Version != 0 || regs[6].Key != "k06" {
		t.Errorf("the second answer has %q: %+v", got, regs)
	}
	r.restart()
	if now, regs := read(in); now == in || with(regs) != "k06newlast" {
		t.Errorf("after a restart the answer has %q", with(regs))
	}
}

// TestLeftOutByMistake: an answer that leaves out what the request does not know is none.
func TestLeftOutByMistake(t *testing.T) {
	in, other := Incarnation{1}, Incarnation{2}
	q := readRequest{Keys: []string{"a", "b"}, Incarnation: in, Known: []uint64{1, 0}}
	a := Register{Key: "a", Result: OK}
	for _, x := range []struct {
		name string
		r    readReply
		q    readRequest
		ok   bool
	}{
		{"all", readReply{Incarnation: in, Registers: []Register{a, a}}, q, true},
		{"one too few", readReply{Incarnation: in, Registers: []Register{a}}, q, false},
		{"one left out", readReply{Incarnation: in, Registers: []Register{a}, Same: []byte{1}}, q, true},
		{"an unknown one", readReply{Incarnation: in, Registers: []Register{a}, Same: []byte{2}}, q, false},
		{"both too many", readReply{Incarnation: in, Registers: []Register{a, a}, Same: []byte{1}}, q, false},
		{"none at all", readReply{Incarnation: in, Same: []byte{1}}, q, false},
		{"another incarnation", readReply{Incarnation: other, Registers: []Register{a}, Same: []byte{1}}, q, false},
		{"another number", readReply{Incarnation: in, Registers: []Register{a}, Same: []byte{1, 0}}, q, false},
		{"nobody asked", readReply{Incarnation: in, Registers: []Register{a}, Same: []byte{1}}, readRequest{Keys: q.Keys}, false},
	} {
		if regs, ok := x.r.all(x.q); ok != x.ok || ok && len(regs) != 2 {
			t.Errorf("%s: %v, %+v", x.name, ok, regs)
		}
	}
}
