// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestRows(t *testing.T) {
	rows, err := Rows()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 40 {
		t.Errorf("%d rows", len(rows))
	}
}

func TestRowsThatSayNothingAreRefused(t *testing.T) {
	const whole = "row 1\nwhat x\ndo kill A; wait 1s\nincumbent y\nserves B\npause 1500\nback B\n"
	if rows, err := parse(whole); err != nil || len(rows[0].Do) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	for name, text := range map[string]string{
		"before the first row": "what x\n",
		"unknown key":          whole + "wish x\n",
		"pause in words":       whole + "pause soon\n",
		"paths that jump":      whole + "paths jump\n",
		"twice":                whole + whole,
		"lacks all":            "row 1\n",
		"no limit":             "row 1\nwhat x\ndo kill A\nincumbent y\nserves B\nback B\n",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestEveryRowIsInTheDocument: the table there names each row, where it stands, and who
// serves.
func TestEveryRowIsInTheDocument(t *testing.T) {
	rows, err := Rows()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../../docs/failure-scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		serves := r.Serves + " serves"
		if r.Serves == "none" {
			serves = "outage"
		}
		if want := fmt.Sprintf("| [%s](../internal/matrix/rows.txt#L%d) | %s | %s | %s |", r.ID, r.Line, r.What, r.Incumbent, serves); !strings.Contains(string(b), want) {
			t.Errorf("docs/failure-scenarios.md lacks row %s; `make failure-matrix` writes it", r.ID)
		}
	}
}
