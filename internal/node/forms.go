// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"strings"
)

// form is one of the kinds of a command that has several, or a value that it takes.
type form struct{ words, about string }

// serveVerbs are the first words of setrcopygroup's forms.
func serveVerbs() (verbs []string) {
	for _, f := range serveForms() {
		if verb, _, _ := strings.Cut(f.words, " "); verb != "" && !slices.Contains(verbs, verb) {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

// serveForms are those of setrcopygroup.
func serveForms() []form {
	return []form{
		{"pol [-period <n>[s|m|h|d]] <policy>[,<policy>...]", "sets policies, and with -period how often a periodic group is sent; no_ before one takes it off:"},
		{"  auto_failover", "with path_management: an array that does not own the group may take over by itself"},
		{"  path_management", "with auto_failover: hosts' paths follow who serves"},
		{"  auto_recover", "the other array returns by itself after the owner went on alone"},
		{"  auto_synchronize", "the other array returns by itself after a takeover"},
		{"  active_active", "both arrays serve the group; turns the four above on"},
		{"  follow_writes", "with active_active: the group is owned by the array through which its writes come"},
		{"  permanent_loss", "with active_active: an array that has lost the group tells hosts that the volumes are gone there"},
		{"  prefer=<array>", "this array goes on where either could; no_prefer: the one that serves"},
		{"period <n>[s|m|h|d] <target>", "how often a periodic group is sent, 15 seconds at least"},
		{"mode sync|periodic <target>", "lets every write wait for the other array, or sends what was written now and then"},
		{"mode -f periodic <target>", "also if a host that sees the group is not logged in at the array that will serve it alone"},
		{"switchover", "the other array serves from now on; hosts do not notice"},
		{"reverse", "as switchover"},
		{"restore", "as switchover, if that brings the group back to its home array"},
		{"failover", "the array that is asked takes over, with the votes that it needs"},
		{"failover -f", "without votes: what only the other copy holds is lost"},
		{"recover", "lets the other array follow and return, as startrcopygroup"},
		{"override -f", "as failover -f, although the other array is known to have gone on"},
		{"discard -f", "the array that is asked gives its copy up and takes the other's"},
	}
}
