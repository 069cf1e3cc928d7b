// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/progress"
)

// Progress shows how far a command is: on a terminal as a bar that is drawn again, else
// as plain lines.
type Progress struct {
	out   io.Writer
	width int
	drawn bool
}

// NewProgress shows on out, which is a terminal of that width, or none if it is 0.
func NewProgress(out io.Writer, width int) *Progress { return &Progress{out: out, width: width} }

// Width returns the width of a terminal, 0 for a file that is none.
func Width(f *os.File) int {
	w, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil:
		return 0
	case w.Col == 0:
		return 80 // one that doesn't know
	}
	return int(w.Col)
}

// barWidth is how long a whole bar is.
const barWidth = 20

// clear takes the bar away.
const clear = "\r\x1b[K"

// Tell shows one step.
func (p *Progress) Tell(s progress.Step) {
	if p.width == 0 {
		fmt.Fprintln(p.out, s)
		return
	}
	full := min(barWidth, max(0, int(s.Percent*barWidth/100)))
	line := "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] " + s.String()
	for utf8.RuneCountInString(line) >= p.width { // a full line would begin another
		_, last := utf8.DecodeLastRuneInString(line)
		line = line[:len(line)-last]
	}
	p.drawn = true
	fmt.Fprint(p.out, clear+line)
}

// End takes the bar away before the answer.
func (p *Progress) End() {
	if p.drawn {
		fmt.Fprint(p.out, clear)
		p.drawn = false
	}
}
