// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func cpgRoutes() []route {
	return []route{
		{method: "GET", path: "/cpgs", right: people.Look, about: "the common provisioning groups of this array", out: collection[cpg]{}, query: filtered, do: getCPGs},
		{method: "GET", path: "/cpgs/{cpg}", right: people.Look, about: "one of them", out: cpg{}, do: getCPG},
		{method: "PUT", path: "/cpgs/{cpg}", right: people.Change, about: "change its warning and limit", in: cpgMods{}, do: putCPG},
		{method: "POST", path: "/spacereporter", right: people.Look, about: "how much a CPG may still take", in: spaceOf{}, out: space{}, do: postSpace},
	}
}

type cpg struct {
	ID                 uint32   `json:"id"`
	Name               string   `json:"name"`
	Domain             string   `json:"domain,omitempty"`
	NumFPVVs           int      `json:"numFPVVs"`
	NumTPVVs           int      `json:"numTPVVs"`
	NumTDVVs           int      `json:"numTDVVs"`
	UsrUsage           usage    `json:"UsrUsage"`
	SAUsage            usage    `json:"SAUsage"`
	SDUsage            usage    `json:"SDUsage"`
	SAGrowth           growth   `json:"SAGrowth"`
	SDGrowth           growth   `json:"SDGrowth"`
	State              int      `json:"state"`
	FailedStates       []string `json:"failedStates"`
	DegradedStates     []string `json:"degradedStates"`
	AdditionalStates   []string `json:"additionalStates"`
	TotalSpaceMiB      float64  `json:"totalSpaceMiB"`
	FreeSpaceMiB       float64  `json:"freeSpaceMiB"`
	UsableFreeSpaceMiB float64  `json:"usableFreeSpaceMiB"`
	WrittenMiB         float64  `json:"writtenMiB"`
}

type usage struct {
	TotalMiB    float64 `json:"totalMiB"`
	RawTotalMiB float64 `json:"rawTotalMiB"`
	UsedMiB     float64 `json:"usedMiB"`
	RawUsedMiB  float64 `json:"rawUsedMiB"`
}

type growth struct {
	IncrementMiB float64 `json:"incrementMiB,omitempty"`
	LimitMiB     float64 `json:"limitMiB,omitempty"`
	WarningMiB   float64 `json:"warningMiB,omitempty"`
	LDLayout     layout  `json:"LDLayout"`
}

type layout struct {
	DiskPatterns []string `json:"diskPatterns"`
}

func cpgOf(f node.CPGFact, volumes []node.VolumeFact) cpg {
	g := cpg{
		ID: array.NumberOfName(f.Name), Name: f.Name, Domain: f.Domain, State: stateNormal, FailedStates: []string{}, DegradedStates: []string{}, AdditionalStates: []string{},
		TotalSpaceMiB: mib(f.Cap), FreeSpaceMiB: mib(f.Free()), UsableFreeSpaceMiB: mib(f.Free()), WrittenMiB: mib(f.Written),
	}
	if state := f.State(); state != "normal" {
		g.State, g.DegradedStates = stateDegraded, []string{state}
	}
	used := mib(f.Used)
	total := used + mib(f.Reserved)
	g.UsrUsage = usage{TotalMiB: total, RawTotalMiB: total, UsedMiB: used, RawUsedMiB: used}
	g.SAGrowth.LDLayout.DiskPatterns, g.SDGrowth.LDLayout.DiskPatterns = []string{}, []string{}
	g.SDGrowth.LimitMiB, g.SDGrowth.WarningMiB = mib(f.Cap), mib(f.Warn)
	for _, v := range volumes {
		if v.CPG != f.Name || v.Of != 0 {
			continue
		}
		switch v.Prov() {
		case "full":
			g.NumFPVVs++
		case "tdvv":
			g.NumTDVVs++
		default:
			g.NumTPVVs++
		}
	}
	return g
}

func cpgs(c *call) (all []cpg, err error) {
	facts, err := c.array().CPGs()
	if err != nil {
		return nil, err
	}
	volumes, err := c.array().Volumes()
	for _, f := range facts {
		all = append(all, cpgOf(f, volumes))
	}
	return all, err
}

func getCPGs(c *call) (answer, error) {
	all, err := cpgs(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

func getCPG(c *call) (answer, error) {
	which, err := c.named("cpg")
	if err != nil {
		return answer{}, err
	}
	all, err := cpgs(c)
	if err != nil {
		return answer{}, err
	}
	for _, g := range all {
		if g.Name == which {
			return ok(g)
		}
	}
	return answer{}, noCPG(which)
}

func noCPG(which string) error { return fail(wsapi.NoCPG, "", "CPG %s does not exist", which) }

// hasCPG finds out whether there is a CPG of that name.
func (c *call) hasCPG(ref, which string) error {
	if err := name(ref, which); err != nil {
		return err
	}
	if !c.array().HasCPG(which) {
		return fail(wsapi.NoCPG, ref, "CPG %s does not exist", which)
	}
	return nil
}

type cpgMods struct {
	GrowthLimitMiB        *int64 `json:"growthLimitMiB,omitempty"`
	UsedLDWarningAlertMiB *int64 `json:"usedLDWarningAlertMiB,omitempty"`
	RmGrowthLimit         bool   `json:"rmGrowthLimit,omitempty"`
	RmWarningAlert        bool   `json:"rmWarningAlert,omitempty"`
}

func putCPG(c *call) (answer, error) {
	which, err := c.named("cpg")
	if err != nil {
		return answer{}, err
	}
	var in cpgMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	words := []string{"setcpg"}
	for _, x := range []struct {
		option, ref, rm string
		size            *int64
		none            bool
	}{
		{"-sdgl", "growthLimitMiB", "rmGrowthLimit", in.GrowthLimitMiB, in.RmGrowthLimit},
		{"-sdgw", "usedLDWarningAlertMiB", "rmWarningAlert", in.UsedLDWarningAlertMiB, in.RmWarningAlert},
	} {
		switch {
		case x.size != nil && x.none:
			return answer{}, fail(wsapi.ParamConflict, x.ref, "%s and %s are both there", x.ref, x.rm)
		case x.none:
			words = append(words, x.option, "0")
		case x.size != nil:
			if err := between(x.ref, *x.size, 0, maxMiB); err != nil {
				return answer{}, err
			}
			words = append(words, x.option, fmt.Sprint(*x.size))
		}
	}
	if len(words) == 1 {
		return answer{}, fail(wsapi.Missing, "", "want growthLimitMiB, usedLDWarningAlertMiB, rmGrowthLimit or rmWarningAlert")
	}
	if err := c.run(append(words, which)...); err != nil {
		return answer{}, err
	}
	return done(base + "/cpgs/" + which)
}

type spaceOf struct {
	CPG string `json:"cpg"`
}

type space struct {
	RawFreeMiB    float64 `json:"rawFreeMiB"`
	UsableFreeMiB float64 `json:"usableFreeMiB"`
}

func postSpace(c *call) (answer, error) {
	var in spaceOf
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("cpg", in.CPG); err != nil {
		return answer{}, err
	}
	all, err := c.array().CPGs()
	if err != nil {
		return answer{}, err
	}
	for _, g := range all {
		if g.Name == in.CPG {
			return ok(space{RawFreeMiB: mib(g.Free()), UsableFreeMiB: mib(g.Free())})
		}
	}
	return answer{}, noCPG(in.CPG)
}
