// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perdure/perdure/internal/array"
)

// How words that can't be read are told of: with the word, and what would be right.

// wrongValue is how package flag tells of an option's value.
const wrongValue = `(?s)^invalid (?:boolean )?value (".*") for (?:flag )?(-[^:]+): (.*)$`

// optionError is an error of package flag in words for people.
func optionError(err error) string {
	if errors.Is(err, flag.ErrHelp) {
		return "'help <command>' explains a command"
	}
	text := err.Error()
	if o, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		return "there is no option " + o
	}
	if o, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return o + " needs a value"
	}
	if m := regexp.MustCompile(wrongValue).FindStringSubmatch(text); m != nil {
		want := m[3]
		switch {
		case strings.HasPrefix(text, "invalid boolean"):
			want = "want true or false"
		case want == "parse error":
			want = "want a number"
		case want == "value out of range":
			want = "want a smaller number"
		}
		return fmt.Sprintf("%s %s: %s", m[2], m[1], want)
	}
	return text
}

// miscounted says how many words there should be, and if it is an option that stands too
// late.
func (a *args) miscounted(low, high int) error {
	want := fmt.Sprint(low)
	switch {
	case high < 0:
		want = fmt.Sprintf("at least %d", low)
	case high > low:
		want = fmt.Sprintf("%d to %d", low, high)
	}
	late := ""
	if i := slices.IndexFunc(a.rest, func(w string) bool { return len(w) > 1 && w[0] == '-' }); i > 0 {
		late = fmt.Sprintf(" (%s stands after %s: options come first)", a.rest[i], a.rest[i-1])
	}
	return array.Errorf(array.Invalid, "%s: wrong number of words: %d, want %s%s; usage: %s", a.cmd.name, len(a.rest), want, late, a.cmd.usage)
}

// plain refuses what would be printed as something else than it is: control characters, which
// terminals obey and which end lines of listings, and bytes that are no text. Secrets are
// checked where they are set, for they aren't shown.
func (a *args) plain() error {
	if a.cmd.lines {
		return nil
	}
	var err error
	check := func(of, word string) {
		i := strings.IndexFunc(word, notText)
		if i < 0 || err != nil {
			return
		}
		r, _ := utf8.DecodeRuneInString(word[i:])
		err = array.Errorf(array.Invalid, "%s: %s%.80q has %q, which is no text: want printable characters only", a.cmd.name, of, word, r)
	}
	a.flags.Visit(func(f *flag.Flag) {
		if !slices.Contains(a.cmd.secret, f.Name) {
			check("-"+f.Name+" ", f.Value.String())
		}
	})
	for _, w := range a.rest {
		check("", w)
	}
	return err
}

func notText(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }

// noCPG says which CPGs there are.
func (n *Node) noCPG(name string) error {
	var all []string
	for _, c := range n.cfg.CPGs {
		if len(all) == 8 {
			all = append(all, "...")
			break
		}
		all = append(all, c.Name)
	}
	return array.Errorf(array.NotFound, "CPG %.40s does not exist on array %s, which has %s", name, n.cfg.Name, strings.Join(all, ", ")).Because(array.NoCPG)
}

// in says what an error that names a value only is about.
func in(what, name string, err error) error { return fmt.Errorf("%s %s: %w", what, name, err) }

// counted is a number of things for people.
func counted(count int, one string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", count, one)
}

// targetName is the target there is.
func (n *Node) targetName() string {
	return cmp.Or(n.to().Name, "a target in the configuration, which has none")
}
