// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/schedule"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/table"
)

// maxSchedules bounds the schedules of an array.
const maxSchedules = 1024

func scheduleCommands() []command {
	return []command{
		{name: "createsched", right: people.Make, usage: "createsched <command> <schedule> <name>", about: "lets createsv or creategroupsv be carried out at times as cron has them: \"minute hour dom month dow\", @hourly, @daily, @weekly, @monthly or @yearly", of: groupToSchedule, run: createSched},
		{name: "setsched", right: people.Change, usage: "setsched [-s <schedule>] [-suspend|-resume] [-name <new name>] <name>", about: "changes when a schedule is due or its name, suspends it, or lets it go on from now on", of: groupOfSchedule, run: setSched},
		{name: "removesched", right: people.Change, usage: "removesched [-f] <name>", about: "removes a schedule; the snapshots it made stay", of: groupOfSchedule, run: removeSched},
		{name: "showsched", right: people.Look, usage: "showsched [<name>...]", about: "lists the schedules, or those with these names or patterns", run: showSched},
	}
}

// groupOfSchedule is command.of for commands that name a schedule last.
func groupOfSchedule(n *Node, words []string) *running {
	s, err := n.schedule(words[len(words)-1])
	if err != nil {
		return nil
	}
	return n.runningShared(s.Group)
}

// groupToSchedule is command.of for createsched.
func groupToSchedule(n *Node, words []string) *running {
	if len(words) < 2 {
		return nil
	}
	_, w, err := n.scheduled(nameLast(words[1:])[0])
	if err != nil {
		return nil
	}
	v, _, err := n.vv(w.pairs[0].vv)
	if err != nil {
		return nil
	}
	return n.runningShared(v.Group)
}

func (n *Node) schedule(name string) (s Schedule, err error) {
	err = n.store.View(func(t *store.Tx) error {
		var ok bool
		s, ok, err = tables.scheds.Get(t, name)
		if err == nil && !ok {
			err = array.Errorf(array.NotFound, "schedule %s does not exist", name)
		}
		return err
	})
	return s, err
}

// scheduled reads a command that is to be scheduled.
func (n *Node) scheduled(text string) (words []string, w wish, err error) {
	words = strings.Fields(text)
	if len(words) == 0 || words[0] != "createsv" && words[0] != "creategroupsv" {
		return nil, w, array.Errorf(array.Invalid, "command %q: want createsv or creategroupsv with its words, in quotation marks", text)
	}
	a := &args{cmd: find(words[0]), rest: words[1:], flags: flag.NewFlagSet(words[0], flag.ContinueOnError)}
	a.flags.SetOutput(io.Discard)
	w, err = n.wished(a)
	return words, w, err
}

// nameLast returns the words of createsched in the incumbent's order: what to do, when, and
// the name. People who put the name first mean the same.
func nameLast(words []string) []string {
	if len(words) == 3 && validName(words[0]) && strings.HasPrefix(words[1], "create") {
		return []string{words[1], words[2], words[0]}
	}
	return words
}

func createSched(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(3, 3); err != nil {
		return err
	}
	a.rest = nameLast(a.rest)
	words, w, err := n.scheduled(a.rest[0])
	if err != nil {
		return err
	}
	if _, err := schedule.Parse(a.rest[1]); err != nil {
		return err
	}
	s := Schedule{Name: a.rest[2], Command: words, Times: a.rest[1], Last: n.now()}
	if !validName(s.Name) {
		return array.Errorf(array.Invalid, "schedule name %q: %s", s.Name, nameWanted)
	}
	for _, p := range w.pairs {
		v, _, err := n.vv(p.vv)
		switch {
		case err != nil:
			return err
		case s.Group != 0 && s.Group != v.Group:
			return array.Errorf(array.Invalid, "volume %s is in another group: snapshots of one moment are of one group", v.Name)
		case !validName(p.sv):
			return array.Errorf(array.Invalid, "snapshot name %q: %s", p.sv, nameWanted)
		case v.Of != 0 && w.ro:
			return array.Errorf(array.Invalid, "%s is a read-only snapshot, which never changes", v.Name)
		}
		s.Group = v.Group
	}
	return n.changeGroup(ctx, s.Group, func(t *store.Tx) error {
		count := 0
		if err := tables.scheds.Each(t, func(_ string, o Schedule) error {
			if count++; o.Name == s.Name {
				return array.Errorf(array.Exists, "schedule %s exists already", s.Name)
			}
			return nil
		}); err != nil {
			return err
		}
		if count >= maxSchedules {
			return array.Errorf(array.Full, "there are %d schedules, the most there may be", count)
		}
		return tables.scheds.Put(t, s.Name, s)
	})
}

func setSched(n *Node, ctx context.Context, a *args) error {
	times, suspend, resume := a.flags.String("s", "", ""), a.flags.Bool("suspend", false, ""), a.flags.Bool("resume", false, "")
	name := a.flags.String("name", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if *suspend && *resume || *times == "" && *name == "" && !*suspend && !*resume {
		return array.Errorf(array.Invalid, "setsched: want -s, -name, or one of -suspend and -resume; usage: %s", a.cmd.usage)
	}
	if *name != "" && !validName(*name) {
		return array.Errorf(array.Invalid, "schedule name %q: %s", *name, nameWanted)
	}
	if *times != "" {
		if _, err := schedule.Parse(*times); err != nil {
			return err
		}
	}
	s, err := n.schedule(a.rest[0])
	if err != nil {
		return err
	}
	return n.changeSchedule(ctx, s, func(s *Schedule) error {
		if *times != "" {
			s.Times = *times
		}
		if *suspend || *resume {
			s.Suspended = *suspend
		}
		if *times != "" || *resume {
			s.Last = n.now() // what was missed stays missed
		}
		if *name != "" {
			s.Name = *name
		}
		return nil
	})
}

func removeSched(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1); err != nil {
		return err
	}
	s, err := n.schedule(a.rest[0])
	if err != nil {
		return err
	}
	if err := sure("removesched removes schedule %s; the snapshots it made stay", s.Name); err != nil {
		return err
	}
	return n.changeGroup(ctx, s.Group, func(t *store.Tx) error { return tables.scheds.Delete(t, s.Name) })
}

func showSched(n *Node, _ context.Context, a *args) error {
	if err := a.parse(0, -1); err != nil {
		return err
	}
	all, err := a.view().schedules()
	if err != nil {
		return err
	}
	now := n.now()
	t := table.New("SchedName", "Min", "Hour", "DOM", "Month", "DOW", "Status", ">Runs", "NextRunTime", "Command")
	for _, s := range all {
		if len(a.rest) > 0 && !a.names(s.Name, map[string]bool{}) {
			continue
		}
		fields := strings.Fields(s.Times)
		if len(fields) == 1 {
			fields = append(fields, "-", "-", "-", "-")
		}
		status, next := "active", "-"
		if s.Suspended {
			status = "suspended"
		} else if times, err := schedule.Parse(s.Times); err == nil {
			next = times.Next(s.Last, now).Format("2006-01-02 15:04 MST")
		}
		t.Row(s.Name, fields[0], fields[1], fields[2], fields[3], fields[4], status, s.Runs, next, strings.Join(s.Command, " "))
	}
	if t.Rows() == 0 { // clients look for these words
		a.printf("No scheduled tasks listed\n")
		return nil
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
	return nil
}
