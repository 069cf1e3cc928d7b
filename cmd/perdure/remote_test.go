// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/table"
)

// TestCLIWithoutAnArray names both ways to say which.
func TestCLIWithoutAnArray(t *testing.T) {
	_, err := (&remoteCmd{User: "anna"}).options()
	if err == nil || !strings.Contains(err.Error(), "--url") || !strings.Contains(err.Error(), "$PERDURE_URL") {
		t.Errorf("it says %v", err)
	}
}

// TestAFileOfCommands: all of it is carried out but its comments, and what is wrong is told with
// its line.
func TestAFileOfCommands(t *testing.T) {
	var given []string
	sh := &cli.Shell{Run: func(_ context.Context, words []string, _ table.Style) (string, error) {
		given = append(given, strings.Join(words, " "))
		if words[0] == "removevv" {
			return "", errors.New("volume v is exported")
		}
		return "", nil
	}}
	var wrong strings.Builder
	err := piped(t.Context(), sh, strings.NewReader("# what the night does\nshowvv\n\n  # gone\nremovevv -f v\nshowcpg\n"), &wrong)
	if err == nil || err.Error() != "1 command failed" {
		t.Errorf("it ends with %v", err)
	}
	if want := []string{"showvv", "removevv -f v", "showcpg"}; !slices.Equal(given, want) {
		t.Errorf("given were %q, want %q", given, want)
	}
	if want := "line 5: volume v is exported\n"; wrong.String() != want {
		t.Errorf("told %q, want %q", wrong.String(), want)
	}
}
