// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/perdure/perdure/internal/array"
)

// maxText bounds what is parsed.
const maxText = 256

// Times are the minutes at which something is due.
type Times struct{ next cron.Schedule }

// Parse reads times. Those that never come are refused.
func Parse(text string) (Times, error) {
	switch {
	case len(text) > maxText || strings.Contains(text, "="): // no zones: see Due
		return Times{}, array.Errorf(array.Invalid, "schedule %.64q: want minute, hour, day of month, month and day of week", text)
	case strings.HasPrefix(text, "@every"):
		return Times{}, array.Errorf(array.Invalid, "schedule %q: want @hourly, @daily, @weekly, @monthly or @yearly", text)
	}
	p := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	s, err := p.Parse(text)
	if err != nil {
		return Times{}, &array.Error{Kind: array.Invalid, Text: fmt.Sprintf("schedule %q: want \"minute hour dom month dow\" as in cron, @hourly, @daily, @weekly, @monthly or @yearly", text), Err: err}
	}
	t := Times{s}
	if t.next.Next(time.Unix(0, 0).UTC()).IsZero() {
		return Times{}, array.Errorf(array.Invalid, "schedule %q: there is no such day", text)
	}
	return t, nil
}

// Next returns the next time after both the last one done and now, in now's zone, or zero
// if there is none for years.
func (t Times) Next(last, now time.Time) time.Time {
	last = last.In(now.Location())
	after := now
	if last.After(now) {
		after = last
	}
	return t.after(after, last)
}

// Due reports whether a time came after the last one done. The times are those of now's
// zone.
func (t Times) Due(last, now time.Time) bool {
	last = last.In(now.Location())
	next := t.after(last, last)
	return !next.IsZero() && !next.After(now)
}

// after returns the first time after one, that the clock on the wall shows after last.
func (t Times) after(one, last time.Time) time.Time {
	next := t.next.Next(one)
	for !next.IsZero() && wall(next) <= wall(last) && next.Sub(last) < repeats {
		next = t.next.Next(next)
	}
	return next
}

// repeats is more than any clock shows a second time when a zone's time changes.
const repeats = 25 * time.Hour

// wall is the minute that the clock on the wall shows.
func wall(t time.Time) string { return t.Format("2006-01-02 15:04") }
