// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/perdure/perdure/internal/array"
)

// Open implements FS.
func (p *Partitioned) Open(name string, flags Flag) (File, error) {
	base, err := p.file("open", name)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.names[base]
	switch {
	case n != nil && flags&Create != 0 && flags&Exclusive != 0:
		return nil, &fs.PathError{Op: "open", Path: base, Err: fs.ErrExist}
	case n == nil && flags&Create == 0:
		return nil, &fs.PathError{Op: "open", Path: base, Err: fs.ErrNotExist}
	case n == nil && p.readOnly:
		return nil, &fs.PathError{Op: "make", Path: base, Err: fs.ErrPermission}
	case n == nil && len(p.names) >= maxFiles:
		return nil, array.Errorf(array.Full, "%s has %d files, no more fit", p.name, len(p.names))
	case n == nil:
		n = &partNode{named: true, synced: -1}
		p.names[base], p.nodes[n] = n, struct{}{}
	}
	if flags&Lock != 0 {
		if n.locked {
			return nil, fmt.Errorf("lock %s on %s: %w", base, p.name, fs.ErrExist)
		}
		n.locked = true
	}
	n.opened++
	if p.readOnly {
		flags |= ReadOnly
	}
	return &partFile{p: p, n: n, name: base, flags: flags}, nil
}

// Remove implements FS.
func (p *Partitioned) Remove(name string) error {
	base, err := p.file("remove", name)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.names[base]
	switch {
	case n == nil:
		return &fs.PathError{Op: "remove", Path: base, Err: fs.ErrNotExist}
	case p.readOnly:
		return &fs.PathError{Op: "remove", Path: base, Err: fs.ErrPermission}
	}
	delete(p.names, base)
	n.named = false
	p.settle(n)
	return nil
}

// Rename implements FS.
func (p *Partitioned) Rename(from, to string) error {
	a, err := p.file("rename", from)
	if err != nil {
		return err
	}
	b, err := p.file("rename", to)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n, old := p.names[a], p.names[b]
	switch {
	case n == nil:
		return &fs.PathError{Op: "rename", Path: a, Err: fs.ErrNotExist}
	case p.readOnly:
		return &fs.PathError{Op: "rename", Path: a, Err: fs.ErrPermission}
	}
	delete(p.names, a)
	p.names[b] = n
	if old != nil && old != n {
		old.named = false
		p.settle(old)
	}
	return nil
}

// MkdirAll implements FS: there is one directory.
func (p *Partitioned) MkdirAll(dir string) error { return p.directory("mkdir", dir) }

func (p *Partitioned) directory(verb, dir string) error {
	if path.Clean(dir) != "." {
		return &fs.PathError{Op: verb + " on " + p.name, Path: dir, Err: fs.ErrInvalid}
	}
	return nil
}

// List implements FS.
func (p *Partitioned) List(dir string) ([]string, error) {
	if err := p.directory("list", dir); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.names)), nil
}

// SyncDir implements FS.
func (p *Partitioned) SyncDir(dir string) error {
	if err := p.directory("syncdir", dir); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readOnly {
		return nil
	}
	return p.save()
}
