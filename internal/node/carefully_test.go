// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestADefectEndsItsCommandOnly: the daemon goes on, and commands after it.
func TestADefectEndsItsCommandOnly(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	err := a.carefully("showvv", func() error {
		var none []int
		_ = none[len(a.cfg.Name)]
		return nil
	})
	if array.KindOf(err) != array.Internal || !strings.Contains(err.Error(), "showvv failed in the array array-a: runtime error: index out of range") {
		t.Error(err)
	}
	a.run("createvv", "cpg0", "v", "16")
}
