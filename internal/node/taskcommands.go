// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

func taskCommands() []command {
	return []command{
		{name: "showtask", right: people.Look, usage: "showtask [-d] [-all] [-t <hours>] [-active|-done|-failed] [<task>...]", about: "long commands of this array, under way and of the last 24 hours", run: showTask},
		{name: "waittask", right: people.Look, usage: "waittask [-v|-q] <task>...", about: "waits until tasks have ended, and fails if one of them did not do what it was to", run: waitTask},
		{name: "canceltask", right: people.Maintain, usage: "canceltask [-f] <task>", about: "ends a task; what it did so far stays", free: func([]string) bool { return true }, run: cancelTask},
	}
}

// taskIDs are the numbers that words are.
func taskIDs(cmd string, words []string) (ids []uint64, err error) {
	for _, w := range words {
		id, err := strconv.ParseUint(w, 10, 53)
		if err != nil || id == 0 {
			return nil, array.Errorf(array.Invalid, "%s: task %.40q: want its number", cmd, w)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// lately is how old what showtask shows may be, if nothing else is said.
const (
	lately         = 24
	maxLatelyHours = 24 * 366
)

func showTask(n *Node, _ context.Context, a *args) error {
	detail, every, hours := a.flags.Bool("d", false, ""), a.flags.Bool("all", false, ""), a.flags.Int64("t", lately, "")
	which := map[TaskStatus]*bool{}
	for _, s := range []TaskStatus{TaskActive, TaskDone, TaskFailed} {
		which[s] = a.flags.Bool(string(s), false, "")
	}
	if err := a.parse(0, -1); err != nil {
		return err
	}
	if *hours < 1 || *hours > maxLatelyHours {
		return array.Errorf(array.Invalid, "showtask: -t %d: want a number of hours from 1 to %d", *hours, maxLatelyHours)
	}
	ids, err := taskIDs("showtask", a.rest)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := a.view().Task(id); err != nil {
			return err
		}
	}
	chosen := *which[TaskActive] || *which[TaskDone] || *which[TaskFailed]
	since := n.now().Add(-time.Duration(*hours) * time.Hour)
	t := table.New(">Id", "Type", "Name", "Status", "Phase", "Step", "StartTime", "FinishTime", "User")
	if *detail {
		t = table.New(">Id", "Type", "Name", "Status", "Phase", ">Percent", ">MiB/s", ">Left", "StartTime", "FinishTime", "User", "Detail")
	}
	for _, f := range a.view().Tasks() {
		switch {
		case len(ids) > 0 && !slices.Contains(ids, f.ID):
			continue
		case len(ids) == 0 && !*every && !f.Active() && f.Finished.Before(since):
			continue
		case chosen && (which[f.Status] == nil || !*which[f.Status]):
			continue
		}
		phase, step := "---", "---"
		if f.Active() {
			phase, step = fmt.Sprintf("%d/%d", f.Phase, f.Phases), fmt.Sprintf("%.0f/100", f.Percent)
		}
		if !*detail {
			t.Row(f.ID, f.Kind, f.Name, f.Status, phase, step, taskTime(f.Began), taskTime(f.Finished), f.User)
			continue
		}
		left := "-"
		if f.Left > 0 {
			left = f.Left.Round(time.Second).String()
		}
		t.Row(f.ID, f.Kind, f.Name, f.Status, phase, fmt.Sprintf("%.1f", f.Percent), fmt.Sprintf("%.1f", f.Rate/(1<<20)), left, taskTime(f.Began), taskTime(f.Finished), f.User, strings.ReplaceAll(f.Text, "\n", "; "))
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
	return nil
}

func taskTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(timeForPeople)
}

func waitTask(n *Node, _ context.Context, a *args) error {
	long, quiet := a.flags.Bool("v", false, ""), a.flags.Bool("q", false, "")
	if err := a.parse(1, -1); err != nil {
		return err
	}
	ids, err := taskIDs("waittask", a.rest)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := a.view().Task(id); err != nil {
			return err
		}
	}
	a.then = func(ctx context.Context) error {
		for _, id := range ids {
			f, err := n.WaitTask(ctx, id)
			switch {
			case err != nil:
				return err
			case f.Active():
				return array.Errorf(array.Aborted, "task %d is still under way: %s", id, f.Text)
			case f.Status == TaskCancelled:
				return array.Errorf(array.Aborted, "task %d, %s of %s, was cancelled", id, f.Kind, f.Name)
			case f.Status != TaskDone:
				return array.Errorf(array.Aborted, "task %d, %s of %s, %s: %s", id, f.Kind, f.Name, f.Status, f.Text)
			case *quiet:
			case *long && strings.TrimSpace(f.Text) != "":
				a.printf("Task %d done: %s\n", id, strings.TrimSpace(f.Text))
			default:
				a.printf("Task %d done\n", id)
			}
		}
		return nil
	}
	return nil
}

func cancelTask(n *Node, _ context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1); err != nil {
		return err
	}
	ids, err := taskIDs("canceltask", a.rest)
	if err != nil {
		return err
	}
	f, err := a.view().Task(ids[0])
	if err != nil {
		return err
	}
	if f.User != a.by.User { // whoever began it may end it
		if err := a.mayIn(f.Domain); err != nil {
			return err
		}
	}
	if err := sure("canceltask ends task %d, %s of %s, where it is", f.ID, f.Kind, f.Name); err != nil {
		return err
	}
	a.then = func(ctx context.Context) error { return n.CancelTask(ctx, a.by, f.ID) }
	return nil
}
