// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

// edit is one transaction of the map. Whoever changes entries does it through an edit:
// it keeps count of who uses which units, frees those that nobody uses any more, and
// tells readers.
type edit struct {
	p      *Pool
	tx     *bolt.Tx
	leaves map[leafName]*leaf
	freed  []run
	use    map[array.VolumeID]usage
	// structure says that entries move between volumes, so that whoever reads through
	// several must look again.
	structure bool
}

type leafName struct {
	in   bucket
	v    array.VolumeID
	leaf int64
}

// leaf is the entries of leafPages pages, changed in memory until the edit ends.
type leaf struct {
	entries [leafPages]entry
	changed bool
}

// edit runs fn in a transaction. On an error of fn nothing has changed. If the commit
// fails nobody knows which of both the disk has, so neither old units nor new ones may
// be written any more: the pool changes nothing until it is opened again. p.single is
// held.
func (p *Pool) edit(fn func(*edit) error) error {
	if p.broken != nil {
		return fmt.Errorf("the CPG must be opened again after: %w", p.broken)
	}
	tx, err := p.db.Begin(true)
	if err != nil {
		return err
	}
	if !p.o.NoSync {
		_ = p.room.Make(p.o.MapFile, tx.Size()) // who takes more of the disk asked before
	}
	e := &edit{p: p, tx: tx, leaves: map[leafName]*leaf{}, use: map[array.VolumeID]usage{}}
	if err = fn(e); err == nil {
		err = e.flush()
	}
	if err != nil {
		_ = tx.Rollback() // which only forgets
		return err
	}
	if err := tx.Commit(); err != nil {
		p.broken = fmt.Errorf("commit the map of pages: %w", err)
		return p.broken
	}
	e.settle()
	return nil
}

// mapCanGrow says if the disk has no room for more entries.
func (p *Pool) mapCanGrow() error {
	if p.o.NoSync {
		return nil
	}
	var used int64
	if err := p.db.View(func(tx *bolt.Tx) error { used = tx.Size(); return nil }); err != nil {
		return err
	}
	return p.room.Make(p.o.MapFile, used)
}

// flush brings what was changed in memory into the transaction.
func (e *edit) flush() error {
	names := make([]leafName, 0, len(e.leaves))
	for n, l := range e.leaves {
		if l.changed {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, leafName.compare) // neighbours meet the same pages of the map
	for _, n := range names {
		if err := e.putLeaf(n, e.leaves[n]); err != nil {
			return err
		}
	}
	for v, u := range e.use {
		if err := put(e.tx, usageBucket, numberKey(uint64(v)), u.encode()); err != nil {
			return err
		}
	}
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	return e.p.units.save(e.tx, e.freed)
}

func (a leafName) compare(b leafName) int {
	return cmp.Or(cmp.Compare(a.in, b.in), cmp.Compare(a.v, b.v), cmp.Compare(a.leaf, b.leaf))
}

func (e *edit) putLeaf(n leafName, l *leaf) error {
	b := encodeLeaf(&l.entries)
	if b == nil {
		return e.tx.Bucket([]byte(n.in)).Delete(leafKey(n.v, n.leaf))
	}
	return put(e.tx, n.in, leafKey(n.v, n.leaf), b)
}

// settle, after the commit, tells readers that units are free, and then frees them.
func (e *edit) settle() {
	p := e.p
	p.cache.edited(e.leaves)
	told := map[array.VolumeID]bool{}
	for n, l := range e.leaves {
		if l.changed && !told[n.v] {
			told[n.v] = true
			p.turn(n.v)
		}
	}
	if e.structure {
		p.shape.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for v, u := range e.use {
		p.use[v] = u
	}
	p.recount()
	clear(p.units.dirty)
	for _, r := range e.freed {
		p.units.give(r)
	}
	clear(p.units.dirty) // the transaction has them free already
}

// turn tells readers of a volume to look again.
func (p *Pool) turn(id array.VolumeID) {
	if v := p.Volume(id); v != nil {
		v.mu.Lock()
		v.turn++
		v.mu.Unlock()
	}
}

// own returns a volume's own entry of a page.
func (e *edit) own(in bucket, v array.VolumeID, page int64) (entry, error) {
	l, err := e.leaf(in, v, page)
	if err != nil {
		return entry{}, err
	}
	return l.entries[page%leafPages], nil
}

func (e *edit) leaf(in bucket, v array.VolumeID, page int64) (*leaf, error) {
	n := leafName{in, v, page / leafPages}
	if l := e.leaves[n]; l != nil {
		return l, nil
	}
	entries, err := readLeaf(e.tx, n)
	if err != nil {
		return nil, err
	}
	l := &leaf{entries: *entries}
	e.leaves[n] = l
	return l, nil
}

// set replaces a volume's own entry of a page and returns the one before, whose units
// the caller moves elsewhere or drops.
func (e *edit) set(in bucket, v array.VolumeID, page int64, to entry) (old entry, err error) {
	l, err := e.leaf(in, v, page)
	if err != nil {
		return entry{}, err
	}
	at := &l.entries[page%leafPages]
	old, *at, l.changed = *at, to, true
	e.count(v, old, -1)
	e.count(v, to, 1)
	return old, nil
}

// write gives a page of a volume new content. The old one is handed to the newest
// snapshot, if that read it through the volume, and dropped otherwise.
func (e *edit) write(in bucket, v *Volume, page int64, to entry) error {
	old, err := e.set(in, v.id, page, to)
	if err == nil && to.keeps(&old) {
		return e.replaceParts(old, to)
	}
	if err != nil || in == shadowBucket {
		return e.dropped(old, err)
	}
	s := v.newest()
	if s == nil {
		return e.dropped(old, nil)
	}
	has, err := e.own(in, s.id, page)
	if err != nil || has.kind != nothing {
		return e.dropped(old, err)
	}
	if old.kind == nothing { // what the volume showed until now
		old.kind = zeroes
		if v.spec.Base != 0 {
			old.kind = asBase
		}
	}
	_, err = e.set(in, s.id, page, old)
	return err
}

func (e *edit) dropped(old entry, err error) error {
	if err != nil {
		return err
	}
	return e.drop(old)
}

// drop lets go of an entry's units: they are free unless another entry has them too.
func (e *edit) drop(old entry) error {
	if old.kind != stored {
		return nil
	}
	if old.split {
		var buf [pageUnits]run
		e.freed = append(e.freed, old.runs(&buf)...)
		return nil
	}
	key := numberKey(uint64(old.addr))
	b, err := get(e.tx, sharedBucket, key, 8)
	if err != nil {
		return err
	}
	if b != nil {
		if n := binary.BigEndian.Uint64(b); n > 1 {
			return put(e.tx, sharedBucket, key, numberKey(n-1))
		}
		return e.tx.Bucket([]byte(sharedBucket)).Delete(key)
	}
	e.freed = append(e.freed, run{old.addr, old.units()})
	return e.forgetPrint(old.addr)
}

// share counts one more entry that has the same units.
func (e *edit) share(addr int64) error {
	key := numberKey(uint64(addr))
	b, err := get(e.tx, sharedBucket, key, 8)
	if err != nil {
		return err
	}
	n := uint64(1)
	if b != nil {
		n += binary.BigEndian.Uint64(b)
	}
	return put(e.tx, sharedBucket, key, numberKey(n))
}
