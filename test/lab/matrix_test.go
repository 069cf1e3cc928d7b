// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/matrix"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// TestMatrix plays every row. `-run 'TestMatrix/18b'` plays one.
func TestMatrix(t *testing.T) {
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := matrix.Rows()
	if err != nil {
		t.Fatal(err)
	}
	passed, failed := 0, 0
	var table strings.Builder
	fmt.Printf("%-4s  %-76s  %-34s  %-11s  %s\n", "row", "what is lost", "the incumbent", "ours", "what the host saw")
	for _, r := range rows {
		t.Run(r.ID, func(t *testing.T) {
			if playRow(t, bin, r, &table) {
				passed++
			} else {
				failed++
			}
		})
	}
	fmt.Printf("failure matrix: %d passed, %d failed\n", passed, failed)
	if path := os.Getenv("PERDURE_TABLE"); path != "" {
		if err := putTable(path, table.String()); err != nil {
			t.Error(err)
		}
	}
}

// tries is how often a row is played whose machine stood still.
const tries = 3

// playRow plays a row and prints its line of the table.
func playRow(t *testing.T, bin string, r matrix.Row, table *strings.Builder) bool {
	for n := 1; ; n++ {
		s := watchStill()
		o, dir, err := playOnce(t, bin, r)
		long := s.end()
		if onlyLate(err) && long > tooStill && n < tries {
			t.Logf("row %s is played again, for the machine stood still for %v: %v; logs are in %s", r.ID, long, err, dir)
			continue
		}
		fmt.Print(line(r, o, err))
		table.WriteString(tableLine(r, o, err))
		if err != nil {
			t.Errorf("row %s, %s; logs are in %s: %v", r.ID, r.What, dir, err)
			return false
		}
		_ = os.RemoveAll(dir)
		return true
	}
}

// playOnce plays a row in a directory of its own.
func playOnce(t *testing.T, bin string, r matrix.Row) (o outcome, dir string, err error) {
	dir, err = os.MkdirTemp("", "pm-") // short: the arrays' sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlayer(t.Context(), bin, dir, t.Logf)
	if errors.Is(err, lab.ErrUnsupported) && os.Getenv("PERDURE_LAB") != "required" {
		t.Skip(err)
	}
	if err == nil {
		o, err = p.play(t.Context(), r)
		p.close()
		if err == nil || onlyLate(err) {
			err = errors.Join(err, p.checkDisks(t.Context()))
		}
	}
	return o, dir, err
}
