// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

// An inspection looks at an array's disks while its daemon is not running: each part by
// itself, and then whether they fit together. It changes nothing.
type inspection struct {
	cfg     Config
	content bool
	report  func(string)
	groups  map[array.GroupID]RCGroup
	records map[array.GroupID]arb.Stored
	vvs     map[array.VolumeID]VV
	remains map[array.GroupID]bool
	logs    map[array.GroupID]journal.Log
	pools   map[string]volume.Found
}

// Inspect looks at the disks of the array that cfg describes, with content at every
// page too. It calls report for each thing that is wrong, in words for people, and
// returns a summary. It fails if it can't go on, as when the daemon is running.
func Inspect(cfg Config, content bool, report func(string)) (string, error) {
	c := &inspection{
		cfg: cfg, content: content, report: report,
		groups: map[array.GroupID]RCGroup{}, records: map[array.GroupID]arb.Stored{}, vvs: map[array.VolumeID]VV{},
		remains: map[array.GroupID]bool{}, logs: map[array.GroupID]journal.Log{}, pools: map[string]volume.Found{},
	}
	for _, f := range []func() error{c.inspectStore, c.inspectJournal, c.inspectCPGs} {
		if err := f(); err != nil {
			return "", err
		}
	}
	c.groupsFit()
	c.volumesFit()
	return c.summary(), nil
}

func (c *inspection) inspectStore() error {
	path := filepath.Join(c.cfg.DataDir, "array.db")
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("inspect the store: %w", err)
	}
	s, err := store.OpenReadOnly(path)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Check(func(err error) { c.report("store: " + err.Error()) }); err != nil {
		return err
	}
	err = s.View(func(t *store.Tx) error {
		return errors.Join(
			tables.groups.Each(t, func(_ string, g RCGroup) error { c.groups[g.ID] = g; return nil }),
			tables.vvs.Each(t, func(_ string, v VV) error { c.vvs[v.ID] = v; return nil }),
			tables.remains.Each(t, func(_ string, r remains) error { c.remains[r.Group] = true; return nil }),
			checkSight(t),
		)
	})
	if err != nil {
		c.report("store: " + err.Error())
	}
	k := keep{s}
	for id, g := range c.groups {
		b, err := k.Get(id, "membership")
		if err == nil && b != nil {
			var st arb.Stored
			if st, err = arb.ParseStored(b); err == nil {
				c.records[id] = st
			}
		}
		if err != nil {
			c.report(fmt.Sprintf("group %s: its membership record can't be read: %v", g.Name, err))
		}
	}
	return nil
}

// openToRead opens the CPGs for what the journal says lies there. What is wrong with one
// is told when its turn comes.
func (c *inspection) openToRead() (pools volume.Pools) {
	for _, g := range c.cfg.CPGs {
		if _, err := os.Stat(filepath.Join(g.Dir, "map.db")); err != nil {
			continue
		}
		if p, err := volume.OpenToRead(vfs.NewOS(g.Dir), ".", filepath.Join(g.Dir, "map.db"), g.Device); err == nil {
			pools = append(pools, p)
		}
	}
	return pools
}

func (c *inspection) inspectCPGs() error {
	for _, g := range c.cfg.CPGs {
		dir, err := filepath.Abs(g.Dir)
		if err != nil {
			return err
		}
		name := filepath.Join(dir, "map.db")
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			c.report(fmt.Sprintf("CPG %s: there is no map in %s", g.Name, dir))
			continue
		}
		found, err := volume.Inspect(vfs.NewOS(dir), ".", name, g.Device, c.content, func(text string) { c.report("CPG " + g.Name + ": " + text) })
		if array.KindOf(err) == array.Conflict {
			return fmt.Errorf("CPG %s: %w", g.Name, err)
		}
		if err != nil {
			c.report(fmt.Sprintf("CPG %s: %v", g.Name, err))
			continue
		}
		c.pools[g.Name] = found
	}
	return nil
}

// groupsFit: what the journal let go of must be on pages.
func (c *inspection) groupsFit() {
	for id, g := range c.groups {
		l, ok := c.logs[id]
		if !ok {
			continue // it has written nothing yet
		}
		for name, p := range c.pools {
			if d, ok := p.Destaged[id]; ok && c.holds(name, id) && l.Base.Place > d {
				c.report(fmt.Sprintf("group %s: the journal begins after place %d, but CPG %s has only what was written up to %d on pages", g.Name, l.Base.Place, name, d))
			}
		}
	}
	for id := range c.logs {
		if _, ok := c.groups[id]; !ok && !c.remains[id] {
			c.report(fmt.Sprintf("journal: records of group %v, which does not exist", id))
		}
	}
}

func (c *inspection) holds(pool string, g array.GroupID) bool {
	for _, s := range c.pools[pool].Volumes {
		if s.Group == g {
			return true
		}
	}
	return false
}

// volumesFit: the volumes of the store are those of the pools. Their sizes may differ for
// a moment: an entry of the log makes the one larger, the description that follows the
// other, and the next start takes what is larger.
func (c *inspection) volumesFit() {
	for name, p := range c.pools {
		for _, s := range p.Volumes {
			if of, ok := c.vvs[s.Of]; ok && array.IsPoint(s.ID) && of.Group == s.Group {
				continue // a periodic group's own
			}
			if v, ok := c.vvs[s.ID]; !ok && !c.remains[s.Group] {
				c.report(fmt.Sprintf("CPG %s: pages of volume %v, which does not exist", name, s.ID))
			} else if ok && (v.CPG != name || v.Group != s.Group) {
				c.report(fmt.Sprintf("volume %s: in CPG %s and group %v by the store, in CPG %s and group %v by its pages", v.Name, v.CPG, v.Group, name, s.Group))
			}
		}
	}
	for _, v := range c.vvs {
		// One that its CPG lacks is made at the next start: nothing was written to it, or
		// the journal still has all.
		if _, ok := c.pools[v.CPG]; !ok {
			c.report(fmt.Sprintf("volume %s: CPG %s is not configured, or can't be read", v.Name, v.CPG))
		}
	}
}

func (c *inspection) summary() string {
	text := ""
	for id, g := range c.groups {
		name := "group " + g.Name
		if g.Private {
			name = "volume " + g.Name
		}
		l := c.logs[id]
		text += fmt.Sprintf("%s: %v, journal from place %d to %d\n", name, c.records[id].Current, l.Base.Place, l.Last.Place)
	}
	for name, p := range c.pools {
		text += fmt.Sprintf("CPG %s: %d volumes, %d KiB of pages\n", name, len(p.Volumes), p.Used>>10)
	}
	return text
}
