// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func setRoutes() []route {
	var all []route
	for _, k := range []setKind{
		{"/volumesets", "volumes", "createvvset", "removevvset", people.Change, (*node.View).VolumeSets},
		{"/hostsets", "hosts", "createhostset", "removehostset", people.Make, (*node.View).HostSets},
	} {
		all = append(
			all,
			route{method: "GET", path: k.path, right: people.Look, about: "sets of " + k.of, out: collection[set]{}, query: filtered, do: k.list},
			route{method: "POST", path: k.path, right: k.right, about: "create a set of " + k.of, in: newSet{}, status: 201, do: k.create},
			route{method: "GET", path: k.path + "/{set}", right: people.Look, about: "one of them", out: set{}, do: k.get},
			route{method: "PUT", path: k.path + "/{set}", right: people.Change, about: "change it: action 1 adds members, 2 takes them out", in: setMods{}, do: k.change},
			route{method: "DELETE", path: k.path + "/{set}", right: people.Change, about: "remove it; its members stay", do: k.remove},
		)
	}
	return append(all, route{
		method: "POST", path: "/volumesets/{set}", right: people.Make, about: "createSnapshot: of all its volumes, of one moment", in: volumeAction{}, status: 201, do: postVolumeSet,
	})
}

// setKind is what sets of volumes and of hosts differ in.
type setKind struct {
	path, of, make, drop string
	right                people.Right
	facts                func(*node.View) ([]node.SetFact, error)
}

type set struct {
	ID         uint32   `json:"id"`
	Name       string   `json:"name"`
	Comment    string   `json:"comment,omitempty"`
	Domain     string   `json:"domain,omitempty"`
	SetMembers []string `json:"setmembers"`
	Count      int      `json:"count"`
	// FlashCachePolicy is always off; QoSEnabled says that a rule limits hosts.
	FlashCachePolicy int  `json:"flashCachePolicy"`
	QoSEnabled       bool `json:"qosEnabled"`
}

const flashCacheOff = 2

func (k setKind) sets(c *call) (all []set, err error) {
	facts, err := k.facts(c.array())
	for _, f := range facts {
		all = append(all, set{
			ID: array.NumberOfName(f.Name), Name: f.Name, Comment: f.Comment, Domain: f.Domain, SetMembers: append([]string{}, f.Members...), Count: len(f.Members), FlashCachePolicy: flashCacheOff, QoSEnabled: f.Limited,
		})
	}
	return all, err
}

func (k setKind) list(c *call) (answer, error) {
	all, err := k.sets(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

// find returns the set of the path.
func (k setKind) find(c *call) (s set, err error) {
	which, err := c.named("set")
	if err != nil {
		return s, err
	}
	all, err := k.sets(c)
	if err != nil {
		return s, err
	}
	i := slices.IndexFunc(all, func(s set) bool { return s.Name == which })
	if i < 0 {
		return s, fail(wsapi.NoSet, "", "the set of %s %s does not exist", k.of, which)
	}
	return all[i], nil
}

func (k setKind) get(c *call) (answer, error) {
	s, err := k.find(c)
	if err != nil {
		return answer{}, err
	}
	return ok(s)
}

type newSet struct {
	Name       string   `json:"name"`
	Comment    string   `json:"comment,omitempty"`
	Domain     string   `json:"domain,omitempty"`
	SetMembers []string `json:"setmembers,omitempty"`
	// FlashCachePolicy: off is all there is.
	FlashCachePolicy int `json:"flashCachePolicy,omitempty"`
}

// noFlashCache refuses a policy that asks for one.
func noFlashCache(policy int) error {
	if policy != 0 && policy != flashCacheOff {
		return fail(wsapi.Unsupported, "flashCachePolicy", "there is no flash cache: want %d, or leave flashCachePolicy out", flashCacheOff)
	}
	return nil
}

// members finds out whether all are names.
func members(ref string, all []string) error {
	for _, m := range all {
		if err := name(ref, m); err != nil {
			return err
		}
	}
	return nil
}

func (k setKind) create(c *call) (answer, error) {
	var in newSet
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("name", in.Name); err != nil {
		return answer{}, err
	}
	if err := noFlashCache(in.FlashCachePolicy); err != nil {
		return answer{}, err
	}
	into, err := c.inDomain(in.Domain)
	if err != nil {
		return answer{}, err
	}
	if err := text("comment", in.Comment, maxComment); err != nil {
		return answer{}, err
	}
	if err := members("setmembers", in.SetMembers); err != nil {
		return answer{}, err
	}
	words := append([]string{k.make}, into...)
	if in.Comment != "" {
		words = append(words, "-comment="+in.Comment)
	}
	if err := c.run(append(append(words, in.Name), in.SetMembers...)...); err != nil {
		return answer{}, err
	}
	return created(base + k.path + "/" + in.Name)
}

type setMods struct {
	Action           *int     `json:"action,omitempty"`
	NewName          string   `json:"newName,omitempty"`
	Comment          *string  `json:"comment,omitempty"`
	FlashCachePolicy int      `json:"flashCachePolicy,omitempty"`
	SetMembers       []string `json:"setmembers,omitempty"`
}

// The actions on a set.
const (
	addMembers    = 1
	removeMembers = 2
)

func (k setKind) change(c *call) (answer, error) {
	s, err := k.find(c)
	if err != nil {
		return answer{}, err
	}
	var in setMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	words, err := k.words(s.Name, in)
	if err != nil {
		return answer{}, err
	}
	if err := c.run(words...); err != nil {
		return answer{}, err
	}
	return done(base + k.path + "/" + s.Name)
}

func (k setKind) words(which string, in setMods) ([]string, error) {
	if in.NewName != "" {
		return nil, fail(wsapi.Unsupported, "newName", "a set can't be given another name: make a new one")
	}
	if err := noFlashCache(in.FlashCachePolicy); err != nil {
		return nil, err
	}
	if err := members("setmembers", in.SetMembers); err != nil {
		return nil, err
	}
	words := []string{k.make, "-add"}
	if in.Comment != nil {
		if err := text("comment", *in.Comment, maxComment); err != nil {
			return nil, err
		}
		words = append(words, "-comment="+*in.Comment)
	}
	words = append(words, which)
	switch {
	case in.Action == nil && len(in.SetMembers) > 0:
		return nil, fail(wsapi.OneRequired, "action", "action is missing: want 1 to add setmembers, 2 to take them out")
	case in.Action == nil && in.Comment == nil && in.FlashCachePolicy == 0:
		return nil, fail(wsapi.Missing, "", "want action with setmembers, or comment")
	case in.Action == nil:
		return words, nil
	case len(in.SetMembers) == 0:
		return nil, fail(wsapi.Missing, "setmembers", "setmembers are missing")
	case *in.Action == addMembers:
		return append(words, in.SetMembers...), nil
	case *in.Action == removeMembers && in.Comment != nil:
		return nil, fail(wsapi.ParamConflict, "comment", "comment does not go with action 2")
	case *in.Action == removeMembers:
		return append([]string{k.drop, "-f", which}, in.SetMembers...), nil
	case *in.Action == 3 || *in.Action == 4:
		return nil, fail(wsapi.Unsupported, "action", "action %d is not offered", *in.Action)
	}
	return nil, fail(wsapi.BadEnum, "action", "action %d: want 1 or 2", *in.Action)
}

func (k setKind) remove(c *call) (answer, error) {
	s, err := k.find(c)
	if err != nil {
		return answer{}, err
	}
	if err := c.run(k.drop, "-f", s.Name); err != nil {
		return answer{}, err
	}
	return done("")
}

func postVolumeSet(c *call) (answer, error) {
	k := setKind{of: "volumes", facts: (*node.View).VolumeSets}
	s, err := k.find(c)
	if err != nil {
		return answer{}, err
	}
	var in volumeAction
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if len(s.SetMembers) == 0 {
		return answer{}, fail(wsapi.EmptySet, "", "volume set %s is empty", s.Name)
	}
	return snapshotSet(c, s.SetMembers, in)
}
