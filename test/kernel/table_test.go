// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"fmt"
	"os"
	"strings"

	"github.com/perdure/perdure/internal/matrix"
)

// table is what came of all rows.
type table struct {
	rows           []matrix.Row
	cells          map[string]cell // by row, settings, kind
	played         map[string]bool
	passed, failed int
}

type cell struct {
	outcome
	err, late error
}

func newTable(rows []matrix.Row) *table {
	return &table{rows: rows, cells: map[string]cell{}, played: map[string]bool{}}
}

func key(row, kind, settings string) string { return row + "/" + kind + "/" + settings }

func (t *table) add(r matrix.Row, k kind, s settings, o outcome, err, late error) {
	t.played[r.ID] = true
	t.cells[key(r.ID, k.name, s.name)] = cell{o, err, late}
	if err != nil || late != nil {
		t.failed++
	} else {
		t.passed++
	}
}

// saw says what a host saw of a row.
func (t *table) saw(r matrix.Row, k kind, settings string, host int) string {
	c, ok := t.cells[key(r.ID, k.name, settings)]
	switch {
	case !ok:
		return "-"
	case c.err != nil:
		return "FAILED"
	case host >= len(c.hosts):
		return "-"
	case c.hosts[host].lost:
		return "lost"
	case c.serves == "none":
		return "stands"
	case c.late != nil:
		return fmt.Sprintf("%.2f s LATE", c.hosts[host].pause.Seconds())
	}
	return fmt.Sprintf("%.2f s", c.hosts[host].pause.Seconds())
}

// columns are what is shown of each row: a heading, and which cell it is of.
func columns() (out []struct {
	head     string
	kind     kind
	settings string
	host     int
},
) {
	for _, settings := range []string{"recommended", "incumbent's"} {
		for _, k := range kinds() {
			for n, h := range k.hosts {
				head := k.name
				if len(k.hosts) > 1 {
					head += " " + map[string]string{"host": "both", "west": "sync A", "east": "sync B"}[h.name]
				}
				out = append(out, struct {
					head     string
					kind     kind
					settings string
					host     int
				}{head, k, settings, n})
			}
		}
	}
	return append(out, struct {
		head     string
		kind     kind
		settings string
		host     int
	}{"stock kernel", kinds()[0], stockSettings, 0})
}

// stockSettings names the recommended settings on a host with a stock kernel.
const stockSettings = "stock kernel"

func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "The longest pause that a Linux host saw; first with the recommended settings, then with the incumbent's; last with a stock kernel, which is emulated.\n%-5s %-60s", "row", "what is lost")
	for _, c := range columns() {
		fmt.Fprintf(&b, " %-13s", c.head)
	}
	b.WriteByte('\n')
	for _, r := range t.rows {
		if !t.played[r.ID] {
			continue
		}
		fmt.Fprintf(&b, "%-5s %-60.60s", r.ID, r.What)
		for _, c := range columns() {
			fmt.Fprintf(&b, " %-13s", t.saw(r, c.kind, c.settings, c.host))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "kernel lab: %d passed, %d failed\n", t.passed, t.failed)
	return b.String()
}

// The table's marks in the document.
const (
	tableFrom = "|---|---|---|---|---|---|---|---|---|---|---|\n"
	tableTo   = "<!-- end of the table -->"
)

// document puts what was played into a document's table and leaves the rest of it: hours
// may lie between two kinds of groups.
func (t *table) document(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	head, rest, found := strings.Cut(string(b), tableFrom)
	old, tail, ended := strings.Cut(rest, tableTo)
	if !found || !ended {
		return fmt.Errorf("write the table: %s has no marks for it", path)
	}
	before := map[string][]string{} // the cells of each row
	for _, l := range strings.Split(old, "\n") {
		cells := strings.Split(strings.Trim(l, "| "), " | ")
		if len(cells) == 2+len(columns()) {
			before[cells[0]] = cells[2:]
		}
	}
	var out strings.Builder
	for _, r := range t.rows {
		fmt.Fprintf(&out, "| %s | %s |", r.ID, r.What)
		for n, c := range columns() {
			text := t.saw(r, c.kind, c.settings, c.host)
			if was := before[r.ID]; text == "-" && was != nil {
				text = was[n]
			}
			fmt.Fprintf(&out, " %s |", text)
		}
		out.WriteByte('\n')
	}
	if err := os.WriteFile(path, []byte(head+tableFrom+out.String()+tableTo+tail), 0o644); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}
