// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is how a table is printed. The names are those of setclienv.
type Style struct {
	// CSV: csvtable. NoHdTot: neither headers nor totals, nor titles.
	CSV     bool
	NoHdTot bool
}

// Table is a header, rows, and perhaps a total.
type Table struct {
	head  []string
	right []bool
	quote []bool
	rows  [][]string
	total []string
	// indent comes before each line; as an empty first field in CSV, if it is not empty.
	indent string
}

// New returns a table of such columns. One whose name begins with > is of numbers and
// aligned to the right; one that begins with " is always quoted in CSV.
func New(columns ...string) *Table {
	t := &Table{right: make([]bool, len(columns)), quote: make([]bool, len(columns))}
	for i, c := range columns {
		t.right[i], t.quote[i] = strings.HasPrefix(c, ">"), strings.HasPrefix(c, `"`)
		t.head = append(t.head, strings.TrimLeft(c, `>"`))
	}
	return t
}

// Within returns a table that belongs to a row of another: it is indented, and in CSV its
// first field is empty.
func Within(columns ...string) *Table {
	t := New(columns...)
	t.indent = "  "
	return t
}

// Row adds a row. What is missing at its end is empty.
func (t *Table) Row(values ...any) { t.rows = append(t.rows, t.texts(values)) }

// Total sets the row below all others.
func (t *Table) Total(values ...any) { t.total = t.texts(values) }

// Rows is how many rows there are.
func (t *Table) Rows() int { return len(t.rows) }

func (t *Table) texts(values []any) []string {
	row := make([]string, len(t.head))
	for i := range min(len(values), len(row)) {
		if values[i] != nil {
			row[i] = fmt.Sprint(values[i])
		}
	}
	return row
}

// String returns the table in a style.
func (t *Table) String(s Style) string {
	var b strings.Builder
	line := t.columns()
	if s.CSV {
		line = t.csv
	}
	if !s.NoHdTot {
		t.write(&b, line(t.head, true))
	}
	for _, r := range t.rows {
		t.write(&b, line(r, false))
	}
	if t.total != nil && !s.NoHdTot {
		t.write(&b, strings.Repeat("-", t.width()))
		total := t.total
		if s.CSV {
			total = parted(total)
		}
		t.write(&b, line(total, false))
	}
	return b.String()
}

// parted has the number and the word of "3 total" in fields of their own, as the tables have them
// whose first column is narrow.
func parted(total []string) []string {
	n, is := strings.CutSuffix(total[0], " total")
	if !is || len(total) < 2 || total[1] != "" {
		return total
	}
	total = slices.Clone(total)
	total[0], total[1] = n, "total"
	return total
}

func (t *Table) write(b *strings.Builder, line string) {
	b.WriteString(line)
	b.WriteByte('\n')
}

// csv returns a row as comma-separated values.
func (t *Table) csv(row []string, head bool) string {
	var f []string
	if t.indent != "" {
		f = append(f, "")
	}
	for i, v := range row {
		if strings.ContainsAny(v, ",\"\r\n") || t.quote[i] && !head {
			v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
		}
		f = append(f, v)
	}
	return strings.Join(f, ",")
}

// columns returns what aligns a row.
func (t *Table) columns() func([]string, bool) string {
	width := t.widths()
	return func(row []string, _ bool) string {
		var b strings.Builder
		b.WriteString(t.indent)
		for i, v := range row {
			if i > 0 {
				b.WriteByte(' ')
			}
			v = flat(v)
			space := strings.Repeat(" ", width[i]-utf8.RuneCountInString(v))
			if t.right[i] {
				v = space + v
			} else {
				v += space
			}
			b.WriteString(v)
		}
		return strings.TrimRight(b.String(), " ")
	}
}

func (t *Table) widths() []int {
	width := make([]int, len(t.head))
	for _, row := range append(append([][]string{t.head}, t.rows...), t.total) {
		for i, v := range row {
			width[i] = max(width[i], utf8.RuneCountInString(flat(v)))
		}
	}
	return width
}

// width is that of a whole line.
func (t *Table) width() int {
	n := len(t.indent) + len(t.head) - 1
	for _, w := range t.widths() {
		n += w
	}
	return n
}

// flat is a value in one line, without what a terminal would obey: hosts and other systems
// may have sent it.
func flat(v string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return utf8.RuneError
		}
		return r
	}, v)
}
