// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func targetRoutes() []route {
	return []route{
		{method: "GET", path: "/remotecopy", right: people.Look, about: "Remote Copy as a whole", out: remoteCopy{}, do: getRemoteCopy},
		{method: "GET", path: "/remotecopytargets", right: people.Look, about: "the other array, and arrays outside the pair", out: collection[target]{}, query: filtered, do: getTargets},
		{method: "GET", path: "/remotecopytargets/{target}", right: people.Look, about: "one of them", out: target{}, do: getTarget},
		{method: "PUT", path: "/remotecopytargets/{target}", right: people.Change, about: "mirrorConfig, which is always on", in: targetMods{}, do: putTarget},
		{method: "GET", path: "/remotecopylinks", right: people.Look, about: "the ways to it", out: collection[remoteLink]{}, query: filtered, do: getLinks},
		{method: "GET", path: "/remotecopylinks/{link}", right: people.Look, about: "one of them", out: remoteLink{}, do: getLink},
	}
}

type remoteCopy struct {
	Mode                 int    `json:"mode"`
	Status               int    `json:"status"`
	AsyncEnabled         bool   `json:"asyncEnabled"`
	ConfigErrDescription string `json:"configErrDescription,omitempty"`
	Links                []link `json:"links"`
}

// What the incumbent says of Remote Copy that is started and well, or stopped.
const (
	remoteCopyStopped = 1
	remoteCopyStarted = 2
	remoteCopyNormal  = 1
)

func getRemoteCopy(c *call) (answer, error) {
	mode := remoteCopyStarted
	if !c.array().RemoteCopyStarted() {
		mode = remoteCopyStopped
	}
	return ok(remoteCopy{Mode: mode, Status: remoteCopyNormal, Links: []link{
		{base + "/remotecopytargets", "targets"}, {base + "/remotecopylinks", "links"}, {base + "/remotecopygroups", "groups"},
	}})
}

type target struct {
	ID       uint32         `json:"id"`
	Name     string         `json:"name"`
	Type     int            `json:"type"`
	State    int            `json:"state"`
	Policies targetPolicies `json:"policies"`
	Links    []remoteLink   `json:"remoteCopyLinks"`
	// OutsideThePair: it has periodic copies, and no part in who serves.
	OutsideThePair bool `json:"outsideThePair,omitempty"`
	// QuorumWitness is what the incumbent has no interface for.
	QuorumWitness *witness `json:"quorumWitness,omitempty"`
}

type targetPolicies struct {
	MirrorConfig bool `json:"mirrorConfig"`
}

type remoteLink struct {
	Name          string  `json:"name"`
	Target        string  `json:"targetName"`
	LocalPort     portPos `json:"portPos"`
	LocalAddress  string  `json:"localAddress"`
	RemoteAddress string  `json:"remoteAddress"`
	// Address is the incumbent's: the other array's, with the port only if it is not the usual.
	Address     string  `json:"address"`
	State       int     `json:"state"`
	RoundTripMs float64 `json:"roundTripMs,omitempty"`
	Why         string  `json:"why,omitempty"`
}

// The incumbent's enumerations.
const (
	targetIP                  = 1
	targetReady, targetFailed = 2, 5
	linkUp, linkDown          = 1, 2
)

func linksOf(t node.TargetFact) (all []remoteLink) {
	all = []remoteLink{}
	for _, l := range t.Links {
		x := remoteLink{
			Name: fmt.Sprintf("%s_0_0_%d", t.Name, l.Port), Target: t.Name, LocalPort: portPos{CardPort: l.Port}, LocalAddress: l.Listen, RemoteAddress: l.Remote, Address: node.LinkAddress(l.Remote),
			State: linkDown, Why: l.Err,
		}
		if l.Up {
			x.State, x.RoundTripMs = linkUp, float64(l.RoundTrip.Microseconds())/1000
		}
		all = append(all, x)
	}
	return all
}

func targets(c *call) (all []target) {
	for _, t := range c.array().FarTargets() {
		x := targetOf(t)
		x.OutsideThePair = true
		all = append(all, x)
	}
	t, ok := c.array().Target()
	if !ok {
		return all
	}
	x := targetOf(t)
	if w, ok := c.array().Witness(); ok {
		q := witnessOf(w)
		x.QuorumWitness = &q
	}
	return append([]target{x}, all...)
}

func targetOf(t node.TargetFact) target {
	x := target{ID: uint32(t.ID), Name: t.Name, Type: targetIP, State: targetFailed, Policies: targetPolicies{MirrorConfig: true}, Links: linksOf(t)}
	if t.Reachable {
		x.State = targetReady
	}
	return x
}

func getTargets(c *call) (answer, error) { return collect(c, targets(c)) }

func (c *call) target() (t target, err error) {
	which, err := c.named("target")
	if err != nil {
		return t, err
	}
	for _, t := range targets(c) {
		if t.Name == which {
			return t, nil
		}
	}
	return t, fail(wsapi.NoTarget, "", "target %s does not exist", which)
}

func getTarget(c *call) (answer, error) {
	t, err := c.target()
	if err != nil {
		return answer{}, err
	}
	return ok(t)
}

type targetMods struct {
	Policies *struct {
		MirrorConfig *bool `json:"mirrorConfig"`
	} `json:"policies"`
}

func putTarget(c *call) (answer, error) {
	t, err := c.target()
	if err != nil {
		return answer{}, err
	}
	var in targetMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.Policies == nil || in.Policies.MirrorConfig == nil {
		return answer{}, fail(wsapi.Missing, "policies", "policies are missing")
	}
	if !*in.Policies.MirrorConfig {
		return answer{}, fail(wsapi.Unsupported, "policies.mirrorConfig", "what is said of a group is always told to the other array")
	}
	return done(base + "/remotecopytargets/" + t.Name)
}

func links(c *call) []remoteLink {
	var all []remoteLink
	if t, ok := c.array().Target(); ok {
		all = linksOf(t)
	}
	for _, t := range c.array().FarTargets() {
		all = append(all, linksOf(t)...)
	}
	return all
}

func getLinks(c *call) (answer, error) { return collect(c, links(c)) }

func getLink(c *call) (answer, error) {
	for _, l := range links(c) {
		if l.Name == c.r.PathValue("link") {
			return ok(l)
		}
	}
	return answer{}, fail(wsapi.NoLink, "", "link %.80q does not exist", c.r.PathValue("link"))
}
