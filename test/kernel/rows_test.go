// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/matrix"
	"github.com/perdure/perdure/test/kernel/guest"
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
				t.Run(k.name, func(t *testing.T) { playRows(t, image(t), k, s, rows, tab) })
			}
		})
	}
	tab.tell(t)
}

// stockRows are what a host with a stock kernel plays: nothing lost; links cut; the owner cut
// off from both others, dead, lost with its site, shut down, standing still; both arrays
// without power.
var stockRows = []string{"1", "2", "7", "10", "14", "22", "24", "30"}

// TestStock plays a few rows with the reference host: Debian's own kernel, of which every
// instruction is emulated. It is slow, so limits are a little wider.
func TestStock(t *testing.T) {
	all, err := matrix.Rows()
	if err != nil {
		t.Fatal(err)
	}
	s, err := recommended()
	if err != nil {
		t.Fatal(err)
	}
	s.name, s.slack = stockSettings, emulated
	rows := slices.DeleteFunc(slices.Clone(all), func(r matrix.Row) bool { return !slices.Contains(stockRows, r.ID) })
	tab := newTable(all)
	playRows(t, stockImage(t), kinds()[0], s, rows, tab)
	tab.tell(t)
}

// tell prints the table, and puts it into the document if one is named.
func (t *table) tell(tb testing.TB) {
	fmt.Print(t)
	if path := os.Getenv("PERDURE_TABLE"); path != "" {
		if err := t.document(path); err != nil {
			tb.Error(err)
		}
	}
}

// playRows plays all rows in one world, or in a new one after a row that failed.
func playRows(t *testing.T, img guest.Image, k kind, s settings, rows []matrix.Row, tab *table) {
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
				if w, err = newWorld(t.Context(), binaries(t), img.New, k, s, nil); err != nil {
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
				t.Errorf("row %s, %s: %v\nlogs are in %s", r.ID, r.What, late, w.dir)
				w.keep()
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
			err = errors.Join(err, fmt.Errorf("host %s paused %v until %v, want at most %v", h.name, h.pause, h.ended.UTC().Format(time.StampMilli), limit))
		}
	}
	return err
}
