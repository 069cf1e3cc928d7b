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
	fmt.Printf("%-4s  %-76s  %-34s  %-11s  %s\n", "row", "what is lost", "the incumbent", "ours", "what the host saw")
	for _, r := range rows {
		t.Run(r.ID, func(t *testing.T) {
			if playRow(t, bin, r) {
				passed++
			} else {
				failed++
			}
		})
	}
	fmt.Printf("failure matrix: %d passed, %d failed\n", passed, failed)
}

// playRow plays a row and prints its line of the table.
func playRow(t *testing.T, bin string, r matrix.Row) bool {
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
	}
	fmt.Print(line(r, o, err))
	if err != nil {
		t.Errorf("row %s, %s; logs are in %s: %v", r.ID, r.What, dir, err)
		return false
	}
	_ = os.RemoveAll(dir)
	return true
}

func line(r matrix.Row, o outcome, err error) string {
	saw := fmt.Sprintf("pause %d ms", o.pause.Milliseconds())
	if o.serves == "none" {
		saw = "stood still until made good"
	}
	ours := o.serves + " serves"
	switch o.serves {
	case "none":
		ours = "outage"
	case "":
		ours = "-"
	}
	verdict := "ok"
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		verdict = "FAILED: " + first
	}
	return fmt.Sprintf("%-4s  %-76.76s  %-34.34s  %-11s  %-28s  %6d writes: %s\n", r.ID, r.What, r.Incumbent, ours, saw, o.acked, verdict)
}
