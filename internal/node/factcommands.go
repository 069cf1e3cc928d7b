// SPDX-License-Identifier: Apache-2.0

package node

import (
	"regexp"
	"slices"
	"strings"
)

// CommandFact is a command as help and completion know it.
type CommandFact struct {
	Name, Usage, About string
	// Options are its options, with the dash. Forms are the words that may come first.
	Options, Forms []string
	// After are the words that may follow one of Forms.
	After map[string][]string
}

// optionWord is an option within a usage.
const optionWord = `(?:^|[\[| ])(-[A-Za-z][A-Za-z0-9_]*)`

// Commands returns the commands, by name.
func Commands() (all []CommandFact) {
	option := regexp.MustCompile(optionWord)
	for _, c := range commands() {
		f := CommandFact{Name: c.name, Usage: c.usage, About: c.about}
		for _, m := range option.FindAllStringSubmatch(c.usage, -1) {
			f.Options = append(f.Options, m[1])
		}
		f.takeForms(c.forms)
		if c.lists() {
			f.Options = append(f.Options, "-csvtable", "-nohdtot")
		}
		slices.Sort(f.Options)
		f.Options, f.Forms = slices.Compact(f.Options), slices.Compact(f.Forms)
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b CommandFact) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// takeForms takes the words of forms. Indented ones are values of the one before.
func (f *CommandFact) takeForms(forms []form) {
	f.After = map[string][]string{}
	plain, first := regexp.MustCompile(`^[a-z_|]+$`), ""
	for _, x := range forms {
		words := strings.Fields(x.words)
		switch {
		case strings.HasPrefix(x.words, " "):
			value, _, _ := strings.Cut(words[0], "<")
			f.After[first] = append(f.After[first], value)
			continue
		case len(words) > 1 && plain.MatchString(words[1]):
			f.After[words[0]] = append(f.After[words[0]], strings.Split(words[1], "|")...)
		}
		first = words[0]
		f.Forms = append(f.Forms, first)
	}
}
