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

// playRow plays a row and prints its line of the table.
func playRow(t *testing.T, bin string, r matrix.Row, table *strings.Builder) bool {
	dir, err := os.MkdirTemp("", "pm-") // short: the arrays' sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlayer(t.Context(), bin, dir, t.Logf)
	if errors.Is(err, lab.ErrUnsupported) && os.Getenv("PERDURE_LAB") != "required" {
		t.Skip(err)
	}
	var o outcome
	if err == nil {
		o, err = p.play(t.Context(), r)
		p.close()
		if err == nil {
			err = p.checkDisks(t.Context())
		}
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
