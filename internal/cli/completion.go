// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
)

// ownCommands are those of perdure itself, with their options.
func ownCommands() []node.CommandFact {
	return []node.CommandFact{
		{Name: "cli", About: "gives commands to an array over HTTPS", Options: []string{"--url", "--user", "--pin", "--password-file", "--key-file", "--csvtable", "--nohdtot"}},
		{Name: "completion", About: "prints a completion script", Forms: []string{"bash", "zsh"}},
		{Name: "demo", About: "shows a pair on this machine", Options: []string{"--bin", "--dir"}},
		{Name: "hosts", About: "prints the settings of hosts", Forms: []string{"recipe"}},
		{Name: "init", About: "makes keys and configuration for a pair", Options: []string{"--dir", "--iscsi-a", "--iscsi-b", "--link-a", "--link-b", "--ssh-a", "--ssh-b", "--rest-a", "--rest-b", "--witness", "--by-command"}},
		{Name: "init-array", About: "makes a key and configuration for one array", Options: []string{"--dir", "--system-id", "--iscsi", "--link", "--ssh", "--rest"}},
	}
}

// Completion returns what a shell needs to complete commands, made of the command table.
func Completion(shell string) (string, error) {
	all := slices.Concat(node.Commands(), ownCommands())
	slices.SortFunc(all, func(a, b node.CommandFact) int { return strings.Compare(a.Name, b.Name) })
	switch shell {
	case "bash":
		return bash(all), nil
	case "zsh":
		return zsh(all), nil
	}
	return "", array.Errorf(array.Invalid, "shell %.40q: want bash or zsh", shell)
}

func namesOf(all []node.CommandFact) string {
	var l []string
	for _, c := range all {
		l = append(l, c.Name)
	}
	return strings.Join(l, " ")
}

// words are what may come within a command. help takes a command.
func words(c node.CommandFact, all []node.CommandFact) string {
	if c.Name == "help" {
		return namesOf(all)
	}
	return strings.Join(append(slices.Clone(c.Forms), c.Options...), " ")
}

// after are the cases of a second word, each as a shell writes it.
func after(c node.CommandFact, write func(two, words string)) {
	for _, first := range slices.Sorted(maps.Keys(c.After)) {
		write(c.Name+" "+first, strings.Join(append(slices.Clone(c.After[first]), c.Options...), " "))
	}
}

// bashOverHTTPS finds the array's command behind "cli" and its options. bash splits their values at
// colons and equals signs.
const bashOverHTTPS = `	if [[ ${COMP_WORDS[i]} == cli && $COMP_CWORD -gt $i && $cur != -* ]]; then
		local j=$((i + 1))
		while [[ $j -lt $COMP_CWORD && ${COMP_WORDS[j]} == --* ]]; do
			case ${COMP_WORDS[j]} in --csvtable|--nohdtot) j=$((j + 1)); continue ;; esac
			j=$((j + 2))
			while [[ $j -le $COMP_CWORD && ( ${COMP_WORDS[j]} == [:=]* || ${COMP_WORDS[j - 1]} == [:=]* ) ]]; do j=$((j + 1)); done
		done
		i=$j
	fi
`

func bash(all []node.CommandFact) string {
	var b strings.Builder
	b.WriteString("# bash completion of perdure: source it, or put it into /etc/bash_completion.d\n_perdure() {\n")
	b.WriteString("\tlocal cur=${COMP_WORDS[COMP_CWORD]} i=1 words=\n")
	b.WriteString("\twhile [[ $i -lt $COMP_CWORD && ${COMP_WORDS[i]} == --array ]]; do i=$((i + 2)); done\n")
	b.WriteString(bashOverHTTPS)
	fmt.Fprintf(&b, "\tif [[ $COMP_CWORD -le $i ]]; then\n\t\twords=%q\n\telse\n\t\tcase ${COMP_WORDS[i]} in\n", namesOf(all)+" --array --help --version")
	for _, c := range all {
		if w := words(c, all); w != "" {
			fmt.Fprintf(&b, "\t\t%s) words=%q ;;\n", c.Name, w)
		}
	}
	b.WriteString("\t\tesac\n\tfi\n\tif [[ $COMP_CWORD -gt $((i + 1)) ]]; then\n\t\tcase \"${COMP_WORDS[i]} ${COMP_WORDS[i + 1]}\" in\n")
	for _, c := range all {
		after(c, func(two, words string) { fmt.Fprintf(&b, "\t\t%q) words=%q ;;\n", two, words) })
	}
	b.WriteString("\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _perdure perdure\n")
	return b.String()
}

func zsh(all []node.CommandFact) string {
	quote := strings.NewReplacer("'", "''", ":", `\:`)
	var b strings.Builder
	b.WriteString("#compdef perdure\n# zsh completion of perdure: put it into a folder of $fpath as _perdure\n_perdure() {\n\tsetopt localoptions rcquotes\n\tlocal -a commands\n\tif (( CURRENT == 2 )); then\n\t\tcommands=(\n")
	for _, c := range all {
		fmt.Fprintf(&b, "\t\t\t'%s:%s'\n", c.Name, quote.Replace(c.About))
	}
	b.WriteString("\t\t)\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tif (( CURRENT > 3 )); then\n\t\tcase \"${words[2]} ${words[3]}\" in\n")
	for _, c := range all {
		after(c, func(two, words string) { fmt.Fprintf(&b, "\t\t%q) compadd -- %s; return ;;\n", two, words) })
	}
	b.WriteString("\t\tesac\n\tfi\n\tcase ${words[2]} in\n")
	for _, c := range all {
		if w := words(c, all); w != "" {
			fmt.Fprintf(&b, "\t%s) compadd -- %s ;;\n", c.Name, w)
		}
	}
	b.WriteString("\tesac\n}\n_perdure \"$@\"\n")
	return b.String()
}
