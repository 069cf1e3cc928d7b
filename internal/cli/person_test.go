// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestAPersonIsAskedOnce, and what is not confirmed is not done.
func TestAPersonIsAskedOnce(t *testing.T) {
	for _, c := range []struct{ words, answer, gives string }{
		{"removevv v", "y\n", "removevv v|removevv -f v"},
		{"removevv v", "Yes", "removevv v|removevv -f v"},
		{"removevv v", "n", "removevv v"},
		{"removevv v", "", "removevv v"},
		{"removevv -f v", "n", "removevv -f v"},
		{"setrcopygroup override g", "y", "setrcopygroup override g|setrcopygroup override -f g"},
	} {
		var given []string
		asked := ""
		p := Person{Line: func(prompt string) (string, error) { asked = prompt; return c.answer, nil }}
		text, err := p.Do(strings.Fields(c.words), func(words []string) (string, error) {
			given = append(given, strings.Join(words, " "))
			if !strings.Contains(given[len(given)-1], "-f") {
				return "", array.Errorf(array.Invalid, "it goes for good: say -f").Because(array.Unconfirmed)
			}
			return "done", nil
		})
		if got := strings.Join(given, "|"); got != c.gives {
			t.Errorf("%s, %q: gave %s, want %s", c.words, c.answer, got, c.gives)
		}
		if done := strings.Contains(c.gives, "-f"); done != (err == nil && text == "done") {
			t.Errorf("%s, %q: %q, %v", c.words, c.answer, text, err)
		}
		if asked != "" && !strings.HasPrefix(asked, "it goes for good.\n") {
			t.Errorf("asked %q", asked)
		}
	}
	other := errors.New("no")
	if _, err := (Person{}).Do([]string{"removevv", "v"}, func([]string) (string, error) { return "", other }); !errors.Is(err, other) {
		t.Error(err)
	}
}
