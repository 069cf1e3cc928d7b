// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// What the incumbent's interface never had.
func ownRoutes() []route {
	const g = "/remotecopygroups/{group}"
	return []route{
		{method: "GET", path: "/witness", right: people.Look, about: "the quorum witness as this array sees it", out: witness{}, do: getWitness, own: true},
		{method: "GET", path: g + "/explain", right: people.Look, about: "who may serve a group, why, and what was decided", out: explanation{}, do: getExplanation, own: true},
		{method: "GET", path: g + "/switchover", right: people.Look, about: "whether a group can be switched over, or is being", out: switchover{}, do: getSwitchover, own: true},
		{method: "POST", path: g + "/verify", right: people.Maintain, about: "compare both copies, as a task", in: rate{}, out: taskStarted{}, status: http.StatusAccepted, do: postVerify, own: true},
		{method: "GET", path: "/scrubs", right: people.Look, about: "how far the looking for damage is, by CPG", out: collection[scrub]{}, query: filtered, do: getScrubs, own: true},
		{method: "POST", path: "/scrubs", right: people.Maintain, about: "read all pages of this array now, as a task", in: rate{}, out: taskStarted{}, status: http.StatusAccepted, do: postScrub, own: true},
	}
}

type witness struct {
	Address     string  `json:"address"`
	Started     bool    `json:"started"`
	Reached     bool    `json:"reached"`
	LastSeen    string  `json:"lastSeen,omitempty"`
	RoundTripMs float64 `json:"roundTripMs"`
	Why         string  `json:"why,omitempty"`
}

func witnessOf(f node.WitnessFact) witness {
	_, seen := stamps(f.LastSeen)
	return witness{Address: f.Address, Started: f.Started, Reached: f.Reached, LastSeen: seen, RoundTripMs: float64(f.RoundTrip.Microseconds()) / 1000, Why: f.Err}
}

func getWitness(c *call) (answer, error) {
	w, is := c.array().Witness()
	if !is {
		return answer{}, fail(wsapi.NoWitness, "", "there is no witness")
	}
	return ok(witnessOf(w))
}

type explanation struct {
	Array   string `json:"array"`
	Group   string `json:"group"`
	Side    string `json:"side"`
	Record  string `json:"record"`
	Role    string `json:"role"`
	Owner   string `json:"owner"`
	Serving bool   `json:"serving"`
	WhyNot  string `json:"whyNot,omitempty"`

	Contact         bool   `json:"contact"`
	RecordsCompared bool   `json:"recordsCompared"`
	Sealed          bool   `json:"sealed"`
	LeasesEnded     bool   `json:"otherLeasesEnded"`
	WitnessHere     string `json:"witnessSeenHere"`
	WitnessThere    string `json:"witnessSeenThere"`
	CopyWhole       bool   `json:"copyWhole"`

	LogEnd      string `json:"logEnd"`
	Committed   uint64 `json:"committed"`
	Applied     uint64 `json:"applied"`
	OtherHolds  uint64 `json:"otherHolds"`
	Split       bool   `json:"split"`
	CopyingText string `json:"copying,omitempty"`

	// NewestPoint is the moment that the other array's copy of a periodic group is of.
	NewestPoint    string `json:"newestPoint,omitempty"`
	NewestPointSec int64  `json:"newestPointSec,omitempty"`
	// Copies are those outside the pair, and what the group is a copy of.
	Copies []farCopy `json:"copies,omitempty"`

	Decisions []decision `json:"decisions"`
}

type decision struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
}

func getExplanation(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	e, err := c.array().Explain(f.Name)
	if err != nil {
		return answer{}, err
	}
	i, in := e.Group, e.Group.Inputs
	out := explanation{
		Array: e.Array, Group: i.Name, Side: i.Self.String(), Record: fmt.Sprint(i.Record), Role: i.View.Role.String(), Owner: e.Owner, Serving: e.Serving, WhyNot: i.Reason,
		Contact: in.Contact, RecordsCompared: in.Matched, Sealed: in.Sealed, LeasesEnded: in.GrantEnded, CopyWhole: in.Synced,
		WitnessHere: fmt.Sprintf("%x", in.Witness), WitnessThere: fmt.Sprintf("%x", in.PeerWitness),
		LogEnd: i.End.String(), Committed: uint64(i.Commit), Applied: uint64(i.Applied), OtherHolds: uint64(i.Peer), Split: i.Split, CopyingText: i.Copy,
		Copies: farCopies(e.Outside), Decisions: []decision{},
	}
	out.NewestPoint, out.NewestPointSec = pointTime(i.Period.At)
	for _, d := range i.Decisions {
		out.Decisions = append(out.Decisions, decision{fmt.Sprint(d.From), fmt.Sprint(d.To), d.Reason.String()})
	}
	return ok(out)
}

type switchover struct {
	Possible     bool   `json:"possible"`
	UnderWay     bool   `json:"underWay"`
	Why          string `json:"whyNot,omitempty"`
	ServingArray string `json:"servingArray"`
	HomeArray    string `json:"homeArray"`
	AtHome       bool   `json:"atHome"`
}

func getSwitchover(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	s := switchover{UnderWay: f.Switching, ServingArray: f.Serving, HomeArray: f.HomeArray, AtHome: f.Serving == f.HomeArray}
	switch {
	case f.Switching:
		s.Why = "it is being switched over"
	case f.Serving == "":
		s.Why = "no array known here serves it"
	case !f.Contact:
		s.Why = "the other array does not answer"
	case f.Sync != "Synced":
		s.Why = "the other copy is not in sync"
	default:
		s.Possible = true
	}
	return ok(s)
}

type rate struct {
	MiBPerSecond *int64 `json:"mibPerSecond,omitempty"`
}

// rated returns the options for how fast to read; the body may be left out.
func (c *call) rated() ([]string, error) {
	var in rate
	if len(c.body) == 0 {
		return nil, nil
	}
	if err := c.decode(&in); err != nil || in.MiBPerSecond == nil {
		return nil, err
	}
	return []string{"-rate", fmt.Sprint(*in.MiBPerSecond)}, between("mibPerSecond", *in.MiBPerSecond, 1, 16<<20)
}

func postVerify(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	words, err := c.rated()
	if err != nil {
		return answer{}, err
	}
	a, err := c.task("check_vv", f.Name, "", append(append([]string{"verify"}, words...), f.Name)...)
	return accepted(a), err
}

// accepted says that something has begun, and where to look for it.
func accepted(a answer) answer {
	if t, is := a.body.(taskStarted); is {
		a.status, a.location = http.StatusAccepted, fmt.Sprintf("%s/tasks/%d", base, t.ID)
	}
	return a
}

type scrub struct {
	CPG          string `json:"cpg"`
	Running      bool   `json:"running"`
	Began        string `json:"began,omitempty"`
	Pages        int64  `json:"pages"`
	Damaged      int64  `json:"damaged"`
	Repaired     int64  `json:"repaired"`
	Ended        string `json:"lastEnded,omitempty"`
	LastPages    int64  `json:"lastPages"`
	LastDamaged  int64  `json:"lastDamaged"`
	LastRepaired int64  `json:"lastRepaired"`
	MiBPerSecond int64  `json:"mibPerSecond"`
}

func getScrubs(c *call) (answer, error) {
	facts, err := c.array().CPGs()
	if err != nil {
		return answer{}, err
	}
	all := []scrub{}
	for _, f := range facts {
		s := f.Scrub
		all = append(all, scrub{
			CPG: f.Name, Running: s.Running, Began: isoOf(s.Began), Pages: s.Pages, Damaged: s.Damaged, Repaired: s.Repaired,
			Ended: isoOf(s.Ended), LastPages: s.LastPages, LastDamaged: s.LastDamaged, LastRepaired: s.LastRepaired, MiBPerSecond: s.Rate >> 20,
		})
	}
	return collect(c, all)
}

func isoOf(t time.Time) string {
	_, iso := stamps(t)
	return iso
}

func postScrub(c *call) (answer, error) {
	words, err := c.rated()
	if err != nil {
		return answer{}, err
	}
	a, err := c.task("scrub", c.array().System().Name, "", append([]string{"scrub"}, words...)...)
	return accepted(a), err
}
