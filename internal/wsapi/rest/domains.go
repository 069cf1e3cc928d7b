// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func domainRoutes() []route {
	return []route{
		{method: "GET", path: "/domains", right: people.Look, about: "the domains", out: collection[domain]{}, query: filtered, do: getDomains},
		{method: "POST", path: "/domains", right: people.Domains, about: "create a domain, on both arrays", in: newDomain{}, status: 201, do: postDomain},
		{method: "GET", path: "/domains/{domain}", right: people.Look, about: "one of them, and what is in it", out: domain{}, do: getDomain},
		{method: "PUT", path: "/domains/{domain}", right: people.Domains, about: "change its name or comment", in: domainMods{}, do: putDomain},
		{method: "DELETE", path: "/domains/{domain}", right: people.Domains, about: "remove it, if nothing and nobody is in it", do: deleteDomain},
		{method: "GET", path: "/domainsets", right: people.Look, about: "sets of domains", out: collection[domainSet]{}, query: filtered, do: getDomainSets},
		{method: "POST", path: "/domainsets", right: people.Domains, about: "create a set of domains", in: newDomainSet{}, status: 201, do: postDomainSet},
		{method: "GET", path: "/domainsets/{set}", right: people.Look, about: "one of them", out: domainSet{}, do: getDomainSet},
		{method: "PUT", path: "/domainsets/{set}", right: people.Domains, about: "change it: action 1 adds members, 2 takes them out; or its name or comment", in: setMods{}, do: putDomainSet},
		{method: "DELETE", path: "/domainsets/{set}", right: people.Domains, about: "remove it; its members stay", do: deleteDomainSet},
	}
}

type domain struct {
	ID      uint32 `json:"id"`
	Name    string `json:"name"`
	Comment string `json:"comment,omitempty"`
	// VVRetentionTimeMax is 0: no domain bounds how long snapshots may be retained.
	VVRetentionTimeMax int `json:"vvRetentionTimeMax"`
	// Objects are what is in it, without the volumes of its CPGs.
	Objects []string `json:"objects"`
	Links   []link   `json:"links"`
}

func domains(c *call) (all []domain, err error) {
	facts, err := c.array().Domains()
	for _, f := range facts {
		all = append(all, domain{
			ID: array.NumberOfName(f.Name), Name: f.Name, Comment: f.Comment, Objects: append([]string{}, f.Objects...), Links: []link{{base + "/domains/" + f.Name, "self"}},
		})
	}
	return all, err
}

func getDomains(c *call) (answer, error) {
	all, err := domains(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

func findDomain(c *call) (d domain, err error) {
	which, err := c.named("domain")
	if err != nil {
		return d, err
	}
	all, err := domains(c)
	if err != nil {
		return d, err
	}
	i := slices.IndexFunc(all, func(d domain) bool { return d.Name == which })
	if i < 0 {
		return d, fail(wsapi.NoDomain, "", "domain %s does not exist", which)
	}
	return all[i], nil
}

func getDomain(c *call) (answer, error) {
	d, err := findDomain(c)
	if err != nil {
		return answer{}, err
	}
	return ok(d)
}

type newDomain struct {
	Name    string `json:"name"`
	Comment string `json:"comment,omitempty"`
}

func postDomain(c *call) (answer, error) {
	var in newDomain
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("name", in.Name); err != nil {
		return answer{}, err
	}
	if err := text("comment", in.Comment, maxComment); err != nil {
		return answer{}, err
	}
	if err := c.run("createdomain", "-comment="+in.Comment, in.Name); err != nil {
		return answer{}, err
	}
	return created(base + "/domains/" + in.Name)
}

type domainMods struct {
	NewName string  `json:"newName,omitempty"`
	Comment *string `json:"comment,omitempty"`
}

// words are the options for another name and comment.
func (in domainMods) words() (words []string, err error) {
	if in.NewName == "" && in.Comment == nil {
		return nil, fail(wsapi.Missing, "", "want newName or comment")
	}
	if in.NewName != "" {
		words = append(words, "-name="+in.NewName)
		if err := name("newName", in.NewName); err != nil {
			return nil, err
		}
	}
	if in.Comment != nil {
		words = append(words, "-comment="+*in.Comment)
		err = text("comment", *in.Comment, maxComment)
	}
	return words, err
}

func putDomain(c *call) (answer, error) {
	d, err := findDomain(c)
	if err != nil {
		return answer{}, err
	}
	var in domainMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	words, err := in.words()
	if err != nil {
		return answer{}, err
	}
	if err := c.run(append(append([]string{"setdomain"}, words...), d.Name)...); err != nil {
		return answer{}, err
	}
	if in.NewName != "" {
		d.Name = in.NewName
	}
	return done(base + "/domains/" + d.Name)
}

func deleteDomain(c *call) (answer, error) {
	d, err := findDomain(c)
	if err != nil {
		return answer{}, err
	}
	if err := c.run("removedomain", "-f", d.Name); err != nil {
		return answer{}, err
	}
	return done("")
}

type domainSet struct {
	ID         uint32   `json:"id"`
	Name       string   `json:"name"`
	Comment    string   `json:"comment,omitempty"`
	SetMembers []string `json:"setmembers"`
	Count      int      `json:"count"`
}

func domainSets(c *call) (all []domainSet, err error) {
	facts, err := c.array().DomainSets()
	for _, f := range facts {
		all = append(all, domainSet{ID: array.NumberOfName(f.Name), Name: f.Name, Comment: f.Comment, SetMembers: append([]string{}, f.Members...), Count: len(f.Members)})
	}
	return all, err
}

func getDomainSets(c *call) (answer, error) {
	all, err := domainSets(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

func findDomainSet(c *call) (s domainSet, err error) {
	which, err := c.named("set")
	if err != nil {
		return s, err
	}
	all, err := domainSets(c)
	if err != nil {
		return s, err
	}
	i := slices.IndexFunc(all, func(s domainSet) bool { return s.Name == which })
	if i < 0 {
		return s, fail(wsapi.NoSet, "", "the set of domains %s does not exist", which)
	}
	return all[i], nil
}

func getDomainSet(c *call) (answer, error) {
	s, err := findDomainSet(c)
	if err != nil {
		return answer{}, err
	}
	return ok(s)
}

type newDomainSet struct {
	Name       string   `json:"name"`
	Comment    string   `json:"comment,omitempty"`
	SetMembers []string `json:"setmembers,omitempty"`
}

func postDomainSet(c *call) (answer, error) {
	var in newDomainSet
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("name", in.Name); err != nil {
		return answer{}, err
	}
	if err := text("comment", in.Comment, maxComment); err != nil {
		return answer{}, err
	}
	if err := members("setmembers", in.SetMembers); err != nil {
		return answer{}, err
	}
	if err := c.run(append([]string{"createdomainset", "-comment=" + in.Comment, in.Name}, in.SetMembers...)...); err != nil {
		return answer{}, err
	}
	return created(base + "/domainsets/" + in.Name)
}

func putDomainSet(c *call) (answer, error) {
	s, err := findDomainSet(c)
	if err != nil {
		return answer{}, err
	}
	var in setMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.NewName != "" {
		if in.Action != nil || len(in.SetMembers) > 0 {
			return answer{}, fail(wsapi.ParamConflict, "newName", "newName does not go with action and setmembers")
		}
		words, err := domainMods{NewName: in.NewName, Comment: in.Comment}.words()
		if err != nil {
			return answer{}, err
		}
		if err := c.run(append(append([]string{"setdomainset"}, words...), s.Name)...); err != nil {
			return answer{}, err
		}
		return done(base + "/domainsets/" + in.NewName)
	}
	words, err := setKind{make: "createdomainset", drop: "removedomainset"}.words(s.Name, in)
	if err != nil {
		return answer{}, err
	}
	if err := c.run(words...); err != nil {
		return answer{}, err
	}
	return done(base + "/domainsets/" + s.Name)
}

func deleteDomainSet(c *call) (answer, error) {
	s, err := findDomainSet(c)
	if err != nil {
		return answer{}, err
	}
	if err := c.run("removedomainset", "-f", s.Name); err != nil {
		return answer{}, err
	}
	return done("")
}

// inDomain are the words that put what is made in a domain.
func (c *call) inDomain(domain string) ([]string, error) {
	if domain == "" {
		return nil, nil
	}
	if err := name("domain", domain); err != nil {
		return nil, err
	}
	all, err := c.array().Domains()
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(d node.DomainFact) bool { return d.Name == domain }) {
		return nil, fail(wsapi.NoDomain, "domain", "domain %s does not exist", domain)
	}
	return []string{"-domain", domain}, nil
}

// otherDomain gives an error of objects of different domains the code that is a group's.
func otherDomain(err error, code wsapi.Code) error { return meant(err, code, array.OtherDomain) }
