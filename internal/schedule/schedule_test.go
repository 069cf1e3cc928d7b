// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
)

func at(t *testing.T, s string, zone *time.Location) time.Time {
	t.Helper()
	x, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestParse(t *testing.T) {
	for _, s := range []string{"* * * * *", "*/5 0-6 1,15 * mon-fri", "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "0 0 29 2 *"} {
		if _, err := Parse(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "0 0 31 2 *", "TZ=", "TZ=UTC 0 0 * * *", "CRON_TZ=0", "@every 1s", "@reboot", "*/0 * * * *", "a b c d e"} {
		if _, err := Parse(s); array.KindOf(err) != array.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		times, last, now string
		due              bool
		next             string
	}{
		{"0 * * * *", "2026-03-01 09:30:00", "2026-03-01 09:59:59", false, "2026-03-01 10:00:00"},
		{"0 * * * *", "2026-03-01 09:30:00", "2026-03-01 10:00:00", true, "2026-03-01 11:00:00"},
		{"0 * * * *", "2026-03-01 10:00:03", "2026-03-01 10:00:59", false, "2026-03-01 11:00:00"},
		// The machine slept for days: once.
		{"0 * * * *", "2026-03-01 10:00:03", "2026-03-04 17:20:00", true, "2026-03-04 18:00:00"},
		{"0 * * * *", "2026-03-04 17:20:00", "2026-03-04 17:59:00", false, "2026-03-04 18:00:00"},
		// The clock was set back.
		{"* * * * *", "2026-03-01 10:00:03", "2026-03-01 09:58:00", false, "2026-03-01 10:01:00"},
		{"* * * * *", "2026-03-01 10:00:03", "2026-03-01 10:00:01", false, "2026-03-01 10:01:00"},
		{"* * * * *", "2026-03-01 10:00:03", "2026-03-01 10:01:00", true, "2026-03-01 10:02:00"},
		{"@monthly", "2026-01-31 00:00:00", "2026-02-01 00:00:00", true, "2026-03-01 00:00:00"},
	} {
		s, err := Parse(c.times)
		if err != nil {
			t.Fatal(err)
		}
		last, now := at(t, c.last, time.UTC), at(t, c.now, time.UTC)
		if due := s.Due(last, now); due != c.due {
			t.Errorf("%s, last %s, at %s: due %v, want %v", c.times, c.last, c.now, due, c.due)
		}
		if next := s.Next(last, now); !next.Equal(at(t, c.next, time.UTC)) {
			t.Errorf("%s, last %s, at %s: next %v, want %v", c.times, c.last, c.now, next, c.next)
		}
	}
}

// TestSummerTime: an hour that the clock shows twice is an hour once, and one that it
// leaves out costs no more than itself.
func TestSummerTime(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		times    string
		from, to string // UTC
		want     int
	}{
		{"30 2 * * *", "2026-10-24 12:00:00", "2026-10-25 12:00:00", 1},
		{"*/15 * * * *", "2026-10-25 00:00:00", "2026-10-25 02:00:00", 4}, // 2:00 to 3:00, twice, from 2:00
		{"0 * * * *", "2026-03-28 22:59:00", "2026-03-29 03:00:00", 5},
	} {
		s, err := Parse(c.times)
		if err != nil {
			t.Fatal(err)
		}
		last, runs := at(t, c.from, time.UTC).In(zone), 0
		seen := map[string]bool{}
		for now := last; !now.After(at(t, c.to, time.UTC)); now = now.Add(10 * time.Second) {
			if !s.Due(last, now) {
				continue
			}
			if last = now; seen[wall(now)] {
				t.Errorf("%s: %s comes twice", c.times, wall(now))
			}
			seen[wall(now)] = true
			runs++
		}
		if runs != c.want {
			t.Errorf("%s: due %d times from %s to %s, want %d", c.times, runs, c.from, c.to, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "@daily", "TZ=x", "CRON_TZ=", "1-59/2 1 1 1 1", "0 0 30 2 *", "@every 1h", "? ? ? ? ?", "1/0 * * * *", "99999999999999999999 * * * *"} {
		f.Add(s)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		x, err := Parse(s)
		if err != nil {
			return
		}
		if x.Due(now, now) {
			t.Errorf("%q is due twice in a moment", s)
		}
		if next := x.Next(now, now); !next.IsZero() && !next.After(now) {
			t.Errorf("%q: next after %v is %v", s, now, next)
		}
	})
}
