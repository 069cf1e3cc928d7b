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
		for _, x := range c.forms {
			if w := strings.Fields(x.words)[0]; !strings.HasPrefix(x.words, " ") {
				f.Forms = append(f.Forms, w)
			}
		}
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
