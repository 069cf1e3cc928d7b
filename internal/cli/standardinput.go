// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
)

// fromInput is the word that stands for a text which follows.
const fromInput = "stdin"

// WithText returns a command with the text of its last word, a certificate, if that says that it
// follows. read returns the text.
func WithText(words []string, read func() (string, error)) ([]string, error) {
	if len(words) < 2 || words[0] != "importcert" || words[len(words)-1] != fromInput {
		return words, nil
	}
	text, err := read()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: read the text: %w", words[0], err)
	case len(text) > MaxLine:
		return nil, array.Errorf(array.Invalid, "%s: the text has more than %d bytes", words[0], MaxLine)
	case strings.TrimSpace(text) == "":
		return nil, array.Errorf(array.Invalid, "%s: no text came: want that of the files, from -----BEGIN CERTIFICATE----- on", words[0])
	}
	words = slices.Clone(words)
	words[len(words)-1] = text
	return words, nil
}

// UntilEnd reads a text that ends with its reader; of one that is too long, more than WithText
// takes.
func UntilEnd(r io.Reader) func() (string, error) {
	return func() (string, error) {
		b, err := io.ReadAll(io.LimitReader(r, MaxLine+1))
		return string(b), err
	}
}

// UntilEmpty reads a text that ends with an empty line, from what returns lines.
func UntilEmpty(line func() (string, error)) func() (string, error) {
	return func() (string, error) {
		var b strings.Builder
		for b.Len() <= MaxLine {
			l, err := line()
			if err != nil {
				return "", err
			}
			if strings.TrimSpace(l) == "" {
				break
			}
			b.WriteString(strings.TrimSpace(l) + "\n")
		}
		return b.String(), nil
	}
}
