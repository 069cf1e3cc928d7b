// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"fmt"
	"strings"
	"sync"
)

// Inject wraps a file system and makes chosen operations fail, wait or lie.
type Inject struct {
	FS
	mu    sync.Mutex
	rules []*Rule
}

// Rule chooses operations and says what becomes of them.
type Rule struct {
	// Verb and Match choose: operations of Verb whose name contains Match.
	Verb  Verb
	Match string
	// Skip lets that many chosen operations pass first; Times is how many are hit
	// after them, 0 for all.
	Skip, Times int
	// Err, if set, is returned. Short, of a write, does that many bytes first.
	Err   error
	Short int
	// Before, if set, is called first: it may block.
	Before func(Op)
	// FlipBit, of a read, turns over bit FlipBit-1 of what was read.
	FlipBit int

	seen, hit int
}

// NewInject returns inner with no rules.
func NewInject(inner FS) *Inject { return &Inject{FS: inner} }

// Add adds a rule. The first rule that hits an operation decides about it.
func (i *Inject) Add(r Rule) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules = append(i.rules, &r)
}

// Clear drops all rules.
func (i *Inject) Clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules = nil
}

// decide returns the rule that hits op, or the empty one.
func (i *Inject) decide(op Op) Rule {
	i.mu.Lock()
	var hit Rule
	for _, r := range i.rules {
		if r.Verb != op.Verb || !strings.Contains(op.Name, r.Match) {
			continue
		}
		r.seen++
		if r.seen <= r.Skip || (r.Times > 0 && r.hit == r.Times) {
			continue
		}
		r.hit++
		hit = *r
		break
	}
	i.mu.Unlock()
	if hit.Before != nil {
		hit.Before(op)
	}
	if hit.Err != nil {
		hit.Err = fmt.Errorf("%s %s: %w", op.Verb, op.Name, hit.Err)
	}
	return hit
}

// Open implements FS.
func (i *Inject) Open(name string, flags Flag) (File, error) {
	if r := i.decide(Op{Verb: OpOpen, Name: name}); r.Err != nil {
		return nil, r.Err
	}
	f, err := i.FS.Open(name, flags)
	if err != nil {
		return nil, err
	}
	return &injectFile{File: f, i: i, name: name}, nil
}

// Remove implements FS.
func (i *Inject) Remove(name string) error {
	if r := i.decide(Op{Verb: OpRemove, Name: name}); r.Err != nil {
		return r.Err
	}
	return i.FS.Remove(name)
}

// Rename implements FS.
func (i *Inject) Rename(from, to string) error {
	if r := i.decide(Op{Verb: OpRename, Name: from}); r.Err != nil {
		return r.Err
	}
	return i.FS.Rename(from, to)
}

// SyncDir implements FS.
func (i *Inject) SyncDir(dir string) error {
	if r := i.decide(Op{Verb: OpSyncDir, Name: dir}); r.Err != nil {
		return r.Err
	}
	return i.FS.SyncDir(dir)
}

type injectFile struct {
	File
	i    *Inject
	name string
}

func (f *injectFile) ReadAt(b []byte, off int64) (int, error) {
	r := f.i.decide(Op{Verb: OpRead, Name: f.name, Offset: off, Length: len(b)})
	if r.Err != nil {
		return 0, r.Err
	}
	n, err := f.File.ReadAt(b, off)
	if bit := r.FlipBit - 1; bit >= 0 && bit/8 < n {
		b[bit/8] ^= 1 << (bit % 8)
	}
	return n, err
}

func (f *injectFile) WriteAt(b []byte, off int64) (int, error) {
	r := f.i.decide(Op{Verb: OpWrite, Name: f.name, Offset: off, Length: len(b)})
	if r.Err == nil {
		return f.File.WriteAt(b, off)
	}
	n := 0
	if r.Short > 0 && r.Short <= len(b) {
		n, _ = f.File.WriteAt(b[:r.Short], off)
	}
	return n, r.Err
}

func (f *injectFile) Sync() error {
	if r := f.i.decide(Op{Verb: OpSync, Name: f.name}); r.Err != nil {
		return r.Err
	}
	return f.File.Sync()
}

func (f *injectFile) Allocate(size int64) error {
	if r := f.i.decide(Op{Verb: OpAllocate, Name: f.name}); r.Err != nil {
		return r.Err
	}
	return f.File.Allocate(size)
}
