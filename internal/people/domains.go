// SPDX-License-Identifier: Apache-2.0

package people

import (
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// All is the word for all domains, and for what is in none. No domain has the name.
const All = "all"

// maxPrivileges bounds the domains that a user is in, as the incumbent.
const maxPrivileges = 32

// Privilege is a role in a domain.
type Privilege struct {
	Domain string `json:"domain"`
	Role   Role   `json:"role"`
}

// Grants are what a user may do where: a role in all domains, or roles in some.
type Grants struct {
	// Role holds for all domains, and for what concerns the whole array; empty: for none.
	Role Role `json:"role,omitempty"`
	// Domains are those that the user has a role in, by name.
	Domains []Privilege `json:"domains,omitempty"`
}

// May reports whether there is the right for the whole array, or in any domain.
func (g Grants) May(r Right) bool {
	return g.Role.May(r) || slices.ContainsFunc(g.Domains, func(p Privilege) bool { return p.Role.May(r) })
}

// MayIn reports whether there is the right for what is in a domain; empty: for what is in none.
func (g Grants) MayIn(domain string, r Right) bool {
	return g.Role.May(r) || slices.ContainsFunc(g.Domains, func(p Privilege) bool { return p.Domain == domain && p.Role.May(r) })
}

// Text is the grants as people read them.
func (g Grants) Text() string {
	var all []string
	if g.Role != "" {
		all = append(all, string(g.Role))
	}
	for _, p := range g.Domains {
		all = append(all, string(p.Role)+" in domain "+p.Domain)
	}
	return strings.Join(all, ", ")
}

// With returns the grants with a role in a domain, or in all.
func (g Grants) With(domain string, r Role) Grants {
	if domain == All {
		g.Role = r
		return g
	}
	g.Domains = append(g.Without(domain).Domains, Privilege{domain, r})
	slices.SortFunc(g.Domains, func(a, b Privilege) int { return strings.Compare(a.Domain, b.Domain) })
	return g
}

// Without returns the grants without those in a domain.
func (g Grants) Without(domain string) Grants {
	if domain == All {
		g.Role = ""
		return g
	}
	g.Domains = slices.DeleteFunc(slices.Clone(g.Domains), func(p Privilege) bool { return p.Domain == domain })
	if len(g.Domains) == 0 {
		g.Domains = nil
	}
	return g
}

// In reports whether there is a role in a domain by its name.
func (g Grants) In(domain string) bool {
	return slices.ContainsFunc(g.Domains, func(p Privilege) bool { return p.Domain == domain })
}

// inDomains are the roles that a user can have in some domains only: what others may do
// concerns the whole array.
func inDomains() []Role { return []Role{Edit, Create, Browse} }

// check finds what can't be meant.
func (g Grants) check(user string) error {
	if g.Role == "" && len(g.Domains) == 0 {
		return array.Errorf(array.Invalid, "user %s would have no role: want one in a domain, or in all", user)
	}
	if g.Role != "" {
		if _, err := ParseRole(string(g.Role)); err != nil {
			return err
		}
	}
	if len(g.Domains) > maxPrivileges {
		return array.Errorf(array.Full, "user %s would be in %d domains, the most there may be is %d", user, len(g.Domains), maxPrivileges)
	}
	for i, p := range g.Domains {
		switch {
		case !slices.Contains(inDomains(), p.Role):
			return array.Errorf(array.Invalid, "user %s: the role %q in domain %q: want edit, create or browse; the others concern the whole array, and are for domain all", user, printable(string(p.Role), 31), printable(p.Domain, 31))
		case p.Domain == "" || p.Domain == All || len(p.Domain) > 31 || i > 0 && g.Domains[i-1].Domain >= p.Domain:
			return array.Errorf(array.Invalid, "user %s: domain %q: want each once, by its name", user, printable(p.Domain, 40))
		}
	}
	return nil
}

// Rename puts the name of a domain in the place of another, and reports whether it was there.
func (u *User) Rename(from, to string) bool {
	i := slices.IndexFunc(u.Domains, func(p Privilege) bool { return p.Domain == from })
	if i < 0 {
		return false
	}
	role := u.Domains[i].Role
	u.Grants = u.Without(from).With(to, role)
	if u.Default == from {
		u.Default = to
	}
	return true
}

// RenamesIn gives the users of a domain its new name, in a transaction. It returns the changes, and
// what the other array is to hear of them.
func (b *Book) RenamesIn(t *store.Tx, from, to string) (made, tell []UserChange, err error) {
	if err := tables.users.Each(t, func(_ string, was User) error {
		now := was
		if now.Rename(from, to) {
			made = append(made, UserChange{Name: was.Name, Was: &was, Now: &now})
		}
		return nil
	}); err != nil {
		return nil, nil, err
	}
	for _, c := range made {
		told, err := b.MakeIn(t, c)
		if err != nil {
			return nil, nil, err
		}
		if told != nil {
			tell = append(tell, *told)
		}
	}
	return made, tell, nil
}

// Enter changes the domain that a session is in; empty: all that its user may see.
func (b *Book) Enter(key, domain string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[key]
	if key == "" || s == nil {
		return array.Errorf(array.Invalid, "changedomain: there is no session that could be in a domain: log in over SSH, or say -domain")
	}
	s.Domain = domain
	return nil
}
