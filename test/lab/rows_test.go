// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A row is one situation of the matrix.
type row struct {
	id, what, incumbent string
	do, then            []string
	serves, back        string
	pause               time.Duration // 0: nobody serves
}

// readRows reads matrix.txt.
func readRows(t *testing.T, path string) []row {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []row
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		value = strings.TrimSpace(value)
		if key == "row" {
			rows = append(rows, row{id: value})
		}
		if len(rows) == 0 {
			t.Fatalf("%s:%d: %q before the first row", path, n, key)
		}
		if err := rows[len(rows)-1].set(key, value); err != nil {
			t.Fatalf("%s:%d: %v", path, n, err)
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.id] || r.what == "" || len(r.do) == 0 || r.serves == "" || r.back == "" || r.incumbent == "" {
			t.Fatalf("%s: row %s is there twice or lacks something", path, r.id)
		}
		seen[r.id] = true
		if (r.serves == "none") != (r.pause == 0) {
			t.Fatalf("%s: row %s: a pause has a limit where somebody serves, and only there", path, r.id)
		}
	}
	return rows
}

func (r *row) set(key, value string) error {
	switch key {
	case "row":
	case "what":
		r.what = value
	case "incumbent":
		r.incumbent = value
	case "do":
		r.do = steps(value)
	case "then":
		r.then = steps(value)
	case "serves":
		r.serves = value
	case "back":
		r.back = value
	case "pause":
		if value == "-" {
			return nil
		}
		ms, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("pause %q: want milliseconds or -", value)
		}
		r.pause = time.Duration(ms) * time.Millisecond
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

func steps(s string) []string {
	var out []string
	for _, step := range strings.Split(s, ";") {
		out = append(out, strings.TrimSpace(step))
	}
	return out
}
