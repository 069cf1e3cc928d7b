// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"bufio"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed rows.txt
var text string

// Row is one situation of the matrix.
type Row struct {
	ID        string
	Line      int    // where it stands in rows.txt
	What      string // the situation, in words
	Incumbent string // what the product that this one succeeds does there
	// Do is what is done, Then what makes good, in order.
	Do, Then []string
	// Serves is "A", "B" or "none": who must serve after Do. Back is "A", "B" or
	// "either": who after Then.
	Serves, Back string
	// Pause is the longest a host's command may take until then; 0 where nobody serves.
	Pause time.Duration
	// Paths is what the host's sessions may meet meanwhile, by which a host with a kernel
	// pauses longer.
	Paths Paths
}

// Paths is what happens to the sessions that a host works with.
type Paths string

// Sessions stay, end, or are not answered any more.
const (
	Keep   Paths = "keep"
	Break  Paths = "break"
	Silent Paths = "silent"
)

// BackTo reports whether array may serve after Then.
func (r Row) BackTo(array string) bool { return r.Back == array || r.Back == "either" }

// Rows returns the rows in their order.
func Rows() ([]Row, error) { return parse(text) }

func parse(text string) ([]Row, error) {
	var rows []Row
	in := bufio.NewScanner(strings.NewReader(text))
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		value = strings.TrimSpace(value)
		if key == "row" {
			rows = append(rows, Row{ID: value, Line: n, Paths: Keep})
		}
		if len(rows) == 0 {
			return nil, fmt.Errorf("rows.txt:%d: %q before the first row", n, key)
		}
		if err := rows[len(rows)-1].set(key, value); err != nil {
			return nil, fmt.Errorf("rows.txt:%d: %w", n, err)
		}
	}
	return rows, check(rows)
}

func check(rows []Row) error {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] || r.What == "" || len(r.Do) == 0 || r.Serves == "" || r.Back == "" || r.Incumbent == "" {
			return fmt.Errorf("rows.txt: row %s is there twice or lacks something", r.ID)
		}
		seen[r.ID] = true
		if (r.Serves == "none") != (r.Pause == 0) {
			return fmt.Errorf("rows.txt: row %s: a pause has a limit where somebody serves, and only there", r.ID)
		}
	}
	return nil
}

func (r *Row) set(key, value string) error {
	switch key {
	case "row":
	case "what":
		r.What = value
	case "incumbent":
		r.Incumbent = value
	case "do":
		r.Do = steps(value)
	case "then":
		r.Then = steps(value)
	case "serves":
		r.Serves = value
	case "back":
		r.Back = value
	case "pause":
		if value == "-" {
			return nil
		}
		ms, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("pause %q: want milliseconds or -", value)
		}
		r.Pause = time.Duration(ms) * time.Millisecond
	case "paths":
		r.Paths = Paths(value)
		if r.Paths != Keep && r.Paths != Break && r.Paths != Silent {
			return fmt.Errorf("paths %q: want %s, %s or %s", value, Keep, Break, Silent)
		}
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

func steps(s string) []string {
	var out []string
	for step := range strings.SplitSeq(s, ";") {
		out = append(out, strings.TrimSpace(step))
	}
	return out
}
