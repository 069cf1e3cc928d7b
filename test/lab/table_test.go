// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/matrix"
)

// line is a row's outcome, for the terminal.
func line(r matrix.Row, o outcome, err error) string {
	verdict := "ok"
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		verdict = "FAILED: " + first
	}
	return fmt.Sprintf("%-4s  %-76.76s  %-34.34s  %-11s  %-28s  %6d writes: %s\n", r.ID, r.What, r.Incumbent, o.ours(), o.saw(), o.acked, verdict)
}

// tableLine is the same for docs/failure-scenarios.md.
func tableLine(r matrix.Row, o outcome, err error) string {
	verdict := "yes"
	if err != nil {
		verdict = "**no**"
	}
	return fmt.Sprintf("| [%s](../internal/matrix/rows.txt#L%d) | %s | %s | %s | %s | %s |\n", r.ID, r.Line, r.What, r.Incumbent, o.ours(), o.saw(), verdict)
}

// ours says who served.
func (o outcome) ours() string {
	switch o.serves {
	case "none":
		return "outage"
	case "":
		return "-"
	}
	return o.serves + " serves"
}

// saw says what the host noticed.
func (o outcome) saw() string {
	if o.serves == "none" {
		return "stood still until made good"
	}
	return fmt.Sprintf("pause %d ms", o.pause.Milliseconds())
}

// putTable writes the table's lines between their two marks in a document.
func putTable(path, lines string) error {
	const from, to = "|---|---|---|---|---|---|\n", "\n<!-- end of the table -->"
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	head, rest, found := bytes.Cut(b, []byte(from))
	_, tail, ended := bytes.Cut(rest, []byte(to))
	if !found || !ended {
		return fmt.Errorf("write the table: %s has no marks for it", path)
	}
	out := slices.Concat(head, []byte(from+lines+to), tail) // head and tail are parts of one array
	if err := os.WriteFile(path, out, 0o644); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}
