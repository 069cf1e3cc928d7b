// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"testing"

	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// TestTraits: what hosts of some kinds are not told of.
func TestTraits(t *testing.T) {
	for _, x := range []struct {
		traits     scsi.Traits
		tpgs       byte
		groups     byte // status of REPORT TARGET PORT GROUPS
		news, path int
	}{
		{scsi.Traits{}, 1, 0, 0x063F0E, 0x062A06},
		{scsi.Traits{NoLUNNews: true}, 1, 0, 0, 0x062A06},
		{scsi.Traits{Symmetric: true}, 0, 2, 0x063F0E, 0},
		{scsi.Traits{Symmetric: true, NoLUNNews: true}, 0, 2, 0, 0},
	} {
		r := newRig(t)
		r.exports.SetTraits(x.traits)
		n := r.nexus("iqn.h", 1)
		inquiry := cdb(0x12, 6)
		inquiry[4] = 74
		if c := r.run(n, inquiry, nil); c.Status != 0 || c.In[5]>>4&3 != x.tpgs {
			t.Errorf("%+v: INQUIRY status %#x, TPGS %d", x.traits, c.Status, c.In[5]>>4&3)
		}
		groups := cdb(0xA3, 12)
		groups[1], groups[9] = 0x0A, 64
		if c := r.run(n, groups, nil); byte(c.Status) != x.groups || x.groups == 2 && senseOf(c) != 0x052400 {
			t.Errorf("%+v: REPORT TARGET PORT GROUPS status %#x, sense %06x", x.traits, c.Status, senseOf(c))
		}
		r.exports.Set(3, ramunit.New("vv3", 77, blocks*512, 1, 2).Unit(0))
		if c := r.run(n, cdb(0, 6), nil); senseOf(c) != x.news {
			t.Errorf("%+v: after a change of LUNs: sense %06x, want %06x", x.traits, senseOf(c), x.news)
		}
		r.disk.Notify(scsi.Notice{Kind: scsi.PathsChanged})
		if c := r.run(n, cdb(0, 6), nil); senseOf(c) != x.path {
			t.Errorf("%+v: after a change of paths: sense %06x, want %06x", x.traits, senseOf(c), x.path)
		}
	}
}
