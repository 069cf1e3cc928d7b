// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"slices"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// Which array's paths hosts prefer in a group that both serve: the incumbent has the
// command line only.
func proximityRoutes() []route {
	const all, one = "/remotecopygroups/{group}/hosts", "/remotecopygroups/{group}/hosts/{host}"
	return []route{
		{method: "GET", path: all, right: people.Look, about: "hosts that prefer an array's paths, or all", out: collection[nearness]{}, query: filtered, do: getProximities, own: true},
		{method: "PUT", path: one, right: people.Change, about: "proximity of a host, or of set:hosts: primary, secondary or all", in: proximity{}, do: putProximity, own: true},
		{method: "DELETE", path: one, right: people.Change, about: "let it prefer the home array's paths again", do: deleteProximity, own: true},
	}
}

type nearness struct {
	Host      string `json:"host"`
	Proximity string `json:"proximity"`
}

type proximity struct {
	Proximity string `json:"proximity"`
}

func getProximities(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	all := []nearness{}
	for _, x := range f.Near {
		all = append(all, nearness{x.Host, x.Proximity})
	}
	return collect(c, all)
}

// hostOfGroup is the group and the host of the path.
func (c *call) hostOfGroup() (f node.GroupFact, host string, err error) {
	if f, err = c.group(); err != nil {
		return f, "", err
	}
	host = c.r.PathValue("host")
	return f, host, hostOrSet("host", host)
}

func putProximity(c *call) (answer, error) {
	f, host, err := c.hostOfGroup()
	if err != nil {
		return answer{}, err
	}
	var in proximity
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if !slices.Contains([]string{"primary", "secondary", "all"}, in.Proximity) {
		return answer{}, fail(wsapi.BadEnum, "proximity", "proximity %.40q: want primary, secondary or all", in.Proximity)
	}
	if err := c.run("admitrcopyhost", "-proximity", in.Proximity, f.Name, host); err != nil {
		return answer{}, err
	}
	return done(atGroup(f) + "/hosts/" + host)
}

func deleteProximity(c *call) (answer, error) {
	f, host, err := c.hostOfGroup()
	if err != nil {
		return answer{}, err
	}
	if err := c.run("dismissrcopyhost", "-f", f.Name, host); err != nil {
		return answer{}, err
	}
	return done("")
}
