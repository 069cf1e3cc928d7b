// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding/csv"
	"strings"
	"testing"
	"unicode"
)

func volumes() *Table {
	t := New(">Id", "Name", ">VSize_MB", `"Options`)
	t.Row(1, "v", 1024, "a,b")
	t.Row(12, "with \"quotes\",\nand more", 5, "c")
	t.Total(2, "total", 1029)
	return t
}

func TestForms(t *testing.T) {
	for _, c := range []struct {
		style Style
		want  string
	}{
		{Style{}, `
Id Name                    VSize_MB Options
 1 v                           1024 a,b
12 with "quotes", and more        5 c
-------------------------------------------
 2 total                       1029
`},
		{Style{NoHdTot: true}, `
 1 v                           1024 a,b
12 with "quotes", and more        5 c
`},
		{Style{CSV: true}, `
Id,Name,VSize_MB,Options
1,v,1024,"a,b"
12,"with ""quotes"",
and more",5,"c"
-------------------------------------------
2,total,1029,""
`},
		{Style{CSV: true, NoHdTot: true}, `
1,v,1024,"a,b"
12,"with ""quotes"",
and more",5,"c"
`},
	} {
		if got := "\n" + volumes().String(c.style); got != c.want {
			t.Errorf("%+v:%s\nwant:%s", c.style, got, c.want)
		}
	}
	w := Within("LocalVV", ">ID")
	w.Row("v", 1)
	if got := w.String(Style{}) + w.String(Style{CSV: true}); got != "  LocalVV ID\n  v        1\n,LocalVV,ID\n,v,1\n" {
		t.Errorf("%q", got)
	}
}

// FuzzForms: what is printed as CSV is read as it was, and columns have a line a row.
func FuzzForms(f *testing.F) {
	f.Add("a", "b,c")
	f.Add("\"", "\r\n")
	f.Add("\x1b[2J", "\x07\u009b")
	f.Fuzz(func(t *testing.T, a, b string) {
		x := New("A", ">B")
		x.Row(a, b)
		if n := strings.Count(x.String(Style{}), "\n"); n != 2 {
			t.Fatalf("%q %q in %d lines", a, b, n)
		}
		if strings.ContainsFunc(strings.ReplaceAll(x.String(Style{}), "\n", ""), unicode.IsControl) {
			t.Fatalf("%q %q has what a terminal obeys: %q", a, b, x.String(Style{}))
		}
		r, err := csv.NewReader(strings.NewReader("x,y\n" + x.String(Style{CSV: true, NoHdTot: true}))).ReadAll()
		plain := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") } // as the reader does
		if err != nil || len(r) != 2 || r[1][0] != plain(a) || r[1][1] != plain(b) {
			t.Fatalf("%q %q: %q, %v", a, b, r, err)
		}
	})
}

// TestTotals: their number has a field of its own in CSV, whatever the first column is for.
func TestTotals(t *testing.T) {
	x := New("Name", "Role", ">Size")
	x.Row("a", "b", 1)
	x.Total("1 total", nil, 7)
	for _, c := range []struct {
		style Style
		want  string
	}{{Style{CSV: true}, "1,total,7\n"}, {Style{}, "1 total         7\n"}} {
		if got := x.String(c.style); !strings.HasSuffix(got, "\n"+c.want) {
			t.Errorf("%+v: %q, want %q in the end", c.style, got, c.want)
		}
	}
}
