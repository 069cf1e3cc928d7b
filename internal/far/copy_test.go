// SPDX-License-Identifier: Apache-2.0

package far

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

const testPages = 200

// content is what volumes have: the first byte of pages, 0 for none.
type content map[VolumeID]map[int64]byte

func (c content) clone() content {
	o := content{}
	for v, pages := range c {
		o[v] = maps.Clone(pages)
	}
	return o
}

// copyOf are a copy's volumes in memory.
type copyOf struct {
	mu    sync.Mutex
	now   content
	kept  content
	have  uint64
	noted Transfer
	fails func() error
}

func (c *copyOf) try() error {
	if c.fails == nil {
		return nil
	}
	return c.fails()
}

func (c *copyOf) Have() (uint64, error) { return c.have, nil }

func (c *copyOf) Ready(_ context.Context, q Request) error {
	for _, v := range q.Volumes {
		if c.now[v.ID] == nil {
			c.now[v.ID] = map[int64]byte{}
		}
	}
	return c.try()
}

func (c *copyOf) Back(_ context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for v := range c.now {
		c.now[v] = map[int64]byte{}
		if c.kept[v] != nil {
			c.now[v] = maps.Clone(c.kept[v])
		}
		if err := c.try(); err != nil {
			return err // in the middle
		}
	}
	return nil
}

func (c *copyOf) Size(VolumeID) (int64, error) { return testPages*block.Page - 512, nil }

func (c *copyOf) Read(_ context.Context, v VolumeID, n int64, dst []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(dst)
	dst[0] = c.now[v][n]
	return c.try()
}

func (c *copyOf) Empty(ctx context.Context, v VolumeID, off, length int64) error {
	return c.Write(ctx, v, off, length, nil)
}

func (c *copyOf) Write(_ context.Context, v VolumeID, off, length int64, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.try(); err != nil {
		return err
	}
	for n := off / block.Page; n*block.Page < off+length; n++ {
		delete(c.now[v], n)
		if data != nil {
			c.now[v][n] = data[n*block.Page-off]
		}
	}
	return nil
}

func (c *copyOf) Keep(_ context.Context, q Request) error {
	if err := c.try(); err != nil {
		return err
	}
	for v := range c.now {
		if !slices.ContainsFunc(q.Volumes, func(x Volume) bool { return x.ID == v }) {
			delete(c.now, v)
		}
	}
	c.kept, c.have = c.now.clone(), q.Tag
	return nil
}

func (c *copyOf) Note(t Transfer) error    { c.noted = t; return c.try() }
func (c *copyOf) Noted() (Transfer, error) { return c.noted, nil }

// points are a source's.
type points struct {
	base, now content
	whole     bool // everything was asked for
}

func (p *points) Changed(v VolumeID, whole bool, from int64, fn func(int64) bool) error {
	p.whole = p.whole || whole
	for n := from; n < testPages; n++ {
		differs := p.now[v][n] != 0
		if !whole && p.base[v] != nil {
			differs = p.base[v][n] != p.now[v][n]
		}
		if differs && !fn(n) {
			break
		}
	}
	return nil
}

func (p *points) Read(_ context.Context, v VolumeID, n int64, dst []byte) error {
	clear(dst)
	dst[0] = p.now[v][n]
	return nil
}

// wire brings requests to a copy, through their encoding, and loses some answers.
type wire struct {
	c     *Copy
	runs  uint64
	loses func() bool
}

var errLost = errors.New("lost")

func (w *wire) Ask(ctx context.Context, q Request) (a Answer, err error) {
	b, err := q.Encode()
	if err != nil {
		return a, err
	}
	if q, err = Decode(b); err != nil {
		return a, err
	}
	if w.loses() {
		return a, errLost
	}
	switch q.Kind {
	case Begin:
		a, err = w.c.Begin(ctx, q, func() uint64 { w.runs++; return w.runs })
	case Sums:
		a.Lacks, err = w.c.Sums(ctx, q)
	case Pages:
		err = w.c.Pages(ctx, q)
	case End:
		err = w.c.End(ctx, q)
	}
	if err == nil && w.loses() {
		return a, errLost
	}
	return a, err
}

// TestPointsArriveWhole sends points of a source that goes on, loses what it kept, and gets
// another past, to a copy that fails and is restarted: whenever a point is said to be there
// the copy is that point, and what it keeps meanwhile is always the last one.
func TestPointsArriveWhole(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var rm sync.Mutex
			chance := func(one int) bool { rm.Lock(); defer rm.Unlock(); return r.IntN(one) == 0 }
			clock := time.Unix(0, 0)
			v := &copyOf{now: content{}, kept: content{}}
			v.fails = func() error {
				if chance(300) {
					return errLost
				}
				return nil
			}
			w := &wire{c: NewCopy(v, func() time.Time { clock = clock.Add(time.Second); return clock }), loses: func() bool { return chance(60) }}
			now, known, tags := content{1: {}, 2: {}}, map[uint64]content{}, uint64(0)
			var base uint64
			done := 0
			for range 40 {
				for range r.IntN(120) {
					if pages := now[VolumeID(1+r.IntN(3))]; pages != nil {
						pages[int64(r.IntN(testPages))] = byte(r.IntN(3))
					}
				}
				switch r.IntN(12) {
				case 0:
					if now[3] == nil {
						now[3] = map[int64]byte{}
					} else {
						delete(now, 3)
					}
				case 1: // its snapshots are gone
					base = 0
				case 2: // it goes on from another past, of which the copy may have points
					for n := range int64(testPages) {
						now[1][n] = byte(r.IntN(2))
					}
					base, known = 0, map[uint64]content{}
				case 3: // the copy's array is restarted, or served elsewhere
					w.c = NewCopy(v, w.c.now)
					if r.IntN(2) == 0 {
						v.noted = Transfer{}
					}
				}
				tags++
				known[tags] = now.clone()
				for range 1 + r.IntN(3) { // tries
					q := Request{Kind: Begin, Group: 7, Tag: tags, Base: base, Epoch: 1, Term: 1}
					for id := range known[tags] {
						q.Volumes = append(q.Volumes, Volume{ID: id, Name: "v", Size: testPages * block.Page})
					}
					before, had := v.kept.clone(), v.have
					_, err := Send(t.Context(), w, q, &points{base: known[base], now: known[tags]}, nil)
					if err == nil {
						base = tags
						done++
						if diff := differences(v.kept, known[tags]); v.have != tags || diff != "" {
							t.Fatalf("the copy stands at %d, want %d: %s", v.have, tags, diff)
						}
						break
					}
					if v.have == had && !reflect.DeepEqual(v.kept, before) {
						t.Fatal("what is kept has changed without a new point")
					}
				}
			}
			if done == 0 {
				t.Error("no point arrived")
			}
		})
	}
}

// differences says where two contents are not alike; no page and zeros are.
func differences(got, want content) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d volumes, want %d", len(got), len(want))
	}
	for v := range want {
		for n := range int64(testPages) {
			if got[v][n] != want[v][n] {
				return fmt.Sprintf("page %d of volume %d is %d, want %d", n, v, got[v][n], want[v][n])
			}
		}
	}
	return ""
}

// TestLatePagesAreRefused: pages of a run that another one followed write nothing.
func TestLatePagesAreRefused(t *testing.T) {
	v := &copyOf{now: content{}, kept: content{}}
	c := NewCopy(v, time.Now)
	run := uint64(0)
	draw := func() uint64 { run++; return run }
	q := Request{Kind: Begin, Tag: 5, Epoch: 2, Term: 1, Volumes: []Volume{{ID: 1, Name: "v"}}}
	a, err := c.Begin(t.Context(), q, draw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Begin(t.Context(), q, draw); err != nil {
		t.Fatal(err)
	}
	late := Request{Kind: Pages, Tag: 5, Run: a.Run, Volume: 1, Pages: []Page{{Number: 1}}, Data: bytesOf(9)}
	if err := c.Pages(t.Context(), late); array.KindOf(err) != array.Aborted || len(v.now[1]) != 0 {
		t.Errorf("a late page: %v, and the volume has %v", err, v.now[1])
	}
	q.Epoch = 1
	if _, err := c.Begin(t.Context(), q, draw); array.KindOf(err) != array.Moved {
		t.Errorf("a former source begins: %v", err)
	}
	late.Run, late.Pages[0].Number = run, testPages
	if err := c.Pages(t.Context(), late); array.KindOf(err) != array.Invalid {
		t.Errorf("a page beyond the end: %v", err)
	}
	c.Stop()
	late.Pages[0].Number = 1
	if err := c.Pages(t.Context(), late); array.KindOf(err) != array.Aborted {
		t.Errorf("a page after the end of all runs: %v", err)
	}
}

func bytesOf(x byte) []byte {
	b := make([]byte, block.Page)
	b[0] = x
	return b
}

// FuzzDecode: no request ends the daemon, and what is taken can be sent again.
func FuzzDecode(f *testing.F) {
	for _, q := range []Request{
		{Kind: Begin, Group: 1, Tag: 2, Volumes: []Volume{{ID: 3, Name: "v", Size: 1 << 20}}},
		{Kind: Pages, Group: 1, Run: 4, Volume: 3, Pages: []Page{{Number: 1}, {Number: 2, Zero: true}}, Data: bytesOf(1)},
	} {
		b, err := q.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := Decode(b)
		if err != nil {
			return
		}
		again, err := q.Encode()
		if array.KindOf(err) == array.Full {
			return // it was shorter as it came
		}
		if err != nil {
			t.Fatalf("%+v can't be sent on: %v", q, err)
		}
		o, err := Decode(again)
		if err != nil {
			t.Fatalf("%+v can't be read: %v", q, err)
		}
		if b, err := o.Encode(); err != nil || !bytes.Equal(b, again) {
			t.Errorf("%+v is read as %+v, %v", q, o, err)
		}
	})
}
