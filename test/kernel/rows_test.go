// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/matrix"
)

var only = flag.String("kernel.settings", "", "play with these settings of hosts only: recommended or incumbent's")

// TestRows plays every row of the failure matrix, for groups that one array serves and for
// groups that both serve, with the hosts set up as recommended and as for the incumbent.
// `-run 'TestRows/recommended/classic/^10$'` plays one.
func TestRows(t *testing.T) {
	rows, err := matrix.Rows()
	if err != nil {
		t.Fatal(err)
	}
	good, err := recommended()
	if err != nil {
		t.Fatal(err)
	}
	tab := newTable(rows)
	for _, s := range []settings{good, incumbents()} {
		if *only != "" && *only != s.name {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			for _, k := range kinds() {
				t.Run(k.name, func(t *testing.T) { playRows(t, k, s, rows, tab) })
			}
		})
	}
	fmt.Print(tab)
}

// playRows plays all rows in one world, or in a new one after a row that failed.
func playRows(t *testing.T, k kind, s settings, rows []matrix.Row, tab *table) {
	var w *world
	defer func() {
		if w != nil {
			w.close()
			w.remove()
		}
	}()
	for _, r := range rows {
		t.Run(r.ID, func(t *testing.T) {
			if w == nil {
				var err error
				if w, err = newWorld(t.Context(), binaries(t), image(t).New, k, s, nil); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			o, err := w.play(t.Context(), r)
			if err == nil {
				err = w.reset(t.Context())
			}
			late := o.late(r, s)
			tab.add(r, k, s, o, err, late)
			t.Logf("row %s took %v: %v", r.ID, time.Since(began).Round(time.Second), o)
			if late != nil {
				t.Errorf("row %s, %s: %v", r.ID, r.What, late)
			}
			if err == nil {
				return
			}
			t.Errorf("row %s, %s: %v\nlogs are in %s", r.ID, r.What, err, w.dir)
			w.keep()
			w.close()
			w = nil
		})
	}
}

// late says which hosts waited longer than they may have to.
func (o outcome) late(r matrix.Row, s settings) (err error) {
	for _, h := range o.hosts {
		if limit := s.limit(r); r.Serves != "none" && !h.lost && h.pause > limit {
			err = errors.Join(err, fmt.Errorf("host %s paused %v, want at most %v", h.name, h.pause, limit))
		}
	}
	return err
}

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
	return out
}

func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "The longest pause that a Linux host saw; first with the recommended settings, then with the incumbent's.\n%-5s %-60s", "row", "what is lost")
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
