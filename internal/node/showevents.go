// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"flag"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

// rightToEvents: who did what is not for all.
func rightToEvents(words []string) people.Right {
	if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(strings.TrimLeft(w, "-"), "audit") }) {
		return people.Audit
	}
	return people.Look
}

// eventFilter says which entries are shown.
type eventFilter struct {
	from, to            time.Time
	sev, nsev, msg, not *regexp.Regexp
}

// maxEventMinutes is longer than events are kept: twenty years.
const maxEventMinutes = 20 * 366 * 24 * 60

// timeForPeople is how times are shown: with their zone, since arrays' and people's differ.
const timeForPeople = "2006-01-02 15:04:05 MST"

func eventFilterOf(a *args, now time.Time) func() (eventFilter, error) {
	minutes := a.flags.Float64("min", 0, "")
	from, to := a.flags.String("startt", "", ""), a.flags.String("endt", "", "")
	a.flags.Bool("more", false, "")
	a.flags.Bool("oneline", false, "")
	pattern := map[string]*string{}
	for _, name := range []string{"sev", "nsev", "msg", "nmsg"} {
		pattern[name] = a.flags.String(name, "", "")
	}
	return func() (f eventFilter, err error) {
		for _, x := range []struct {
			text string
			to   *time.Time
		}{{*from, &f.from}, {*to, &f.to}} {
			if *x.to, err = parseEventTime(x.text, now); err != nil {
				return f, err
			}
		}
		given := false
		a.flags.Visit(func(x *flag.Flag) { given = given || x.Name == "min" })
		if given && !(*minutes > 0 && *minutes <= maxEventMinutes) {
			return f, array.Errorf(array.Invalid, "showeventlog: -min %v: want a number of minutes above 0, up to %d", *minutes, maxEventMinutes)
		}
		if *minutes > 0 {
			f.from = now.Add(-time.Duration(*minutes * float64(time.Minute)))
		}
		f.sev, f.nsev, f.msg, f.not = globWhole(*pattern["sev"]), globWhole(*pattern["nsev"]), glob(*pattern["msg"]), glob(*pattern["nmsg"])
		for _, name := range []string{"sev", "nsev"} {
			if err := severities(name, *pattern[name]); err != nil {
				return f, err
			}
		}
		return f, nil
	}
}

// parseEventTime reads a day, a time of today, or both.
func parseEventTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, form := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	return time.Time{}, array.Errorf(array.Invalid, "time %q: want \"2026-01-31 15:04:05\", a day or a time of today", text)
}

// glob makes a pattern of * and ? what matches a part of a text, nil if it is empty.
func glob(pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	return regexp.MustCompile("(?is)" + globText(pattern)) // QuoteMeta leaves nothing that can't be compiled
}

// globWhole is glob for what must match a text as a whole.
func globWhole(pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	return regexp.MustCompile("(?is)^(?:" + globText(pattern) + ")$")
}

func globText(pattern string) string {
	return strings.NewReplacer(`\*`, ".*", `\?`, ".", ",", "|").Replace(regexp.QuoteMeta(pattern))
}

// severities refuses a pattern that matches no severity.
func severities(option, pattern string) error {
	for p := range strings.SplitSeq(pattern, ",") {
		if m := globWhole(p); m != nil && !slices.ContainsFunc(event.Severities(), func(s event.Severity) bool { return m.MatchString(string(s)) }) {
			return array.Errorf(array.Invalid, "showeventlog -%s %q: want Informational, Minor or Major, or a pattern of one with * and ?", option, p)
		}
	}
	return nil
}

func (f eventFilter) shows(at time.Time, severity event.Severity, text string) bool {
	switch {
	case at.Before(f.from), !f.to.IsZero() && at.After(f.to),
		f.sev != nil && !f.sev.MatchString(string(severity)), f.nsev != nil && f.nsev.MatchString(string(severity)),
		f.msg != nil && !f.msg.MatchString(text), f.not != nil && f.not.MatchString(text):
		return false
	}
	return true
}

func showEvents(n *Node, _ context.Context, a *args) error {
	filter, audit := eventFilterOf(a, time.Now()), a.flags.Bool("audit", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	f, err := filter()
	if err != nil {
		return err
	}
	if *audit {
		return n.showAudit(a, f)
	}
	t := table.New("Time", "Severity", "Message")
	for _, e := range a.view().Events() {
		if f.shows(e.At, e.Severity, e.Text) {
			t.Row(e.At.Local().Format(timeForPeople), e.Severity, e.Text)
		}
	}
	a.table(t)
	return nil
}

func (n *Node) showAudit(a *args, f eventFilter) error {
	all, err := n.audit.Newest()
	if err != nil {
		return err
	}
	t := table.New("Time", "User", "Role", "From", "Over", "Command", "Result")
	for _, x := range all {
		s := event.Informational
		if x.Result != event.Done && x.Result != event.Begun {
			s = event.Minor
		}
		if f.shows(x.At, s, x.User+" "+x.Words) {
			t.Row(x.At.Local().Format(timeForPeople), x.User, x.Role, cmp.Or(x.From, "-"), x.Over, x.Words, x.Result)
		}
	}
	a.table(t)
	return nil
}
