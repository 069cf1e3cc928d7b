// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/store"
)

// alerts opens those of a store.
func alerts(t *testing.T, path string) (*store.Store, *Log, *Alerts) {
	t.Helper()
	s, l, _ := open(t, path, MostEvents)
	a, err := OpenAlerts(s, l)
	ok(t, err)
	return s, l, a
}

func stand(a *Alerts) string {
	var out []string
	for _, x := range a.All() {
		out = append(out, fmt.Sprintf("%d %s %s %s", x.ID, x.State(), x.Severity, x.Text))
	}
	return strings.Join(out, "; ")
}

func marks(l *Log) string {
	var out []string
	for _, e := range l.Newest() {
		out = append(out, fmt.Sprintf("%d %s %s %s", e.Alert, e.Mark, e.Severity, e.Text))
	}
	return strings.Join(out, "; ")
}

func wants(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
	}
}

// TestAlertsBeginAndEndOnce, over restarts too, and both are events.
func TestAlertsBeginAndEndOnce(t *testing.T) {
	path, at := filepath.Join(t.TempDir(), "db"), time.Unix(1700000000, 0)
	s, l, a := alerts(t, path)
	down, full := Condition{"link", "1"}, Condition{"cpg", "cpg0"}
	if a.End(down, "nothing began", at) {
		t.Error("what did not begin ended")
	}
	a.Raise(down, Minor, "link 1 is down", at)
	a.Raise(full, Minor, "cpg0 is 75 percent full", at)
	a.Raise(down, Minor, "link 1 is down", at.Add(time.Second))
	ok(t, a.Change(2, Acknowledged))
	a.Raise(full, Minor, "cpg0 is 80 percent full", at) // as much as before: no news
	const events = "1 began Minor link 1 is down; 2 began Minor cpg0 is 75 percent full"
	for range 2 {
		wants(t, "alerts", stand(a), "1 New Minor link 1 is down; 2 Acknowledged Minor cpg0 is 80 percent full")
		wants(t, "events", marks(l), events)
		a.Close()
		l.Close()
		ok(t, s.Close())
		s, l, a = alerts(t, path)
		a.Raise(down, Minor, "link 1 is down", at.Add(time.Minute))
	}
	a.Raise(full, Major, "cpg0 is full", at)
	if !a.End(down, "link 1 is up", at.Add(time.Hour)) || a.End(down, "link 1 is up", at) {
		t.Error("it does not end once")
	}
	wants(t, "alerts", stand(a), "1 Fixed Minor link 1 is down; 2 New Major cpg0 is full")
	wants(t, "events", marks(l), events+"; 2  Major cpg0 is full; 1 ended Informational link 1 is up")
	if err := a.Change(2, Fixed); err == nil || !strings.Contains(err.Error(), "alert 2 lasts: cpg0 is full") {
		t.Error(err)
	}
	if err := a.Change(1, Acknowledged); err == nil || !strings.Contains(err.Error(), "alert 1 is fixed since") {
		t.Error(err)
	}
	if err := a.Remove(2); err == nil || !strings.Contains(err.Error(), "alert 2 lasts") {
		t.Error(err)
	}
	if err := a.Remove(7); err == nil || !strings.Contains(err.Error(), "alert 7 does not exist") {
		t.Error(err)
	}
	ok(t, a.Change(1, Fixed))
	ok(t, a.Remove(1))
	a.Close()
	l.Close()
	ok(t, s.Close())
	s, l, a = alerts(t, path)
	defer s.Close()
	wants(t, "alerts", stand(a), "2 New Major cpg0 is full")
	a.Raise(down, Minor, "link 1 is down", at)
	if x, err := a.Find(3); err != nil || !a.Lasts(down) || x.Condition != down {
		t.Errorf("%v %v", x, err)
	}
	a.Close()
	l.Close()
}

// TestAlertsAreBounded: no more are open than anybody reads, and the oldest that ended go.
func TestAlertsAreBounded(t *testing.T) {
	s, l, a := alerts(t, filepath.Join(t.TempDir(), "db"))
	defer s.Close()
	for i := range MostOpen + 5 {
		a.Raise(Condition{"x", fmt.Sprint(i)}, Minor, strings.Repeat("long ", 1000), time.Unix(1, 0))
	}
	for i := range MostOpen {
		a.End(Condition{"x", fmt.Sprint(i)}, "over", time.Unix(2, 0))
	}
	for i := range 5 {
		a.Raise(Condition{"y", fmt.Sprint(i)}, Minor, "y", time.Unix(3, 0))
		a.End(Condition{"y", fmt.Sprint(i)}, "over", time.Unix(4, 0))
	}
	all := a.All()
	if len(all) != mostEnded || all[0].ID != 6 || all[len(all)-1].Kind != "y" || len(all[0].Text) > maxText+3 {
		t.Errorf("%d alerts from %d on, %d bytes of text", len(all), all[0].ID, len(all[0].Text))
	}
	a.Close()
	l.Close()
	count := 0
	ok(t, s.View(func(tx *store.Tx) error { return a.bucket.EachKey(tx, func(string) bool { count++; return true }) }))
	if count != mostEnded {
		t.Errorf("%d alerts are stored", count)
	}
}

// TestAlertsOfAStoreThatFails stay in memory, and nobody waits.
func TestAlertsOfAStoreThatFails(t *testing.T) {
	s, _, a := alerts(t, filepath.Join(t.TempDir(), "db"))
	ok(t, s.Close())
	for range 3 {
		a.Raise(Condition{"x", ""}, Major, "x", time.Unix(1, 0))
		a.End(Condition{"x", ""}, "over", time.Unix(2, 0))
	}
	wants(t, "alerts", stand(a), "1 Fixed Major x; 2 Fixed Major x; 3 Fixed Major x")
	a.Close()
}
