// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

const familySize = 12*block.Page + 3*block.Sector

// family is a pool with volumes, their snapshots and volumes made from these, beside a
// model of what each shows.
type family struct {
	rng   *rand.Rand
	disk  *vfs.Mem
	o     Options
	p     *Pool
	shows map[array.VolumeID][]byte
	of    map[array.VolumeID]array.VolumeID // of snapshots
	base  map[array.VolumeID]array.VolumeID // of volumes
	log   []func(*Pool) error               // what was applied, by place
	next  array.VolumeID
	did   []string
	// everOf is of, with those that were removed; removing is being removed.
	everOf   map[array.VolumeID]array.VolumeID
	removing array.VolumeID
	refs     map[array.Place][]byte             // what the journal names outside
	outs     map[*Pool]map[array.Place]*Outside // the same, claimed
	released array.Place                        // what it has let go of
}

// newFamily has so many pages under way at a time; one, where a seed is to decide the order.
func newFamily(t *testing.T, seed uint64, atOnce int) *family {
	f := &family{
		rng: rand.New(rand.NewPCG(seed, 1)), disk: vfs.NewMem(), o: testOptions(t.TempDir()), next: 1,
		shows: map[array.VolumeID][]byte{}, of: map[array.VolumeID]array.VolumeID{}, base: map[array.VolumeID]array.VolumeID{},
		everOf: map[array.VolumeID]array.VolumeID{},
		refs:   map[array.Place][]byte{}, outs: map[*Pool]map[array.Place]*Outside{},
	}
	f.o.Outside, f.o.AtOnce = 1, atOnce
	f.o.Keep = 1 + int64(seed%3)*familySize // none, too little, and enough for some
	f.o.Limit = 4000 * block.Page
	f.open(t)
	t.Cleanup(func() { _ = f.p.Close() })
	for i, how := range []Provisioning{Thin, Full, Dedup} {
		_, err := f.p.Create(VolumeSpec{ID: f.next, Group: 1, Size: familySize, Provisioning: how, Compress: i != 1})
		ok(t, err)
		f.shows[f.next] = make([]byte, familySize)
		f.next++
	}
	return f
}

func (f *family) open(t *testing.T) {
	t.Helper()
	var err error
	f.p, err = OpenPool(f.disk, "pool", f.o)
	ok(t, err)
	ok(t, f.claim(f.p, f.refs))
}

// claim claims what lies outside the journal, as the journal does when it is opened.
func (f *family) claim(p *Pool, refs map[array.Place][]byte) (err error) {
	f.outs[p] = map[array.Place]*Outside{}
	for at, ref := range refs {
		if f.outs[p][at], err = p.ClaimOutside(ref); err != nil {
			return err
		}
	}
	return nil
}

// release lets go of what is on pages.
func (f *family) release() {
	f.released = f.p.Destaged(1)
	for at, o := range f.outs[f.p] {
		if at <= f.released {
			o.Drop()
			delete(f.outs[f.p], at)
			delete(f.refs, at)
		}
	}
	f.did = append(f.did, fmt.Sprintf("released up to %d", f.released))
}

// pick returns one of the volumes, or of the snapshots, 0 if there is none.
func (f *family) pick(snapshots bool) array.VolumeID {
	var ids []array.VolumeID
	for id := range f.shows {
		if (f.of[id] != 0) == snapshots {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return 0
	}
	slices.Sort(ids)
	return ids[f.rng.IntN(len(ids))]
}

// apply applies a step of the group's log, which a restart will apply again.
func (f *family) apply(step func(*Pool) error) error {
	f.log = append(f.log, step)
	return step(f.p)
}

func (f *family) place() array.Place { return array.Place(len(f.log) + 1) }

// content is of few kinds, so that pages are alike, zero, and of all sizes when packed.
func (f *family) content(n int64) []byte {
	b := make([]byte, n)
	switch f.rng.IntN(4) {
	case 0:
		return b
	case 1:
		return bytes.Repeat([]byte{byte(f.rng.IntN(3))}, int(n))
	}
	random := f.rng.IntN(int(n))
	for i := range b[:random] {
		b[i] = byte(f.rng.Uint32())
	}
	return b
}

func (f *family) write() error {
	id, at := f.pick(false), f.place()
	page := f.rng.Int64N(12)
	off, n := page*block.Page, int64(block.Page)
	switch f.rng.IntN(9) {
	case 3, 4, 5:
		off += f.rng.Int64N(pageUnits) * unitSize
		n = unitSize
	case 0:
		off, n = off+block.Sector, block.Sector*3
	case 1:
		n = min(3*block.Page, familySize-off)
	case 2:
		off, n = 0, familySize
	}
	r := journal.Record{Group: 1, Pos: array.Position{Place: at}, Kind: journal.Zeros, Volume: id, Offset: off, Length: n}
	if f.rng.IntN(4) > 0 {
		r.Kind, r.Payload = journal.Data, f.content(n)
	}
	o, _ := f.p.Volume(id).Outside(&r).(*Outside)
	if o != nil {
		ref, err := o.Write(func([]byte) {})
		if array.KindOf(err) == array.Full { // as much as may be held is
			o = nil
		} else if err != nil {
			return err
		} else {
			f.refs[at], f.outs[f.p][at] = ref, o
		}
	}
	model := bytes.Clone(f.shows[id]) // a power cut may have kept the one before
	clear(model[off : off+n])
	copy(model[off:off+n], r.Payload)
	f.shows[id] = model
	f.did = append(f.did, fmt.Sprintf("%d: write %v at %d+%d, kind %d, outside %v", at, id, off, n, r.Kind, o != nil))
	return f.apply(func(p *Pool) error {
		r := r
		if o := f.outs[p][at]; o != nil {
			r.Outside = o
		}
		if v := p.Volume(id); v != nil {
			return v.Apply(r)
		}
		return nil // removed since
	})
}

// freeze makes snapshots of one volume or of all, in one entry.
func (f *family) freeze() error {
	at, snaps := f.place(), map[array.VolumeID]array.VolumeID{}
	add := func(of array.VolumeID) {
		id := f.next
		f.next++
		snaps[of] = id
		f.shows[id], f.of[id], f.everOf[id] = f.shows[of], of, of
		f.did = append(f.did, fmt.Sprintf("%d: snapshot %v of %v", at, id, of))
	}
	if f.rng.IntN(3) > 0 {
		add(f.pick(false))
	} else {
		for id := range array.VolumeID(20) {
			if f.shows[id] != nil && f.of[id] == 0 {
				add(id)
			}
		}
	}
	err := f.apply(func(p *Pool) error {
		for of, id := range snaps {
			if v := p.Volume(of); v != nil {
				if err := v.Freeze(at, id); err != nil {
					return err
				}
			}
		}
		p.Advance(1, at)
		return nil
	})
	if err != nil || f.rng.IntN(2) == 0 {
		return err
	}
	return f.p.Flush(1)
}

// branch makes a volume from a snapshot that is there.
func (f *family) branch() error {
	of := f.pick(true)
	if of == 0 {
		return nil
	}
	if err := f.p.Flush(1); err != nil {
		return err
	}
	id := f.next
	f.next++
	f.shows[id], f.base[id] = bytes.Clone(f.shows[of]), of
	f.did = append(f.did, fmt.Sprintf("%d: volume %v from %v", f.place(), id, of))
	f.removing = id // or being made
	defer func() { f.removing = 0 }()
	_, err := f.p.Branch(VolumeSpec{ID: id, Group: 1, Base: of, Provisioning: []Provisioning{Thin, Dedup}[f.rng.IntN(2)]})
	return err
}

// remove removes something, if nothing needs it; else that must be refused.
func (f *family) remove() error {
	id := f.pick(f.rng.IntN(3) > 0)
	if id == 0 || len(f.shows) < 4 {
		return nil
	}
	needed := false
	for o := range f.shows {
		needed = needed || f.of[o] == id || f.base[o] == id
	}
	if err := f.p.Flush(1); err != nil {
		return err
	}
	f.did = append(f.did, fmt.Sprintf("%d: remove %v, needed %v", f.place(), id, needed))
	f.removing = id
	defer func() { f.removing = 0 }()
	err := f.p.Remove(id)
	if needed {
		if array.KindOf(err) != array.Conflict {
			return fmt.Errorf("removed %v, which others need: %w", id, err)
		}
		return nil
	}
	delete(f.shows, id)
	delete(f.of, id)
	delete(f.base, id)
	return err
}

// restart opens the pool again, as after a power cut when cut is set, and applies what
// was not on pages.
func (f *family) restart(t *testing.T) error {
	if err := f.p.Close(); err != nil {
		return err
	}
	f.open(t)
	// Another pool of the group may be less far.
	from := f.released + array.Place(f.rng.IntN(int(f.p.Destaged(1)-f.released)+1))
	f.did = append(f.did, fmt.Sprintf("restart, applied again from %d", from+1))
	for _, step := range f.log[from:] {
		if err := step(f.p); err != nil {
			return err
		}
		if f.rng.IntN(20) == 0 {
			if err := f.p.Flush(1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *family) compare() error {
	got := make([]byte, familySize)
	for id, want := range f.shows {
		v := f.p.Volume(id)
		if v == nil && f.of[id] != 0 {
			continue // its layer is not on pages yet
		}
		if v == nil {
			return fmt.Errorf("volume %v is gone", id)
		}
		for at := int64(0); at < familySize; {
			n := min(int64(1+f.rng.IntN(2*block.Page/block.Sector))*block.Sector, familySize-at)
			if v.ReadCached(got[:n], at) && !bytes.Equal(got[:n], want[at:at+n]) {
				return fmt.Errorf("volume %v differs in memory between %d and %d", id, at, at+n)
			}
			at += n
		}
		if err := v.Read(got, 0); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			at := 0
			for got[at] == want[at] {
				at++
			}
			return fmt.Errorf("volume %v differs at byte %d, page %d", id, at, at/block.Page)
		}
	}
	return nil
}

// TestFamilies: whatever is written, frozen, branched, removed and restarted, each
// volume and snapshot shows what it must, and space is given back to the last unit.
func TestFamilies(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		f := newFamily(t, seed, 4)
		for i := range 150 {
			if err := f.step(t); err != nil {
				t.Fatalf("seed %d, step %d: %v\n%s", seed, i, err, f.tail())
			}
		}
		ok(t, f.p.Flush(1))
		f.release()
		for len(f.shows) > 0 {
			before := len(f.shows)
			for id := range f.shows {
				if f.p.Remove(id) == nil {
					delete(f.shows, id)
				}
			}
			if len(f.shows) == before {
				t.Fatalf("seed %d: %d volumes need each other", seed, before)
			}
		}
		ok(t, check(f.p))
		if c := f.p.Capacity(); c.Used != 0 || c.Written != 0 || c.Reserved != 0 || c.Memory != 0 {
			t.Fatalf("seed %d: all is removed, and %+v remains", seed, c)
		}
		ok(t, f.p.Close())
	}
}

func (f *family) step(t *testing.T) error {
	if err := f.act(t); err != nil {
		return err
	}
	if err := f.compare(); err != nil {
		return err
	}
	if f.rng.IntN(6) > 0 {
		return nil
	}
	return check(f.p)
}

func (f *family) act(t *testing.T) (err error) {
	switch n := f.rng.IntN(40); {
	case n < 20:
		err = f.write()
	case n < 26:
		err = f.freeze()
	case n < 29:
		err = f.branch()
	case n < 33:
		err = f.remove()
	case n < 35:
		err = f.restart(t)
	case n < 37:
		f.release()
	default:
		err = f.p.Flush(1)
	}
	return err
}

func (f *family) tail() (s string) {
	for _, d := range f.did[max(0, len(f.did)-40):] {
		s += d + "\n"
	}
	return s
}
