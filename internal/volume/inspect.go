// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/vfs"
)

// Found is what a pool holds on disk.
type Found struct {
	Volumes []VolumeSpec
	// Destaged is, by group, up to where all is on pages; Resyncing, whether a copy of it
	// is unfinished.
	Destaged  map[array.GroupID]array.Place
	Resyncing map[array.GroupID]bool
	// Used is how many bytes pages take.
	Used int64
}

// Inspect checks the pool in dir as Pool.Check does, without changing anything, and
// returns what it holds. pages is as in Options. A pool that is open is refused.
func Inspect(fs vfs.FS, dir, mapFile, pages string, content bool, report func(string)) (Found, error) {
	f := Found{Destaged: map[array.GroupID]array.Place{}, Resyncing: map[array.GroupID]bool{}}
	p := &Pool{scratch: new(sync.Pool)}
	p.empty()
	err := store.Guard(func() error { return p.openToRead(fs, dir, mapFile, pages) })
	defer func() { _ = p.closeFiles() }()
	if err != nil {
		return f, fmt.Errorf("inspect pool %s: %w", dir, err)
	}
	if err := store.Guard(func() error { return p.db.View(p.load) }); err != nil {
		report(err.Error())
	}
	for _, v := range p.volumes {
		f.Volumes = append(f.Volumes, v.spec)
	}
	for id, g := range p.groups {
		f.Destaged[id], f.Resyncing[id] = g.destaged, g.state == resyncing
	}
	f.Used = p.units.used * unitSize
	return f, store.Guard(func() error { return p.Check(content, report) })
}

// OpenToRead opens a pool for LoadOutside alone, without changing anything.
func OpenToRead(fs vfs.FS, dir, mapFile, pages string) (*Pool, error) {
	p := &Pool{scratch: new(sync.Pool)}
	err := store.Guard(func() error {
		if err := p.openToRead(fs, dir, mapFile, pages); err != nil {
			return err
		}
		return p.db.View(p.readName)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open pool %s to read: %w", dir, err), p.closeFiles())
	}
	return p, nil
}

// CloseToRead closes what OpenToRead opened.
func (p *Pool) CloseToRead() error { return p.closeFiles() }

func (p *Pool) openToRead(fs vfs.FS, dir, mapFile, pages string) (err error) {
	p.db, err = store.OpenFile(mapFile, bolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open map %s: %w", mapFile, err)
	}
	if err = p.openPages(fs, path.Join(dir, "pages"), pages, vfs.ReadOnly|vfs.Direct); err != nil {
		return err
	}
	if err = p.db.View(checkFormat); err != nil {
		return err
	}
	return p.inspectDevice(pages)
}
