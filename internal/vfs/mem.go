// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Mem is a disk in memory. It remembers what was made durable and what was only
// written, so that CrashClone can show what a power cut leaves.
type Mem struct {
	mu   sync.Mutex
	dirs map[string]*memDir
	hook func(Op)
	// forgetful makes Sync and SyncDir lie: see IgnoreSync.
	forgetful bool
}

// memDir holds a directory's names: now, on the disk, and the changes between.
type memDir struct {
	now     map[string]*memNode
	durable map[string]*memNode
	pending []nameChange
}

// nameChange is one change of a directory that a power cut keeps or loses whole.
type nameChange struct {
	from, to string // a removal has no to, a creation no from
	node     *memNode
}

func (c nameChange) apply(names map[string]*memNode) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.node
	}
}

// NewMem returns an empty disk.
func NewMem() *Mem {
	return &Mem{dirs: map[string]*memDir{".": newMemDir()}}
}

func newMemDir() *memDir {
	return &memDir{now: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// SetHook has fn called before every operation but reads, without a lock held:
// fn may take a CrashClone, which is the disk without the operation.
func (m *Mem) SetHook(fn func(Op)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = fn
}

// IgnoreSync makes every Sync succeed and do nothing, like a disk whose volatile
// cache lies. It exists to show that crash tests notice.
func (m *Mem) IgnoreSync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetful = true
}

func (m *Mem) before(op Op) {
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook != nil {
		hook(op)
	}
}

// dir returns the directory of name and the name in it. The caller holds m.mu.
func (m *Mem) dir(verb, name string) (*memDir, string, error) {
	name = path.Clean(name)
	d := m.dirs[path.Dir(name)]
	if d == nil {
		return nil, "", &fs.PathError{Op: verb, Path: name, Err: fs.ErrNotExist}
	}
	return d, path.Base(name), nil
}

// Open implements FS.
func (m *Mem) Open(name string, flags Flag) (File, error) {
	if flags&Create != 0 {
		m.before(Op{Verb: OpOpen, Name: name})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.dir("open", name)
	if err != nil {
		return nil, err
	}
	n := d.now[base]
	switch {
	case n != nil && flags&Create != 0 && flags&Exclusive != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case n == nil && flags&Create == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n == nil:
		n = &memNode{dirty: map[int64]struct{}{}}
		d.now[base] = n
		d.pending = append(d.pending, nameChange{to: base, node: n})
	}
	if flags&Lock != 0 {
		if n.locked {
			return nil, fmt.Errorf("lock %s (is another process using it?): %w", name, fs.ErrExist)
		}
		n.locked = true
	}
	return &memFile{m: m, n: n, name: name, flags: flags}, nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.before(Op{Verb: OpRemove, Name: name})
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.dir("remove", name)
	if err != nil {
		return err
	}
	if d.now[base] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	d.change(nameChange{from: base})
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.before(Op{Verb: OpRename, Name: from})
	m.mu.Lock()
	defer m.mu.Unlock()
	if path.Dir(path.Clean(from)) != path.Dir(path.Clean(to)) {
		return fmt.Errorf("rename %s to %s: not in one directory", from, to)
	}
	d, base, err := m.dir("rename", from)
	if err != nil {
		return err
	}
	n := d.now[base]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	d.change(nameChange{from: base, to: path.Base(path.Clean(to)), node: n})
	return nil
}

func (d *memDir) change(c nameChange) {
	c.apply(d.now)
	d.pending = append(d.pending, c)
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := path.Clean(dir); m.dirs[d] == nil; d = path.Dir(d) {
		m.dirs[d] = newMemDir()
	}
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirs[path.Clean(dir)]
	if d == nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	var names []string
	for name := range d.now {
		names = append(names, name)
	}
	sort.Strings(names)
	return names, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.before(Op{Verb: OpSyncDir, Name: dir})
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirs[path.Clean(dir)]
	if d == nil {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: fs.ErrNotExist}
	}
	if m.forgetful {
		return nil
	}
	for _, c := range d.pending {
		c.apply(d.durable)
	}
	d.pending = nil
	return nil
}

// Names returns every file on the disk, sorted, for tests that damage one.
func (m *Mem) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for dir, d := range m.dirs {
		for name := range d.now {
			names = append(names, strings.TrimPrefix(path.Join(dir, name), "./"))
		}
	}
	slices.Sort(names)
	return names
}
