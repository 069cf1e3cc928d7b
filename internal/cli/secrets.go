// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
)

// Secret is what a person is asked for who did not put it into a command's words.
type Secret struct {
	Option string
	Prompt string
	// Twice: it is asked for again, since nobody sees what is typed.
	Twice bool
}

// Secrets returns what a command lacks that is better asked for.
func Secrets(words []string) []Secret {
	has := func(options ...string) bool {
		return slices.ContainsFunc(words[1:], func(w string) bool {
			name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
			return strings.HasPrefix(w, "-") && slices.Contains(options, name)
		})
	}
	switch {
	case len(words) == 0:
	case words[0] == "createuser" && !has("c", "nopassword"):
		return []Secret{{"c", "Password: ", true}}
	case words[0] == "setpassword" && !has("c"):
		if has("u", "old") {
			return []Secret{{"c", "New password: ", true}}
		}
		return []Secret{{"old", "Old password: ", false}, {"c", "New password: ", true}}
	}
	return nil
}

// AskSecrets returns a command with what it lacks. ask shows a prompt and returns what was
// typed, which nobody saw.
func AskSecrets(words []string, ask func(prompt string) (string, error)) ([]string, error) {
	if len(words) == 0 {
		return words, nil
	}
	for _, s := range Secrets(words) {
		value, err := ask(s.Prompt)
		if err != nil {
			return nil, err
		}
		if s.Twice {
			again, err := ask("Again: ")
			if err != nil {
				return nil, err
			}
			if again != value {
				return nil, array.Errorf(array.Invalid, "%s: what was typed first and again differ", words[0])
			}
		}
		words = slices.Insert(slices.Clone(words), 1, "-"+s.Option, value)
	}
	return words, nil
}
