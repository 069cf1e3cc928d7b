// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/store"
)

// TestEachLUNHasItsKey: an export must never take the place of another one.
func TestEachLUNHasItsKey(t *testing.T) {
	seen := map[string]uint16{}
	for lun := range uint16(maxLUN + 1) {
		k := vlunKey(VLUN{LUN: lun, Host: "h"})
		if o, ok := seen[k]; ok {
			t.Fatalf("LUN %d has the key of LUN %d", lun, o)
		}
		seen[k] = lun
	}
}

// TestExportsBesideEachOther: a host sees all that was exported to it, also what a program
// stored that had other keys.
func TestExportsBesideEachOther(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.run("createhost", "h", "iqn.2026-01.org.example:h")
	luns := []int{65, 97, 128, 200, 201, 16383}
	for i, lun := range luns {
		a.run("createvv", "cpg0", fmt.Sprint("v", i), "16m")
		a.run("createvlun", fmt.Sprint("v", i), fmt.Sprint(lun), "h")
	}
	all := func() {
		t.Helper()
		for i, lun := range luns {
			if text := a.run("showvlun", "-t", "-v", fmt.Sprint("v", i)); !strings.Contains(text, fmt.Sprint(lun)) {
				t.Errorf("volume v%d is not LUN %d:\n%s", i, lun, text)
			}
		}
		if got := len(a.exports.LUNs("iqn.2026-01.org.example:h")); got != len(luns) {
			t.Errorf("the host sees %d LUNs, want %d", got, len(luns))
		}
	}
	all()
	if err := a.store.Update(func(tx *store.Tx) error {
		l, _, err := tables.vluns.Get(tx, vlunKey(VLUN{LUN: 65, Host: "h"}))
		if err != nil {
			return err
		}
		if err := tables.vluns.Delete(tx, vlunKey(l)); err != nil {
			return err
		}
		return tables.vluns.Put(tx, "h/A", l)
	}); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.open()
	all()
	a.run("removevlun", "-f", "v0", "65", "h")
}
