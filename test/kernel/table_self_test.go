// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/matrix"
)

// TestTheDocumentKeepsWhatWasNotPlayed: one kind's rows don't take another's away.
func TestTheDocumentKeepsWhatWasNotPlayed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	must(t, os.WriteFile(path, []byte("above\n"+tableFrom+tableTo+"\nbelow\n"), 0o644))
	rows := []matrix.Row{{ID: "1", What: "x", Serves: "A"}, {ID: "2", What: "y", Serves: "none"}}
	play := func(k kind, row matrix.Row, err, late error) {
		t.Helper()
		tab := newTable(rows)
		var o outcome
		for _, h := range k.hosts {
			o.hosts = append(o.hosts, hostOutcome{name: h.name, pause: 1250 * time.Millisecond})
		}
		o.serves = row.Serves
		tab.add(row, k, settings{name: "recommended"}, o, err, late)
		must(t, tab.document(path))
	}
	play(kinds()[0], rows[0], nil, nil)
	play(kinds()[1], rows[0], nil, errors.New("late"))
	play(kinds()[0], rows[1], nil, nil)
	play(kinds()[1], rows[1], errors.New("an error"), nil)
	b, err := os.ReadFile(path)
	must(t, err)
	for _, want := range []string{
		"above\n|---", "<!-- end of the table -->\nbelow\n",
		"\n| 1 | x | 1.25 s | 1.25 s LATE | 1.25 s LATE | 1.25 s LATE | - | - | - | - | - |\n",
		"\n| 2 | y | stands | FAILED | FAILED | FAILED | - | - | - | - | - |\n",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the document lacks %q:\n%s", want, b)
		}
	}
}
