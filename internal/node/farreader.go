// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

// farReader reads points.
type farReader struct {
	n         *Node
	base, now map[array.VolumeID]VV
}

// Changed implements far.Source.
func (s *farReader) Changed(v array.VolumeID, whole bool, from int64, fn func(page int64) bool) error {
	snap := s.now[v]
	p := s.n.cpgs[snap.CPG]
	if p == nil {
		return s.n.noCPG(snap.CPG)
	}
	if old, ok := s.base[v]; ok && !whole {
		return p.Differ(old.ID, snap.ID, from, fn)
	}
	return p.ChangedAt(snap.ID, 0, from, func(page int64, birth array.Place) bool { return birth == 0 || fn(page) })
}

// Read implements far.Source.
func (s *farReader) Read(ctx context.Context, v array.VolumeID, page int64, dst []byte) error {
	snap := s.now[v]
	p := s.n.cpgs[snap.CPG]
	if p == nil || p.Volume(snap.ID) == nil {
		return array.Errorf(array.NotFound, "snapshot %s is not on array %s", snap.Name, s.n.cfg.Name)
	}
	off, size := page*block.Page, p.Volume(snap.ID).Spec().Size
	clear(dst)
	if off >= size {
		return nil
	}
	return writer{n: s.n, pool: p, from: p.Volume(snap.ID)}.read(ctx, dst[:min(block.Page, size-off)], off)
}

// stored is how a volume's pages are.
type stored struct {
	Provisioning volume.Provisioning `json:"provisioning,omitempty"`
	Compress     bool                `json:"compress,omitempty"`
}

func likeOf(v VV) stored { return stored{v.Provisioning, v.Compress} }
