// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
)

// Person is one who sits at a terminal and can be asked.
type Person struct {
	// Secret shows a prompt and returns what was typed, which nobody saw; Line returns what
	// everybody saw.
	Secret, Line func(prompt string) (string, error)
}

// Text reads lines that a person types or pastes, until an empty one.
func (p Person) Text() func() (string, error) {
	if p.Line == nil {
		return func() (string, error) {
			return "", array.Errorf(array.Invalid, "nobody is here who could type it: give the text as a word, in quotation marks")
		}
	}
	first := "Paste the text, and then an empty line:\n"
	return UntilEmpty(func() (string, error) {
		prompt := first
		first = ""
		return p.Line(prompt)
	})
}

// Do gives a command, with what a person has to add: passwords, and whether they are sure.
func (p Person) Do(words []string, give func(words []string) (string, error)) (string, error) {
	words, err := AskSecrets(words, p.Secret)
	if err != nil {
		return "", err
	}
	text, err := give(words)
	if p.Line == nil || array.ReasonOf(err) != array.Unconfirmed {
		return text, err
	}
	answer, e := p.Line(question(err))
	if e != nil || !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
		return text, array.Errorf(array.Aborted, "%s: nothing was done", words[0])
	}
	return give(confirmed(words))
}

// question makes one of the error that asks for -f.
func question(err error) string {
	return strings.TrimSuffix(err.Error(), ": say -f") + ".\nAre you sure? select q=quit y=yes n=no: "
}

// confirmed is a command of which one is sure. The options of setrcopygroup come after its
// form.
func confirmed(words []string) []string {
	at := 1
	if words[0] == "setrcopygroup" {
		at = 2
	}
	return slices.Insert(slices.Clone(words), min(at, len(words)), "-f")
}
