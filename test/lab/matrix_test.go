// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/matrix"
	"github.com/perdure/perdure/internal/rig"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// atOnce is how many rows are played at the same time: most of a row is waiting.
const atOnce = 2

// TestMatrix plays every row. `-run 'TestMatrix/row/^18b$'` plays one.
func TestMatrix(t *testing.T) {
	bin, err := rig.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := matrix.Rows()
	if err != nil {
		t.Fatal(err)
	}
	plays := &plays{turns: make(chan struct{}, atOnce)}
	lines := make([]struct{ shown, kept string }, len(rows))
	var passed, failed atomic.Int32
	t.Run("row", func(t *testing.T) {
		for n, r := range rows {
			t.Run(r.ID, func(t *testing.T) {
				t.Parallel()
				o, err := plays.row(t, bin, r)
				lines[n].shown, lines[n].kept = line(r, o, err), tableLine(r, o, err)
				if err != nil {
					failed.Add(1)
					t.Errorf("row %s, %s: %v", r.ID, r.What, err)
					return
				}
				passed.Add(1)
			})
		}
	})
	fmt.Printf("%-4s  %-76s  %-34s  %-11s  %s\n", "row", "what is lost", "the incumbent", "ours", "what the host saw")
	var table strings.Builder
	for _, l := range lines {
		fmt.Print(l.shown)
		table.WriteString(l.kept)
	}
	fmt.Printf("failure matrix: %d passed, %d failed\n", passed.Load(), failed.Load())
	if path := os.Getenv("PERDURE_TABLE"); path != "" {
		if err := putTable(path, table.String()); err != nil {
			t.Error(err)
		}
	}
}

// plays deals out the machine to the rows.
type plays struct {
	turns chan struct{} // holds one for each row being played
	whole sync.Mutex    // taken by who wants all of them
}

// take waits for n turns, and returns what gives them back.
func (p *plays) take(n int) (done func()) {
	p.whole.Lock()
	defer p.whole.Unlock()
	for range n {
		p.turns <- struct{}{}
	}
	return func() {
		for range n {
			<-p.turns
		}
	}
}

// alone is how often a row that was late is played with the machine to itself.
const alone = 2

// row plays a row. One of which nothing but the pause was wrong is played again alone,
// and then that counts; once more, if the machine itself stood still meanwhile.
func (p *plays) row(t *testing.T, bin string, r matrix.Row) (outcome, error) {
	turns := 1
	for n := 0; ; n++ {
		give := p.take(turns)
		s := watchStill()
		o, dir, err := playOnce(t, bin, r)
		long := s.end()
		give()
		if errors.Is(err, lab.ErrUnsupported) && os.Getenv("PERDURE_LAB") != "required" {
			t.Skip(err)
		}
		if onlyLate(err) && (n == 0 || n < alone && long > tooStill) {
			t.Logf("row %s is played again alone: %v, the machine stood still for %v; logs are in %s", r.ID, err, long, dir)
			turns = atOnce
			continue
		}
		if err != nil {
			return o, fmt.Errorf("logs are in %s: %w", dir, err)
		}
		_ = os.RemoveAll(dir)
		return o, nil
	}
}

// playOnce plays a row in a directory of its own.
func playOnce(t *testing.T, bin string, r matrix.Row) (o outcome, dir string, err error) {
	dir, err = os.MkdirTemp("", "pm-") // short: the arrays' sockets are in it
	if err != nil {
		return o, dir, err
	}
	p, err := newPlayer(t.Context(), bin, dir, t.Logf)
	if err == nil {
		o, err = p.play(t.Context(), r)
		p.close()
		if err == nil || onlyLate(err) {
			err = errors.Join(err, p.checkDisks(t.Context()))
		}
	}
	return o, dir, err
}
