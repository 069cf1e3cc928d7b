// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// TestCLIWithoutAnArray names both ways to say which.
func TestCLIWithoutAnArray(t *testing.T) {
	_, err := (&remoteCmd{User: "anna"}).options()
	if err == nil || !strings.Contains(err.Error(), "--url") || !strings.Contains(err.Error(), "$PERDURE_URL") {
		t.Errorf("it says %v", err)
	}
}
