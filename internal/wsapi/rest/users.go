// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func userRoutes() []route {
	return []route{
		{method: "POST", path: "/credentials", open: true, about: "log in", in: credentials{}, out: sessionKey{}, status: http.StatusCreated, do: login},
		{method: "DELETE", path: "/credentials/{key}", open: true, about: "log out", do: logout},
		{method: "GET", path: "/users", right: people.Look, about: "who may log in", out: collection[user]{}, query: filtered, do: getUsers},
		{method: "GET", path: "/users/{user}", right: people.Look, about: "one of them", out: user{}, do: getUser},
		{method: "GET", path: "/roles", right: people.Look, about: "what users may do", out: collection[role]{}, query: filtered, do: getRoles},
		{method: "GET", path: "/roles/{role}", right: people.Look, about: "one of them", out: role{}, do: getRole},
	}
}

// filtered is the query string of collections.
var filtered = []string{"query"}

type credentials struct {
	User     string `json:"user"`
	Password string `json:"password"`
	// SessionType is 1 or 2; all sessions are alike.
	SessionType int `json:"sessionType,omitempty"`
}

type sessionKey struct {
	Key string `json:"key"`
}

func login(c *call) (answer, error) {
	var in credentials
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	switch {
	case in.User == "":
		return answer{}, fail(wsapi.Missing, "user", "user is missing")
	case in.Password == "":
		return answer{}, fail(wsapi.Missing, "password", "password is missing")
	}
	if !c.s.logins.take(c.r.Context(), waitWithin) {
		return answer{}, array.Errorf(array.Busy, "there are too many logins: try again")
	}
	defer c.s.logins.give()
	from, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		from = c.r.RemoteAddr
	}
	s, err := c.s.cfg.People.Login(in.User, in.Password, from, time.Now())
	switch {
	case array.KindOf(err) == array.Denied:
		return answer{}, fail(wsapi.BadLogin, "", "%v", err)
	case err != nil:
		return answer{}, err
	}
	return answer{status: http.StatusCreated, location: base + "/credentials/" + s.Key, body: sessionKey{Key: s.Key}}, nil
}

// logout needs no session beside the one that it ends: whoever knows a key may end it.
func logout(c *call) (answer, error) {
	key := c.r.PathValue("key")
	if _, err := c.s.cfg.People.Session(key, time.Now()); err != nil {
		return answer{}, fail(wsapi.BadSession, "", "the session key is not valid, or its time is over")
	}
	c.s.cfg.People.Logout(key)
	return done("")
}

type user struct {
	Name             string      `json:"name"`
	DomainPrivileges []privilege `json:"domainPrivileges"`
	DefaultDomain    string      `json:"defaultDomain,omitempty"`
	SSHKeys          int         `json:"sshKeys"`
	// LockedOut says for which addresses passwords are not tried for a while, at the array
	// that is asked.
	LockedOut []lockout `json:"lockedOut,omitempty"`
}

type lockout struct {
	From  string `json:"from,omitempty"` // none: from all addresses
	Until string `json:"until"`
}

type privilege struct {
	Name      string `json:"name"`
	Privilege string `json:"privilege"`
}

// users are those that showuser lists for the caller: all, or without a role in all domains the
// caller alone. Who is locked out takes the right that it takes there.
func users(c *call) (all []user, err error) {
	us, err := c.s.cfg.People.Users()
	locked := map[string][]lockout{}
	if c.who.May(people.Users) {
		for _, l := range c.s.cfg.People.Lockouts(time.Now()) {
			locked[l.User] = append(locked[l.User], lockout{l.From, isoOf(l.Until)})
		}
	}
	for _, u := range us {
		if u.Name != c.who.User && !c.array().Everything() {
			continue
		}
		p := []privilege{}
		if u.Role != "" {
			p = append(p, privilege{people.All, string(u.Role)})
		}
		for _, d := range u.Domains {
			p = append(p, privilege{d.Domain, string(d.Role)})
		}
		all = append(all, user{Name: u.Name, DomainPrivileges: p, DefaultDomain: u.Default, SSHKeys: len(u.Keys), LockedOut: locked[u.Name]})
	}
	slices.SortFunc(all, func(a, b user) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

func getUsers(c *call) (answer, error) {
	all, err := users(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

func getUser(c *call) (answer, error) {
	all, err := users(c)
	if err != nil {
		return answer{}, err
	}
	for _, u := range all {
		if u.Name == c.r.PathValue("user") {
			return ok(u)
		}
	}
	return answer{}, fail(wsapi.NoUser, "", "user %.64q does not exist", c.r.PathValue("user"))
}

type role struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Rights      []string `json:"rights"`
}

func roles() (all []role) {
	names, about := people.Roles()
	for _, n := range names {
		r := role{Name: string(n), Description: about[n]}
		for _, x := range n.Rights() {
			r.Rights = append(r.Rights, string(x))
		}
		all = append(all, r)
	}
	return all
}

func getRoles(c *call) (answer, error) { return collect(c, roles()) }

func getRole(c *call) (answer, error) {
	for _, r := range roles() {
		if r.Name == c.r.PathValue("role") {
			return ok(r)
		}
	}
	return answer{}, fail(wsapi.NoRole, "", "role %.64q does not exist", c.r.PathValue("role"))
}

// portOf is the first address's port.
func portOf(listen []string) int {
	for _, a := range listen {
		if _, p, err := net.SplitHostPort(a); err == nil {
			n, _ := strconv.Atoi(p)
			return n
		}
	}
	return 0
}
