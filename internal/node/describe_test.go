// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// BenchmarkDescribe describes one of 1,000 groups with 10 exported volumes each, and finds a
// volume by its name.
func BenchmarkDescribe(b *testing.B) {
	s, err := store.Open(b.TempDir() + "/array.db")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const groups = 1000
	if err := s.Update(func(t *store.Tx) error {
		for g := range array.GroupID(groups) {
			if err := groupsPut(t, RCGroup{ID: g + 1, Name: fmt.Sprintf("g%d", g)}); err != nil {
				return err
			}
			for k := range array.VolumeID(10) {
				v := VV{ID: array.VolumeID(g)*10 + k + 1, Name: fmt.Sprintf("v%d.%d", g, k), Size: 1 << 30, CPG: "cpg0", Group: g + 1}
				if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
					return err
				}
				l := VLUN{LUN: uint16(k), Volume: v.ID, Host: fmt.Sprintf("h%d", g)}
				if err := tables.vluns.Put(t, vlunKey(l), l); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	n := &Node{store: s}
	for b.Loop() {
		d, err := n.describe(500)
		if err != nil || len(d.VVs) != 10 || len(d.VLUNs) != 10 {
			b.Fatal(err, len(d.VVs), len(d.VLUNs))
		}
		if v, _, err := n.vv("v499.3"); err != nil || v.Group != 500 {
			b.Fatal(err, v)
		}
	}
}
