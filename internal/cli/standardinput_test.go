// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestATextThatFollows: until the end, or until an empty line; with a limit.
func TestATextThatFollows(t *testing.T) {
	lines := func(text string) func() (string, error) {
		all := strings.Split(text, "\n")
		return UntilEmpty(func() (string, error) {
			if len(all) == 0 {
				return "", io.EOF
			}
			l := all[0]
			all = all[1:]
			return l, nil
		})
	}
	for _, c := range []struct {
		words string
		read  func() (string, error)
		want  string // "error: " and a part of it, if it fails
	}{
		{"importcert -f wsapi stdin", UntilEnd(strings.NewReader("one\ntwo\n")), "importcert -f wsapi one\ntwo\n"},
		{"importcert -f wsapi stdin", lines("one\r\ntwo\n\nthree"), "importcert -f wsapi one\ntwo\n"},
		{"importcert -f wsapi stdin", lines("one"), "error: EOF"},
		{"importcert -f wsapi stdin", UntilEnd(strings.NewReader("\n")), "error: no text came"},
		{"importcert -f wsapi stdin", UntilEnd(strings.NewReader(strings.Repeat("x", MaxLine+1))), "error: more than 65536 bytes"},
		{"importcert -f wsapi stdin", lines(strings.Repeat(strings.Repeat("x", 100)+"\n", 1000)), "error: more than 65536 bytes"},
		{"importcert -f wsapi stdin", func() (string, error) { return "", errors.New("gone") }, "error: importcert: read the text: gone"},
		{"importcert -f wsapi text", nil, "importcert -f wsapi text"},
		{"showvv stdin", nil, "showvv stdin"},
	} {
		words, err := WithText(strings.Fields(c.words), c.read)
		got := strings.Join(words, " ")
		if want, fails := strings.CutPrefix(c.want, "error: "); fails {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", c.words, err, want)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.words, got, err, c.want)
		}
	}
}
