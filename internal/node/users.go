// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		{name: "createuser", right: people.Users, secret: []string{"c"}, free: always, usage: "createuser [-c <password>|-nopassword] <user> <domain>|all <role>", about: "makes a user on both arrays, who may do what the role says, everywhere or to what is in a domain; one without a password logs in with an SSH key", run: createUser},
		{name: "setuser", right: people.Users, free: always, usage: "setuser [-unlock] [-role <role>] [-adddomain <domain>:<role>[,...]] [-rmdomain <domain>[,...]] [-defaultdomain <domain>|-unset] <user>", about: "gives a user another role, or roles in domains, on both arrays, and ends the user's sessions; -defaultdomain: the domain that they begin in; -unlock: lets one who is locked out try again", run: setUser},
		{name: "setpassword", right: people.Own, secret: []string{"c", "old"}, free: always, usage: "setpassword [-old <password>] [-c <password>] [-u <user>]", about: "changes the own password, which takes the old one, or that of another user", run: setPassword},
		{name: "removeuser", right: people.Users, free: always, usage: "removeuser [-f] <user>", about: "removes a user on both arrays, and ends the user's sessions", run: removeUser},
		{name: "setsshkey", right: people.Own, free: always, usage: "setsshkey [-add] [-u <user>] <type> <key> [<comment>]", about: "sets the own SSH public key, or that of another user; -add keeps those there are", run: setSSHKey},
		{name: "removesshkey", right: people.Own, free: always, usage: "removesshkey [-f] [-u <user>] [<fingerprint>]", about: "removes one SSH key, or all", run: removeSSHKey},
		{name: "showsshkey", right: people.Look, usage: "showsshkey [-u <user>]", about: "lists the own SSH keys, or those of another user", run: showSSHKey},
		{name: "showuser", right: people.Look, usage: "showuser [-c|-locked] [<user>...]", about: "lists the users; -c: the one who asks; -locked: who is locked out at this array", run: showUser},
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
	if a.rest[0] == itselfName {
		return array.Errorf(array.Invalid, "createuser: %s is what tasks and the audit log call the arrays themselves: want another name", itselfName)
	}
	if err := n.hasDomain(a.rest[1]); err != nil {
		return err
	}
	role, err := people.ParseRole(a.rest[2])
	if err != nil {
		return err
	}
	if err := a.mayGive(role); err != nil {
		return err
	}
	c, err := n.people.NewUser(a.rest[0], people.Grants{}.With(a.rest[1], role), *password)
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

// mayLeave refuses to let the last super user give up the role: nobody but who has a shell on the
// machine of an array could make another one.
func (n *Node) mayLeave(a *args, was people.User) error {
	if was.Name != a.by.User || was.Role != people.Super {
		return nil
	}
	all, err := n.people.Users()
	if err != nil || slices.ContainsFunc(all, func(u people.User) bool { return u.Name != was.Name && u.Role == people.Super }) {
		return err
	}
	return array.Errorf(array.Conflict, "%s: user %s is the last with the role %s: give it to another first ('createuser', 'setuser -role')", a.cmd.name, was.Name, people.Super)
}

// changeUser changes a user that exists, and that the caller may change.
func (n *Node) changeUser(ctx context.Context, a *args, name string, f func(*people.User) error) error {
	was, err := n.people.User(name)
	if err != nil {
		return err
	}
	if name != a.by.User {
		if !a.by.May(people.Users) {
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
	if now.Role != people.Super {
		if err := n.mayLeave(a, was); err != nil {
			return err
		}
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
	text, add := a.flags.String("role", "", ""), a.flags.String("adddomain", "", "")
	remove, start := a.flags.String("rmdomain", "", ""), a.flags.String("defaultdomain", "", "")
	unlock := a.flags.Bool("unlock", false, "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if *unlock {
		if *text+*add+*remove+*start != "" {
			return array.Errorf(array.Invalid, "setuser: -unlock stands alone; usage: %s", a.cmd.usage)
		}
		return n.unlockUser(ctx, a, a.rest[0])
	}
	if *text == "" && *add == "" && *remove == "" && *start == "" {
		return array.Errorf(array.Invalid, "setuser: want the role with -role, -adddomain, -rmdomain, -defaultdomain or -unlock; usage: %s", a.cmd.usage)
	}
	var more []people.Privilege
	for _, x := range list(*add) {
		domain, role, _ := strings.Cut(x, ":")
		if err := n.hasDomain(domain); err != nil {
			return err
		}
		more = append(more, people.Privilege{Domain: domain, Role: people.Role(role)})
	}
	if *text != "" {
		more = append(more, people.Privilege{Domain: people.All, Role: people.Role(*text)})
	}
	for _, p := range more {
		if _, err := people.ParseRole(string(p.Role)); err != nil {
			return err
		}
		if err := a.mayGive(p.Role); err != nil {
			return err
		}
	}
	return n.changeUser(ctx, a, a.rest[0], func(u *people.User) error {
		if *text != "" && u.Role == "" {
			return array.Errorf(array.Invalid, "user %s has no role in domain all: 'setuser -adddomain all:%s %s' gives one", u.Name, *text, u.Name)
		}
		for _, d := range list(*remove) {
			if !u.In(d) && (d != people.All || u.Role == "") {
				return array.Errorf(array.NotFound, "user %s is not in domain %.40s", u.Name, d).Because(array.NoDomain)
			}
			u.Grants = u.Without(d)
		}
		for _, p := range more {
			u.Grants = u.With(p.Domain, p.Role)
		}
		if !u.In(u.Default) && u.Role == "" {
			u.Default = ""
		}
		switch {
		case *start == noDomainWord || *start == people.All:
			u.Default = ""
		case *start != "":
			if err := n.hasDomain(*start); err != nil {
				return err
			}
			u.Default = *start
		}
		return nil
	})
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
		if *old == "" {
			return array.Errorf(array.Invalid, "setpassword: say the password that user %s has now with -old; usage: %s", name, a.cmd.usage)
		}
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
	if err := errors.Join(a.mayGive(was.Role), n.mayLeave(a, was)); err != nil {
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
	if name != a.by.User && !a.by.May(people.Users) {
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
	own, locked := a.flags.Bool("c", false, ""), a.flags.Bool("locked", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	if *locked {
		switch {
		case *own || len(a.rest) > 0:
			return array.Errorf(array.Invalid, "showuser: -locked stands alone; usage: %s", a.cmd.usage)
		case !a.by.May(people.Users):
			return array.Errorf(array.Denied, "showuser: -locked takes the right %s", people.Users)
		}
		n.showLockouts(a)
		return nil
	}
	all, err := n.people.Users()
	if err != nil {
		return err
	}
	if *own {
		a.rest = nil
	}
	if *own || !a.by.everything() {
		me := people.User{Name: a.by.User, Grants: a.by.Grants}
		if i := slices.IndexFunc(all, func(u people.User) bool { return u.Name == me.Name }); i >= 0 {
			me = all[i]
		}
		all = []people.User{me}
	}
	t, found := table.New("Username", "Domain", "Role", "Default"), map[string]bool{}
	for _, u := range all {
		if len(a.rest) == 0 || a.names(u.Name, found) {
			if u.Role != "" {
				t.Row(u.Name, people.All, u.Role, "N")
			}
			for _, p := range u.Domains {
				t.Row(u.Name, p.Domain, p.Role, map[bool]string{true: "Y", false: "N"}[p.Domain == u.Default])
			}
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
		t.Row(s.User, s.From, s.Text(), showTime(s.Began))
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
