// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
)

// quick lets passwords be tried fast.
func quick(c *Config) { c.LoginCost = people.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1} }

const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDn7iQy1ZzN8HQGZ2m8e4m2k0pZ0u3nq5vV5Hq8xJ9bq me"

// as gives a command as a user who has logged in.
func (a *testArray) as(user, words string) (string, error) {
	a.t.Helper()
	u, err := a.people.User(user)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.Do(a.t.Context(), Asked{By: Caller{User: user, Grants: u.Grants, Domain: u.Default, From: "192.0.2.9:1", Over: "ssh"}, Words: strings.Fields(words)})
}

func (a *testArray) users() string {
	a.t.Helper()
	text := a.run("showuser", "-nohdtot")
	return strings.Join(strings.Fields(text), " ")
}

func TestUsersAreOnBothArrays(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("createuser", "-c", "correct horse", "ann", "all", "edit")
	s, err := b.People().Login("ann", "correct horse", "x", time.Now())
	if err != nil || !s.May(people.Make) || s.May(people.Users) {
		t.Fatalf("%+v, %v", s, err)
	}
	b.refuses("exists already", "createuser", "-c", "correct horse", "ann", "all", "edit")
	a.refuses("domain x does not exist", "createuser", "-c", "correct horse", "bob", "x", "edit")
	a.refuses("want super, security_admin", "createuser", "-c", "correct horse", "bob", "all", "god")
	a.refuses("want a password", "createuser", "bob", "all", "edit")
	a.refuses("want 8 to 128", "createuser", "-c", "short", "bob", "all", "edit")
	b.run("setuser", "-role", "browse", "ann")
	if _, err := b.People().Session(s.Key, time.Now()); err == nil {
		t.Error("a session outlived its role")
	}
	b.run("setpassword", "-u", "ann", "-c", "battery staple")
	if _, err := a.People().Login("ann", "battery staple", "x", time.Now()); err != nil {
		t.Error(err)
	}

	// One that was away hears of it.
	b.Close()
	a.until("array-b to be missed", func() bool { return !a.reachable() })
	a.run("createuser", "-nopassword", "bob", "all", "super")
	a.run("removeuser", "-f", "ann")
	b.open()
	b.until("it to hear of the users", func() bool { return b.users() == "bob all super N" })
	a.until("nothing to be told", func() bool { all, err := a.people.Untold(); return err == nil && len(all) == 0 })
}

// TestRolesAreObeyed by every command, wherever it is carried out.
func TestRolesAreObeyed(t *testing.T) {
	long(t)
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	roles, _ := people.Roles()
	for _, r := range roles {
		a.run("createuser", "-c", "correct horse", string(r), "all", string(r))
	}
	for _, c := range commands() {
		for _, r := range roles {
			_, err := a.as(string(r), c.name)
			denied := err != nil && array.KindOf(err) == array.Denied && strings.Contains(err.Error(), "lacks the right")
			if denied == r.May(c.right) {
				t.Errorf("%s of a user with the role %s: %v", c.name, r, err)
			}
		}
	}
	for _, x := range []struct {
		user, words string
		may         bool
	}{
		{"edit", "setrcopygroup failover g", true},
		{"edit", "setrcopygroup failover -f g", false},
		{"edit", "setrcopygroup failover --f=true g", false},
		{"edit", "setrcopygroup override -f g", false},
		{"edit", "setrcopygroup discard -f g", false},
		{"super", "setrcopygroup failover -f g", true},
		{"create", "createhost h " + iqn1, true},
		{"create", "createhost -add h " + iqn2, false},
		{"create", "createhost --add=true h " + iqn2, false},
		{"browse", "removehost -f h", false},
		{"security_admin", "setuser -role super browse", false},
		{"security_admin", "removeuser -f super", false},
		{"security_admin", "setpassword -u super -c long-enough", false},
		{"security_admin", "setuser -role edit browse", true},
		{"edit", "setpassword -u super -c long-enough", false},
		{"edit", "setsshkey -u super " + testKey, false},
		{"edit", "setsshkey " + testKey, true},
		{"edit", "showsshkey -u super", false},
		{"edit", "setpassword -old wrong -c long-enough", false},
	} {
		_, err := a.as(x.user, x.words)
		if denied := array.KindOf(err) == array.Denied && err != nil; denied == x.may {
			t.Errorf("%s: %s: %v", x.user, x.words, err)
		}
	}
	// The other array asks again what one may who gives a command to this one.
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("startrcopygroup", "-wait", "g")
	a.until("the group to be served", func() bool { return b.elsewhere(lastGroup(b.Node, []string{"g"})) })
	by := Caller{User: "browse", Grants: people.Grants{Role: people.Browse}}
	if _, err := b.ask(t.Context(), request{Command: []string{"stoprcopygroup", "-f", "g"}, By: &by}); array.KindOf(err) != array.Denied {
		t.Errorf("the other array: %v", err)
	}
	if _, err := b.as("edit", "stoprcopygroup -f g"); err != nil {
		t.Error(err)
	}
}

// TestTheLastSuperUserStays: who could make another one isn't lost by a slip. Root of the machine
// may remove anybody.
func TestTheLastSuperUserStays(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	a.run("createuser", "-nopassword", "ann", "all", "super")
	for _, words := range []string{"removeuser -f ann", "setuser -role browse ann", "setuser -rmdomain all -adddomain d:edit ann"} {
		a.run("createuser", "-nopassword", "bob", "all", "edit")
		if strings.Contains(words, "d:") {
			a.run("createdomain", "d")
		}
		if _, err := a.as("ann", words); err == nil || !strings.Contains(err.Error(), "user ann is the last with the role super") {
			t.Errorf("%s: %v", words, err)
		}
		a.run("removeuser", "-f", "bob")
	}
	a.run("createuser", "-nopassword", "eve", "all", "super")
	if _, err := a.as("ann", "setuser -role browse ann"); err != nil {
		t.Error("of two:", err)
	}
	a.run("removeuser", "-f", "eve")
	if users := a.users(); users != "ann all browse N" {
		t.Error(users)
	}
}
