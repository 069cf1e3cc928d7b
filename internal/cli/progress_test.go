// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/progress"
)

func TestProgress(t *testing.T) {
	step := progress.Step{What: "verify group g", Percent: 25, Rate: 50 << 20, Text: "0 different"}
	var plain strings.Builder
	p := NewProgress(&plain, 0)
	p.Tell(step)
	p.End()
	if want := "verify group g: 25.0 percent, 50.0 MiB/s, 0 different\n"; plain.String() != want {
		t.Errorf("plain: %q, want %q", plain.String(), want)
	}
	var drawn strings.Builder
	p = NewProgress(&drawn, 40)
	p.Tell(step)
	step.Percent = 1000
	p.Tell(step)
	p.End()
	p.End()
	want := "\r\x1b[K[#####...............] verify group g: " + "\r\x1b[K[####################] verify group g: " + "\r\x1b[K"
	if drawn.String() != want {
		t.Errorf("drawn: %q, want %q", drawn.String(), want)
	}
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if w := Width(f); w != 0 {
		t.Errorf("a file is a terminal of %d columns", w)
	}
}
