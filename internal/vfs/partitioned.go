// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/array"
)

// Overhead is how many bytes of a device are not for large files: the table, and room
// for a few small ones.
const Overhead = firstExtent + 16*Align

// Partitioned is a flat directory of a few files on one block device or one large
// file. A file's bytes lie side by side: it grows only where the room behind it is
// free. What is at the place of a file was overwritten with zeros when it was taken.
//
// A name, a size and a place are durable with the table. Before the table is written,
// all bytes are flushed; a place is taken again only when the durable table has
// stopped naming it.
type Partitioned struct {
	dev      File
	name     string // of the device
	size     int64
	readOnly bool

	mu sync.Mutex
	// last is the table on the device.
	last  table
	names map[string]*partNode
	nodes map[*partNode]struct{} // all that have a place, or are open
	err   error                  // set once: see broken
}

// partNode is a file: its room bytes at off, of which size are content.
type partNode struct {
	off, room, size int64
	// durable says that the table on the device names it, with synced as its size.
	durable bool
	synced  int64
	opened  int
	named   bool
	locked  bool
}

// OpenPartitioned takes the device or file called name and finds the files on it. One
// that is blank has none; one that holds something else is refused and not changed.
// With ReadOnly nothing is ever written.
func OpenPartitioned(files FS, name string, flags Flag) (*Partitioned, error) {
	dev, err := files.Open(name, Direct|Lock|flags&ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	p := &Partitioned{
		dev: dev, name: name, readOnly: flags&ReadOnly != 0,
		names: map[string]*partNode{}, nodes: map[*partNode]struct{}{},
	}
	if err := p.load(); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, errors.Join(err, dev.Close()))
	}
	return p, nil
}

// Close gives the device back. All files must have been closed.
func (p *Partitioned) Close() error { return p.dev.Close() }

func (p *Partitioned) load() (err error) {
	if p.size, err = p.dev.Size(); err != nil {
		return err
	}
	if p.size < firstExtent+Align {
		return array.Errorf(array.Invalid, "it has %d bytes: too small for any file beside %d for the table of files", p.size, firstExtent)
	}
	b, err := beginning(p.dev)
	if err != nil {
		return err
	}
	t, stale, err := readTable(b, p.name, p.size)
	if err != nil {
		return err
	}
	fresh := t == nil
	if fresh {
		t = &table{sequence: 1}
		if _, err := rand.Read(t.id[:]); err != nil {
			return err
		}
	}
	p.last = *t
	for _, f := range t.files {
		n := &partNode{off: f.off, room: f.room, size: f.size, named: true, durable: true, synced: f.size}
		p.names[f.name], p.nodes[n] = n, struct{}{}
	}
	if p.readOnly {
		return nil
	}
	return p.repair(t, stale)
}

// repair makes both copies of the table the same, and durable: the one that was read
// may have been on its way when this process's predecessor died.
func (p *Partitioned) repair(t *table, stale [2]bool) error {
	if err := p.dev.Sync(); err != nil {
		return err
	}
	for i, todo := range stale {
		if !todo {
			continue
		}
		if err := p.writeCopy(i, t.encode()); err != nil {
			return err
		}
	}
	return nil
}

func (p *Partitioned) writeCopy(i int, b []byte) error {
	_, err := p.dev.WriteAt(b, int64(i)*tableRoom)
	if err == nil {
		err = p.dev.Sync()
	}
	if err != nil {
		return fmt.Errorf("write table of files: %w", err)
	}
	return nil
}

// save makes names, places and sizes durable. The caller holds p.mu.
func (p *Partitioned) save() error {
	if p.err != nil {
		return p.err
	}
	if err := p.dev.Sync(); err != nil {
		return p.broken(err)
	}
	t := table{id: p.last.id, sequence: p.last.sequence + 1}
	for _, name := range slices.Sorted(maps.Keys(p.names)) {
		n := p.names[name]
		t.files = append(t.files, tableFile{name, n.off, n.room, n.size})
	}
	b := t.encode()
	for i := range 2 {
		if err := p.writeCopy(i, b); err != nil {
			return p.broken(err)
		}
	}
	p.last = t
	for n := range p.nodes {
		n.durable = false
	}
	for _, n := range p.names {
		n.durable, n.synced = true, n.size
	}
	for n := range p.nodes {
		p.settle(n)
	}
	return nil
}

// broken ends all changes of names: after a failed flush nobody knows what the device has.
func (p *Partitioned) broken(err error) error {
	p.err = fmt.Errorf("%s must be opened again after: %w", p.name, err)
	return p.err
}

// settle forgets a file that is neither named, nor open, nor named on the device: its
// place is free. The caller holds p.mu.
func (p *Partitioned) settle(n *partNode) {
	if !n.durable && n.opened == 0 && !n.named {
		delete(p.nodes, n)
	}
}

// grow gives a file content up to size, zeros beyond what it has. The caller holds p.mu.
func (p *Partitioned) grow(n *partNode, size int64) error {
	if size <= n.size {
		return nil
	}
	if p.readOnly {
		return &fs.PathError{Op: "grow a file of", Path: p.name, Err: fs.ErrPermission}
	}
	if room := (size + Align - 1) / Align * Align; room > n.room {
		off, err := p.place(n, room)
		if err == nil {
			err = p.zero(off+n.room, off+room)
		}
		if err != nil {
			return err
		}
		n.off, n.room = off, room
	}
	n.size = size
	return nil
}

// place finds where room bytes are free: for a file that has a place, from there on.
func (p *Partitioned) place(n *partNode, room int64) (int64, error) {
	taken := make([]*partNode, 0, len(p.nodes))
	for o := range p.nodes {
		if o != n && o.room > 0 {
			taken = append(taken, o)
		}
	}
	slices.SortFunc(taken, func(a, b *partNode) int { return int(min(max(a.off-b.off, -1), 1)) })
	off := int64(firstExtent)
	if n.room > 0 {
		off = n.off
	}
	for _, o := range taken {
		switch {
		case o.off+o.room <= off:
		case o.off-off >= room:
			return off, nil
		case n.room > 0:
			return 0, p.noRoom(room)
		default:
			off = o.off + o.room
		}
	}
	if p.size-off < room {
		return 0, p.noRoom(room)
	}
	return off, nil
}

func (p *Partitioned) noRoom(room int64) error {
	return fmt.Errorf("no %d bytes are free on %s, which has %d: %w", room, p.name, p.size, unix.ENOSPC)
}

// zero overwrites a new place: it is a file's promise that what was never written
// reads as zeros, and in a plain file it also makes the blocks its own.
func (p *Partitioned) zero(from, to int64) error {
	zeros := NewBuffer(int(min(to-from, 1<<20)))
	for ; from < to; from += int64(len(zeros)) {
		if _, err := p.dev.WriteAt(zeros[:min(to-from, int64(len(zeros)))], from); err != nil {
			return err
		}
	}
	return nil
}

// file returns the name within the device of a path. The caller needs no lock.
func (p *Partitioned) file(verb, name string) (string, error) {
	clean := path.Clean(name)
	if !validFile(clean) {
		return "", &fs.PathError{Op: verb + " on " + p.name, Path: name, Err: fs.ErrInvalid}
	}
	return clean, nil
}
