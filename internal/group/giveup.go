// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

// GiveUp takes the closed group of a former source back to the point at place, from which
// the other array went on: what was written here since is given up. It is made as a point
// that comes is, out of this array's own snapshots, and decided at once: the group stands
// there when it is opened, whatever happens between. An error of kind array.NotFound says
// that the point is not kept here; nothing is changed then.
func GiveUp(cfg Config, volumes []array.VolumeID, place array.Place) error {
	g := &Group{cfg: cfg}
	if err := g.fact(factPoints, &g.period.kept); err != nil {
		return err
	}
	p := g.period.kept.Done
	if p == nil || p.Place != place {
		p = g.period.kept.Pending
	}
	if p == nil || p.Place != place {
		return array.Errorf(array.NotFound, "the point at place %d is not kept on this array", place)
	}
	of := map[array.VolumeID]bool{}
	for _, v := range p.Volumes {
		of[v] = true
	}
	for _, v := range volumes {
		if !of[v] {
			return array.Errorf(array.NotFound, "volume %v was not there at the point at place %d", v, place)
		}
	}
	if cfg.Copy.Resyncing(cfg.ID) {
		if err := cfg.Copy.AbortResync(cfg.ID); err != nil {
			return err
		}
	}
	if err := cfg.Copy.BeginResync(cfg.ID); err != nil {
		return err
	}
	for _, v := range volumes {
		if err := putBack(cfg, v, array.PointID(v, p.Slot), place); err != nil {
			return fmt.Errorf("take volume %v back: %w", v, err)
		}
	}
	if err := cfg.Shadow.FlushResync(cfg.ID); err != nil {
		return err
	}
	if err := cfg.Shadow.Forsake(cfg.ID, place); err != nil {
		return err
	}
	if err := g.keepFact(factPoints, points{Done: p}); err != nil { // places beyond it are given anew
		return err
	}
	return g.keepFact(factTurn, turn{Tag: p.Tag, Place: place, Time: p.Time, Segments: p.Segments, States: p.States})
}

// putBack puts what a volume's pages held at a point beside what they hold.
func putBack(cfg Config, v, snap array.VolumeID, place array.Place) error {
	for from := int64(0); ; {
		var pages []int64
		err := cfg.Points.Differ(snap, v, from, func(n int64) bool {
			pages = append(pages, n)
			return len(pages) < copyWindow
		})
		if err != nil {
			return err
		}
		puts := make([]volume.Put, 0, len(pages))
		for _, n := range pages {
			b := make([]byte, block.Page)
			birth, err := cfg.Points.PageAt(snap, n, b)
			switch {
			case array.KindOf(err) == array.Range: // it grew since: zeros, which nobody has seen
				birth, b = 0, nil
			case err != nil:
				return err
			case allZero(b):
				b = nil
			}
			if birth == 0 {
				birth = place // not written until then
			}
			puts = append(puts, volume.Put{Volume: v, Page: n, Birth: birth, Data: b})
		}
		if err := cfg.Copy.PutPages(cfg.ID, puts); err != nil || len(pages) < copyWindow {
			return err
		}
		from = pages[len(pages)-1] + 1
	}
}
