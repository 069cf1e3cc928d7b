// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/people"
)

const (
	noAnswer = 1 + iota // though what is asked is carried out
	noRequest
)

// losing are two arrays of which the first gets no answers, or is not heard, as lose says.
func losing(t *testing.T, lose *atomic.Int32) (a, b *testArray) {
	all := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(_ context.Context, ask func() ([]byte, error)) ([]byte, error) {
				if lose.Load() == noRequest {
					return nil, errCut
				}
				out, err := ask()
				if lose.Load() == noAnswer {
					return nil, errCut
				}
				return out, err
			}
		}
	})
	a, b = all[0], all[1]
	a.run("createhost", "h", "iqn.2026-01.org.example:1")
	a.run("createhostset", "s", "h")
	a.run("createhost", "i", "iqn.2026-01.org.example:9")
	a.run("createuser", "-c", "correct horse battery", "ann", "all", "browse")
	b.until("it to have all", func() bool { return a.hosts() == b.hosts() && a.users() == b.users() && len(a.untold()) == 0 })
	return a, b
}

// TestTakenBackBeforeItWasAnswered: a change that the other array carried out, and did not answer, is
// taken back on both by the command that takes it back.
func TestTakenBackBeforeItWasAnswered(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{false, true} {
		var lose atomic.Int32
		a, b := losing(t, &lose)
		for _, c := range [][]string{
			{"createhost -add h iqn.2026-01.org.example:2", "removehost -f h iqn.2026-01.org.example:2"},
			{"sethost -persona 2 i", "sethost -persona 11 i", "sethost -persona 1 i"},
			{"createhostset -add s i", "removehostset -f s i"},
			{"createhost new iqn.2026-01.org.example:5", "removehost -f new"},
			{"setuser -role super ann", "setuser -role browse ann"},
			{"createuser -c secret12345 eve all super", "removeuser -f eve"},
		} {
			for n, line := range c {
				if lose.Store(noAnswer); n == len(c)-1 {
					lose.Store(noRequest)
				}
				a.run(strings.Fields(line)...)
			}
		}
		if a.hosts() == b.hosts() || a.users() == b.users() {
			t.Fatal("the other array did not carry out what it was asked")
		}
		if restarted {
			a.Close()
			a.open()
		}
		lose.Store(0)
		a.until("the arrays to have the same", func() bool { return a.hosts() == b.hosts() && a.users() == b.users() && len(a.untold()) == 0 })
		if n := len(a.told("does not take it")); n > 0 {
			t.Errorf("%d changes were refused", n)
		}
	}
}

// TestToldLate: what was told first and arrives last changes nothing.
func TestToldLate(t *testing.T) {
	t.Parallel()
	var lose atomic.Int32
	a, b := losing(t, &lose)
	h, err := a.host("h")
	if err != nil {
		t.Fatal(err)
	}
	before := *a.nextTurn()
	a.run("sethost", "-persona", "2", "h")
	a.run("sethost", "-persona", "1", "h")
	a.run("setuser", "-role", "super", "ann")
	a.run("setuser", "-role", "browse", "ann")
	late := h
	late.Persona = 2
	if err := b.takeHost(hostChange{Name: "h", Was: &h, Now: &late}, nil, &before); err == nil || !strings.Contains(err.Error(), "told before") {
		t.Errorf("a late change of a host was carried out: %v", err)
	}
	ann, err := b.people.User("ann")
	if err != nil {
		t.Fatal(err)
	}
	super := ann
	super.Role = people.Super
	if err := b.takeUser(people.UserChange{Name: "ann", Was: &ann, Now: &super}, &before); err == nil || !strings.Contains(err.Error(), "told before") {
		t.Errorf("a late change of a user was carried out: %v", err)
	}
	if a.hosts() != b.hosts() || a.users() != b.users() {
		t.Error("the arrays differ")
	}
}
