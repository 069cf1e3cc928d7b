// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

// TestDeduplicatedVolumesShareTheirSpace: what volumes are said to take is what their CPG has
// stored, however often they have the same.
func TestDeduplicatedVolumesShareTheirSpace(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	const pages = 64
	for _, v := range []string{"one", "two"} {
		a.run("createvv", "-tdvv", "cpg0", v, "64")
	}
	a.run("createvv", "cpg0", "other", "64")
	for _, v := range []string{"one", "two", "other"} {
		data := make([]byte, pages*block.Page)
		for i := range data {
			data[i] = byte(i>>14 + 1) // each page unlike the others
		}
		a.write(v, 0, data)
		if err := a.cpgs["cpg0"].Flush(a.stored(v).Group); err != nil {
			t.Fatal(err)
		}
	}
	all, err := a.Volumes()
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, f := range all {
		sum += f.Used.Stored
		if one, err := a.Volume(f.Name); err != nil || one.Used != f.Used {
			t.Errorf("%s alone: %+v, in the list %+v; %v", f.Name, one.Used, f.Used, err)
		}
		if want := int64(pages * block.Page); f.Provisioning == volume.Dedup && f.Used.Stored != want/2 || f.Provisioning != volume.Dedup && f.Used.Stored != want {
			t.Errorf("%s takes %d bytes", f.Name, f.Used.Stored)
		}
	}
	if used := a.cpgs["cpg0"].Capacity().Used; sum != used {
		t.Errorf("the volumes take %d bytes, the CPG %d", sum, used)
	}
}
