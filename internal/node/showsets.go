// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

func setCommands() []command {
	const look = people.Look
	return []command{
		{name: "showhostset", right: look, usage: "showhostset [-d] [-host] [-domain <domain>[,...]] [<set or host>...]", about: "lists the sets of hosts; -host: those that such hosts are in, -d: with their comments and domains", run: showHostSet},
		{name: "showvvset", right: look, usage: "showvvset [-d] [-vv] [-domain <domain>[,...]] [<set or vv>...]", about: "lists the sets of volumes; -vv: those that such volumes are in, -d: with their comments and domains", run: showVVSet},
	}
}

func showHostSet(n *Node, _ context.Context, a *args) error {
	return n.showSets(a, "host", (*View).HostSets)
}

func showVVSet(n *Node, _ context.Context, a *args) error {
	return n.showSets(a, "vv", (*View).VolumeSets)
}

// showSets lists sets, a row for each member, as the incumbent does.
func (n *Node) showSets(a *args, member string, facts func(*View) ([]SetFact, error)) error {
	a.domainFlag()
	detail, by := a.flags.Bool("d", false, ""), a.flags.Bool(member, false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	if *by && len(a.rest) == 0 {
		return array.Errorf(array.Invalid, "%s -%s: want names; usage: %s", a.cmd.name, member, a.cmd.usage)
	}
	all, err := facts(a.view())
	if err != nil {
		return err
	}
	cols := []string{">Id", "Name", "Members"}
	if *detail {
		cols = append(cols, "Comment", "Domain")
	}
	t, found, sets := table.New(cols...), map[string]bool{}, 0
	members := 0
	for _, s := range all {
		if *by && !slices.ContainsFunc(s.Members, func(m string) bool { return a.names(m, found) }) || !*by && len(a.rest) > 0 && !a.names(s.Name, found) {
			continue
		}
		sets++
		members += len(s.Members)
		showSet(t, s)
	}
	if !*by {
		if err := a.unnamed(map[string]string{"host": "host set", "vv": "volume set"}[member], found); err != nil {
			return err
		}
	}
	if *by && sets == 0 { // clients take any row for a set
		a.printf("No %s set listed\n", member)
		return nil
	}
	t.Total(fmt.Sprint(sets), "total", members)
	a.table(t)
	return nil
}

func showSet(t *table.Table, s SetFact) {
	t.Row(array.NumberOfName(s.Name), s.Name, firstOr(s.Members, "-"), orDashText(s.Comment), orDashText(s.Domain))
	for i := 1; i < len(s.Members); i++ {
		t.Row("", "", s.Members[i])
	}
}

func firstOr(l []string, other string) string {
	if len(l) == 0 {
		return other
	}
	return l[0]
}

func orDashText(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
