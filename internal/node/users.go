// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

// always is command.free of commands that have an order of their own.
func always([]string) bool { return true }

func userCommands() []command {
	return []command{
		{name: "createuser", right: people.Users, secret: []string{"c"}, free: always, usage: "createuser [-c <password>|-nopassword] <user> all <role>", about: "makes a user on both arrays, who may do what the role says; one without a password logs in with an SSH key", run: createUser},
		{name: "setuser", right: people.Users, free: always, usage: "setuser -role <role> <user>", about: "gives a user another role, on both arrays, and ends the user's sessions", run: setUser},
		{name: "setpassword", right: people.Own, secret: []string{"c", "old"}, free: always, usage: "setpassword [-old <password>] [-c <password>] [-u <user>]", about: "changes the own password, which takes the old one, or that of another user", run: setPassword},
		{name: "removeuser", right: people.Users, free: always, usage: "removeuser [-f] <user>", about: "removes a user on both arrays, and ends the user's sessions", run: removeUser},
		{name: "setsshkey", right: people.Own, free: always, usage: "setsshkey [-add] [-u <user>] <type> <key> [<comment>]", about: "sets the own SSH public key, or that of another user; -add keeps those there are", run: setSSHKey},
		{name: "removesshkey", right: people.Own, free: always, usage: "removesshkey [-f] [-u <user>] [<fingerprint>]", about: "removes one SSH key, or all", run: removeSSHKey},
		{name: "showsshkey", right: people.Look, usage: "showsshkey [-u <user>]", about: "lists the own SSH keys, or those of another user", run: showSSHKey},
		{name: "showuser", right: people.Look, usage: "showuser [-c] [<user>...]", about: "lists the users; -c: the one who asks", run: showUser},
		{name: "showuserconn", right: people.Look, usage: "showuserconn", about: "lists who is logged in at this array", run: showUserConn},
		{name: "showrole", right: people.Look, usage: "showrole", about: "lists the roles and their rights", run: showRole},
	}
}

func createUser(n *Node, ctx context.Context, a *args) error {
	password, none := a.flags.String("c", "", ""), a.flags.Bool("nopassword", false, "")
	if err := a.parse(3, 3); err != nil {
		return err
	}
	if (*password == "") != *none {
		return array.Errorf(array.Invalid, "createuser: want a password with -c, or -nopassword; usage: %s", a.cmd.usage)
	}
	if a.rest[1] != "all" {
		return array.Errorf(array.Invalid, "domain %q: there is only one, all", a.rest[1])
	}
	role, err := people.ParseRole(a.rest[2])
	if err != nil {
		return err
	}
	if err := a.mayGive(role); err != nil {
		return err
	}
	c, err := n.people.NewUser(a.rest[0], role, *password)
	if err != nil {
		return err
	}
	return n.changeUsers(ctx, c)
}

// mayGive refuses to let anybody but a super user make, change or remove one.
func (a *args) mayGive(r people.Role) error {
	if r.May(people.Force) && !a.by.Role.May(people.Force) {
		return array.Errorf(array.Denied, "%s: only a user with the role %s can give or take that role", a.cmd.name, r)
	}
	return nil
}

// changeUser changes a user that exists, and that the caller may change.
func (n *Node) changeUser(ctx context.Context, a *args, name string, f func(*people.User) error) error {
	was, err := n.people.User(name)
	if err != nil {
		return err
	}
	if name != a.by.User {
		if !a.by.Role.May(people.Users) {
			return array.Errorf(array.Denied, "%s: user %s may change only the own password and keys", a.cmd.name, a.by.User)
		}
		if err := a.mayGive(was.Role); err != nil {
			return err
		}
	}
	now := was
	if err := f(&now); err != nil {
		return err
	}
	return n.changeUsers(ctx, people.UserChange{Name: name, Was: &was, Now: &now})
}

// whom returns the user that a command is about: the caller if it names none.
func (a *args) whom(name string) (string, error) {
	if name == "" {
		name = a.by.User
	}
	if name == people.Local {
		return "", array.Errorf(array.Invalid, "%s: %s has neither password nor keys: name a user with -u", a.cmd.name, people.Local)
	}
	return name, nil
}

func setUser(n *Node, ctx context.Context, a *args) error {
	text := a.flags.String("role", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if *text == "" {
		return array.Errorf(array.Invalid, "setuser: want the role with -role; usage: %s", a.cmd.usage)
	}
	role, err := people.ParseRole(*text)
	if err != nil {
		return err
	}
	if err := a.mayGive(role); err != nil {
		return err
	}
	return n.changeUser(ctx, a, a.rest[0], func(u *people.User) error { u.Role = role; return nil })
}

func setPassword(n *Node, ctx context.Context, a *args) error {
	password, old, user := a.flags.String("c", "", ""), a.flags.String("old", "", ""), a.flags.String("u", "", "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	name, err := a.whom(*user)
	if err != nil {
		return err
	}
	if *password == "" {
		return array.Errorf(array.Invalid, "setpassword: want the new password with -c; usage: %s", a.cmd.usage)
	}
	if name == a.by.User {
		if err := n.people.Check(name, *old, a.by.From, time.Now()); err != nil {
			return err
		}
	}
	return n.changeUser(ctx, a, name, func(u *people.User) error { return n.people.SetPassword(u, *password) })
}

func removeUser(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1); err != nil {
		return err
	}
	was, err := n.people.User(a.rest[0])
	if err != nil {
		return err
	}
	if err := a.mayGive(was.Role); err != nil {
		return err
	}
	if err := sure("removeuser removes user %s on both arrays, and ends the user's sessions", was.Name); err != nil {
		return err
	}
	return n.changeUsers(ctx, people.UserChange{Name: was.Name, Was: &was})
}

func setSSHKey(n *Node, ctx context.Context, a *args) error {
	add, user := a.flags.Bool("add", false, ""), a.flags.String("u", "", "")
	if err := a.parse(1, 16); err != nil {
		return err
	}
	name, err := a.whom(*user)
	if err != nil {
		return err
	}
	k, err := people.ParseKey(strings.Join(a.rest, " "))
	if err != nil {
		return err
	}
	return n.changeUser(ctx, a, name, func(u *people.User) error { u.AddKey(k, !*add); return nil })
}

func removeSSHKey(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	user := a.flags.String("u", "", "")
	if err := a.parse(0, 1); err != nil {
		return err
	}
	name, err := a.whom(*user)
	if err != nil {
		return err
	}
	fingerprint := strings.Join(a.rest, "")
	return n.changeUser(ctx, a, name, func(u *people.User) error {
		if !u.RemoveKey(fingerprint) {
			return array.Errorf(array.NotFound, "user %s has no SSH key %s", name, fingerprint)
		}
		which := "all SSH keys"
		if fingerprint != "" {
			which = "SSH key " + fingerprint
		}
		return sure("removesshkey removes %s of user %s", which, name)
	})
}

func showSSHKey(n *Node, _ context.Context, a *args) error {
	user := a.flags.String("u", "", "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	name, err := a.whom(*user)
	if err != nil {
		return err
	}
	if name != a.by.User && !a.by.Role.May(people.Users) {
		return array.Errorf(array.Denied, "showsshkey: user %s may see only the own keys", a.by.User)
	}
	u, err := n.people.User(name)
	if err != nil {
		return err
	}
	t := table.New("Username", "Type", "Fingerprint", "Comment")
	for _, k := range u.Keys {
		t.Row(u.Name, k.Type, k.Fingerprint(), k.Comment)
	}
	a.table(t)
	return nil
}

func showUser(n *Node, _ context.Context, a *args) error {
	own := a.flags.Bool("c", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	all, err := n.people.Users()
	if err != nil {
		return err
	}
	if *own {
		all, a.rest = []people.User{{Name: a.by.User, Role: a.by.Role}}, nil
	}
	t, found := table.New("Username", "Domain", "Role", "Default"), map[string]bool{}
	for _, u := range all {
		if len(a.rest) == 0 || a.names(u.Name, found) {
			t.Row(u.Name, "all", u.Role, "N")
		}
	}
	if err := a.unnamed("user", found); err != nil {
		return err
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
	return nil
}

func showUserConn(n *Node, _ context.Context, a *args) error {
	if err := a.parse(0, 0); err != nil {
		return err
	}
	t := table.New("Name", "IP_Addr", "Role", "Connected_since")
	for _, s := range n.people.Sessions(time.Now()) {
		t.Row(s.User, s.From, s.Role, showTime(s.Began))
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
	return nil
}

func showRole(_ *Node, _ context.Context, a *args) error {
	if err := a.parse(0, 0); err != nil {
		return err
	}
	names, about := people.Roles()
	t := table.New("Role", `"Rights`, "Description")
	for _, r := range names {
		var rights []string
		for _, x := range r.Rights() {
			rights = append(rights, string(x))
		}
		t.Row(r, strings.Join(rights, ","), about[r])
	}
	a.table(t)
	return nil
}
