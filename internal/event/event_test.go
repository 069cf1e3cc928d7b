// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/store"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string, most int) (*store.Store, *Log, *Audit) {
	t.Helper()
	s, err := store.Open(path)
	ok(t, err)
	l, err := Open(s, most, func(err error) { t.Log(err) })
	ok(t, err)
	a, err := OpenAudit(s, most)
	ok(t, err)
	return s, l, a
}

func texts(l *Log) string {
	var out []string
	for _, e := range l.Newest() {
		out = append(out, e.Text)
	}
	return strings.Join(out, " ")
}

// TestEventsStay over restarts, the newest of them, in order.
func TestEventsStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	want := ""
	for round := range 4 {
		s, l, _ := open(t, path, 5)
		if got := texts(l); got != want {
			t.Fatalf("round %d: %q, want %q", round, got, want)
		}
		for i := range 3 {
			l.Add(Event{At: time.Unix(1, 0), Severity: Minor, Text: fmt.Sprint(round*3 + i)})
		}
		want = texts(l)
		if n := len(strings.Fields(want)); n != min(5, round*3+3) {
			t.Fatalf("%d events: %s", n, want)
		}
		l.Close()
		count := 0
		ok(t, s.View(func(tx *store.Tx) error { return l.bucket.EachKey(tx, func(string) bool { count++; return true }) }))
		if count > 5 {
			t.Errorf("%d events are stored", count)
		}
		ok(t, s.Close())
	}
	if want != "7 8 9 10 11" {
		t.Errorf("%q", want)
	}
}

// TestManyTellAtOnce: each event is kept once.
func TestManyTellAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, l, _ := open(t, path, MostEvents)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 50 {
				l.Add(Event{Text: fmt.Sprint(i*100 + k)})
			}
		})
	}
	wg.Wait()
	l.Close()
	ok(t, s.Close())
	s, l, _ = open(t, path, MostEvents)
	defer s.Close()
	seen := map[string]bool{}
	for _, e := range l.Newest() {
		seen[e.Text] = true
	}
	if len(seen) != 400 || len(l.Newest()) != 400 {
		t.Errorf("%d events of 400", len(seen))
	}
}

// TestAStoreThatFails keeps the events in memory, and nobody waits.
func TestAStoreThatFails(t *testing.T) {
	s, l, _ := open(t, filepath.Join(t.TempDir(), "db"), 5)
	ok(t, s.Close())
	for i := range 20 {
		l.Add(Event{Text: fmt.Sprint(i)})
	}
	if got := texts(l); got != "15 16 17 18 19" {
		t.Errorf("%q", got)
	}
	l.Close()
}

func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, _, a := open(t, path, 3)
	for i := range 5 {
		end, err := a.Begin(Act{User: "ann", Words: fmt.Sprint("removevv ", i, "\x1b[2J")})
		ok(t, err)
		if i != 3 {
			ok(t, end(Done, time.Unix(7, 0)))
		}
	}
	ok(t, s.Close())
	s, _, a = open(t, path, 3)
	defer s.Close()
	end, err := a.Begin(Act{User: "bob", Words: strings.Repeat("ä", maxText)})
	ok(t, err)
	ok(t, end("no", time.Unix(8, 0)))
	all, err := a.Newest()
	ok(t, err)
	var got []string
	for _, x := range all {
		got = append(got, fmt.Sprintf("%s %.12q %s", x.User, x.Words, x.Result))
	}
	if want := `ann "removevv 3?[" begun|ann "removevv 4?[" done|bob "ääääääääääää" no`; strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
	if n := len(all[2].Words); n > maxText+3 {
		t.Errorf("%d bytes of words", n)
	}
}

// TestDomains: an event has the domain that its text is about when it comes, and an alert while it lasts.
func TestDomains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, l, _ := open(t, path, 5)
	domain := "shop"
	l.Ask(func(text string) string {
		if strings.Contains(text, "v") {
			return domain
		}
		return ""
	})
	a, err := OpenAlerts(s, l)
	ok(t, err)
	l.Add(Event{Text: "v"})
	a.Raise(Condition{Kind: "k"}, Minor, "of v", time.Unix(1, 0))
	domain = "office"
	l.Add(Event{Text: "x", Domain: "forged"})
	a.Raise(Condition{Kind: "k"}, Minor, "of v", time.Unix(2, 0))
	if a.All()[0].Domain != "shop" {
		t.Errorf("it is asked for each time: %+v", a.All())
	}
	if a.Raise(Condition{Kind: "k"}, Minor, "of v", time.Unix(1, 0).Add(placedFor)) || a.All()[0].Domain != "office" {
		t.Errorf("what it is about was moved: %+v", a.All())
	}
	domain = "store"
	a.Raise(Condition{Kind: "k"}, Minor, "of v still", time.Unix(1, 0))
	a.End(Condition{Kind: "k"}, "no more of v", time.Unix(2, 0))
	a.Close()
	l.Close()
	ok(t, s.Close())
	s, l, _ = open(t, path, 5)
	defer s.Close()
	defer l.Close()
	a, err = OpenAlerts(s, l)
	ok(t, err)
	defer a.Close()
	var got []string
	for _, e := range l.Newest() {
		got = append(got, e.Text+":"+e.Domain)
	}
	if text := strings.Join(got, " "); text != "v:shop of v:shop x: no more of v:store" || a.All()[0].Domain != "store" {
		t.Errorf("%s, %+v", text, a.All())
	}
}
