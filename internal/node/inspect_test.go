// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
)

// TestDisksOfADaemonThatRuns are not looked at, and why is said.
func TestDisksOfADaemonThatRuns(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	_, err := Inspect(a.cfg, false, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "array.db: another process has it open, mostly the array's daemon: stop that first") {
		t.Error(err)
	}
}
