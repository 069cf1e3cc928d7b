// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// A set of volumes protected by one request, and a group shown to others for a drill.
func protectRoutes() []route {
	const drills = "/remotecopygroups/{group}/drill"
	return []route{
		{method: "POST", path: "/volumesets/{set}/protection", right: people.Change, about: "make a group of all volumes of a set, with exports, policies and proximities, or nothing", in: protection{}, out: taskStarted{}, status: http.StatusCreated, do: postProtection, own: true},
		{method: "GET", path: "/drills", right: people.Look, about: "the drills of this array", out: collection[drill]{}, query: filtered, do: getDrills, own: true},
		{method: "GET", path: drills, right: people.Look, about: "a group's drill on this array", out: drill{}, do: getDrill, own: true},
		{method: "POST", path: drills, right: people.Change, about: "show a group's volumes, as they are now, to other hosts through this array", in: drillSpec{}, status: http.StatusCreated, do: postDrill, own: true},
		{method: "DELETE", path: drills, right: people.Change, about: "remove all that the drill made", do: deleteDrill, own: true},
	}
}

type protection struct {
	GroupName  string `json:"groupName"`
	TargetName string `json:"targetName"`
	Mode       int    `json:"mode"`
	SyncPeriod *int64 `json:"syncPeriod,omitempty"`
	// Hosts, or set:name, see all volumes at LUNs that are free on both arrays.
	Hosts     []string    `json:"hosts,omitempty"`
	Proximity string      `json:"proximity,omitempty"`
	Policies  *policyMods `json:"policies,omitempty"`
}

func postProtection(c *call) (answer, error) {
	set, err := c.named("set")
	if err != nil {
		return answer{}, err
	}
	var in protection
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("groupName", in.GroupName); err != nil {
		return answer{}, err
	}
	if err := required("targetName", in.TargetName); err != nil {
		return answer{}, err
	}
	if err := mayBeMode("mode", in.Mode); err != nil {
		return answer{}, err
	}
	f := node.GroupFact{RCGroup: node.RCGroup{Name: in.GroupName}}
	if in.Mode != modeSync {
		f.Period = maxPeriod
	}
	t := groupTargetMod{Policies: in.Policies, SyncPeriod: in.SyncPeriod}
	policies, err := t.words(c, f)
	if err != nil {
		return answer{}, err
	}
	words := []string{"protectvvset"}
	if len(policies) > 0 {
		words = append(words, "-pol", strings.Join(policies, ","))
	}
	if in.SyncPeriod != nil {
		words = append(words, "-period", strconv.FormatInt(*in.SyncPeriod, 10)+"s")
	}
	for _, h := range in.Hosts {
		if err := hostOrSet("hosts", h); err != nil {
			return answer{}, err
		}
	}
	if len(in.Hosts) > 0 {
		words = append(words, "-host", strings.Join(in.Hosts, ","))
	}
	if in.Proximity != "" {
		if err := name("proximity", in.Proximity); err != nil {
			return answer{}, err
		}
		words = append(words, "-proximity", in.Proximity)
	}
	was := c.copyTasks("set:" + set)
	if err := c.run(append(words, set, in.GroupName, in.TargetName+":"+modeWord(in.Mode))...); err != nil {
		return answer{}, err
	}
	return c.goesOn(answer{status: http.StatusCreated, location: base + "/remotecopygroups/" + in.GroupName}, was, "set:"+set), nil
}

type drill struct {
	Group string `json:"group"`
	// AsOf is the moment that the volumes are of; Ready is false of a drill that was begun
	// and not finished.
	AsOf    string        `json:"asOf"`
	Ready   bool          `json:"ready"`
	Hosts   []string      `json:"hosts"`
	Volumes []drillVolume `json:"volumes"`
}

type drillVolume struct {
	Of       string `json:"of"`
	Volume   string `json:"volume"`
	Snapshot string `json:"snapshot"`
}

type drillSpec struct {
	Hosts []string `json:"hosts,omitempty"`
}

func drills(c *call) ([]drill, error) {
	facts, err := c.array().Drills()
	all := []drill{}
	for _, f := range facts {
		d := drill{Group: f.Group, AsOf: f.At.Format(time.RFC3339), Ready: !f.Ready.IsZero(), Hosts: append([]string{}, f.Hosts...)}
		for _, v := range f.Volumes {
			d.Volumes = append(d.Volumes, drillVolume{v.Of, v.Volume, v.Snapshot})
		}
		all = append(all, d)
	}
	return all, err
}

func getDrills(c *call) (answer, error) {
	all, err := drills(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

func getDrill(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	all, err := drills(c)
	if err != nil {
		return answer{}, err
	}
	for _, d := range all {
		if d.Group == f.Name {
			return ok(d)
		}
	}
	return answer{}, fail(wsapi.NoResource, "", "group %s has no drill on this array", f.Name)
}

func postDrill(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	var in drillSpec
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	words := []string{"startrcopydrill"}
	for _, h := range in.Hosts {
		if err := hostOrSet("hosts", h); err != nil {
			return answer{}, err
		}
	}
	if len(in.Hosts) > 0 {
		words = append(words, "-host", strings.Join(in.Hosts, ","))
	}
	if err := c.run(append(words, f.Name)...); err != nil {
		return answer{}, err
	}
	return created(atGroup(f) + "/drill")
}

func deleteDrill(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	if err := c.run("stoprcopydrill", "-f", f.Name); err != nil {
		return answer{}, err
	}
	return done("")
}
