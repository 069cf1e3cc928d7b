// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/table"
)

// MaxLine bounds a line of commands, in bytes.
const MaxLine = 64 << 10

// Shell is the state of one who gives commands one after the other.
type Shell struct {
	Style table.Style
	// Run carries a command out that the shell does not know.
	Run func(ctx context.Context, words []string, style table.Style) (string, error)
}

// Do carries a command out: one of the shell itself, or of the array. exit says that it
// was the last.
func (s *Shell) Do(ctx context.Context, words []string) (text string, exit bool, err error) {
	switch words[0] {
	case "exit", "quit":
		return "", true, nil
	case "setclienv":
		return "", false, s.set(words[1:])
	case "showclienv":
		t := table.New("Variable", "Value")
		for _, v := range s.variables() {
			t.Row(v.name, map[bool]int{true: 1}[*v.on])
		}
		return t.String(s.Style), false, nil
	}
	text, err = s.Run(ctx, words, s.Style)
	return text, false, err
}

type variable struct {
	name string
	on   *bool
}

func (s *Shell) variables() []variable {
	return []variable{{"csvtable", &s.Style.CSV}, {"nohdtot", &s.Style.NoHdTot}}
}

func (s *Shell) set(words []string) error {
	if len(words) == 2 && (words[1] == "0" || words[1] == "1") {
		for _, v := range s.variables() {
			if v.name == words[0] {
				*v.on = words[1] == "1"
				return nil
			}
		}
	}
	return array.Errorf(array.Invalid, "setclienv: want csvtable or nohdtot, and 0 or 1")
}

// Split returns the commands of a line as words. Commands are parted by semicolons, words
// by spaces; quotation marks of either kind keep a word together, and a backslash takes the
// next character as it is.
func Split(line string) (commands [][]string, err error) {
	if len(line) > MaxLine {
		return nil, array.Errorf(array.Invalid, "a line of %d bytes: want at most %d", len(line), MaxLine)
	}
	var words []string
	var word strings.Builder
	in := false // a word
	var quote rune
	escaped := false
	end := func() {
		if in {
			words = append(words, word.String())
			word.Reset()
			in = false
		}
	}
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			in, escaped = true, true
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '"' || r == '\'':
			in, quote = true, r
		case r == ';':
			end()
			if len(words) > 0 {
				commands = append(commands, words)
			}
			words = nil
		case r == ' ' || r == '\t' || r == '\r' || r == '\n':
			end()
		default:
			in = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, array.Errorf(array.Invalid, "the line ends within quotation marks, or after a backslash")
	}
	end()
	if len(words) > 0 {
		commands = append(commands, words)
	}
	return commands, nil
}
