// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func groupRoutes() []route {
	return []route{
		{method: "GET", path: "/remotecopygroups", right: people.Look, about: "the Remote Copy groups", out: collection[group]{}, query: filtered, do: getGroups},
		{method: "POST", path: "/remotecopygroups", right: people.Change, about: "create a group here and on the target", in: newGroup{}, status: 201, do: postGroup},
		{method: "GET", path: "/remotecopygroups/{group}", right: people.Look, about: "one of them", out: group{}, do: getGroup},
		{
			method: "PUT", path: "/remotecopygroups/{group}", right: people.Change, in: groupMods{}, out: taskStarted{}, do: putGroup,
			about: "change policies, or an action: 1 admit a volume, 2 dismiss one, 3 start, 4 stop, 5 sync",
		},
		{
			method: "POST", path: "/remotecopygroups/{group}", right: people.Change, in: recovery{}, do: postGroupAction,
			about: "who serves: 6 reverse, 7 failover, 8 switchover, 9 recover, 10 restore, 11 override",
		},
		{method: "DELETE", path: "/remotecopygroups/{group}", right: people.Change, about: "remove an empty group; with removeVolumes its volumes, too, on both arrays", query: []string{"keepSnap", "removeVolumes"}, do: deleteGroup},
	}
}

type group struct {
	ID              uint64        `json:"id"`
	Name            string        `json:"name"`
	Role            int           `json:"role"`
	Domain          string        `json:"domain,omitempty"`
	RoleName        string        `json:"roleName"`
	RemoteGroupName string        `json:"remoteGroupName"`
	LocalUserCPG    string        `json:"localUserCPG,omitempty"`
	LocalSnapCPG    string        `json:"localSnapCPG,omitempty"`
	Targets         []groupTarget `json:"targets"`
	Volumes         []groupVolume `json:"volumes"`
	// ServingArray serves hosts now, HomeArray is the natural primary.
	ServingArray     string `json:"servingArray"`
	HomeArray        string `json:"homeArray"`
	SharedHere       bool   `json:"servedHereToo"`
	NotServedHereFor string `json:"notServedHereBecause,omitempty"`
	Links            []link `json:"links"`
}

type groupTarget struct {
	TargetName   string   `json:"targetName"`
	Target       string   `json:"target"`
	RoleReversed bool     `json:"roleReversed"`
	State        int      `json:"state"`
	StateName    string   `json:"stateName"`
	Mode         int      `json:"mode"`
	ModeName     string   `json:"modeName"`
	Policies     policies `json:"policies"`
	// Of a periodic group, in seconds.
	SyncPeriod int64 `json:"syncPeriod,omitempty"`
	// GroupLastSyncTime is the moment that the copy is of; absent if there is none.
	GroupLastSyncTime    string `json:"groupLastSyncTime,omitempty"`
	GroupLastSyncTimeSec int64  `json:"groupLastSyncTimeSec,omitempty"`
	// OverPeriod: the period is not kept. PointNotSentBecause says why the newest moment
	// was not sent.
	OverPeriod          bool   `json:"overPeriod,omitempty"`
	PointNotSentBecause string `json:"pointNotSentBecause,omitempty"`
	RemoteUserCPG       string `json:"remoteUserCPG,omitempty"`
	RemoteSnapCPG       string `json:"remoteSnapCPG,omitempty"`
	// RemoteGroupName is what a target outside the pair calls the group.
	RemoteGroupName string `json:"remoteGroupName,omitempty"`
}

type policies struct {
	AutoRecover                bool `json:"autoRecover"`
	OverPeriodAlert            bool `json:"overPeriodAlert"`
	AutoFailover               bool `json:"autoFailover"`
	PathManagement             bool `json:"pathManagement"`
	MultiTargetPeerPersistence bool `json:"multiTargetPeerPersistence"`
	ActiveActive               bool `json:"activeActive"`
	AutoSynchronize            bool `json:"autoSynchronize"`
	FollowWrites               bool `json:"followWrites"`
	PermanentLoss              bool `json:"permanentLoss"`
	// PreferredArray goes on where either could; empty: the one that serves.
	PreferredArray string `json:"preferredArray,omitempty"`
}

type groupVolume struct {
	LocalVolumeName string         `json:"localVolumeName"`
	LocalVolumeID   uint64         `json:"localVolumeID"`
	RemoteVolumes   []remoteVolume `json:"remoteVolumes"`
}

type remoteVolume struct {
	TargetName       string `json:"targetName"`
	RemoteVolumeName string `json:"remoteVolumeName"`
	RemoteVolumeID   uint64 `json:"remoteVolumeID"`
	SyncStatus       int    `json:"syncStatus"`
	SyncStatusName   string `json:"syncStatusName"`
	// SyncPercent is told while it is being copied.
	SyncPercent *int `json:"syncPercent,omitempty"`
	// Of a periodic group.
	VolumeLastSyncTime    string `json:"volumeLastSyncTime,omitempty"`
	VolumeLastSyncTimeSec int64  `json:"volumeLastSyncTimeSec,omitempty"`
}

// The incumbent's enumerations.
const (
	rolePrimary, roleSecondary       = 1, 2
	stateStarting, stateStarted      = 2, 3
	stateStopped, stateFailsafe      = 5, 7
	syncNew, syncSyncing, syncSynced = 1, 2, 3
	syncNotSyncd, syncStale          = 4, 5 // the first is Stopped, whose number nobody knows
	modeSync, modePeriodic           = 1, 2
	modeOldPeriodic                  = 3 // as some clients say it
)

// creator is the array that made a group: its upper half is in the id.
func creator(id array.GroupID) uint32 { return uint32(uint64(id) >> 32) }

// otherName is what the incumbent calls a group on the array that did not create it.
func otherName(g node.GroupFact) string { return fmt.Sprintf("%s.r%d", g.Name, creator(g.ID)) }

func groupOf(f node.GroupFact, s node.SystemFact) group {
	g := group{
		ID: s.Number(uint64(f.ID)), Name: f.Name, Domain: f.Domain, Role: roleSecondary, RoleName: f.Role, RemoteGroupName: f.Name, ServingArray: f.Serving, HomeArray: f.HomeArray,
		SharedHere: f.Shared, NotServedHereFor: f.Reason, Volumes: []groupVolume{}, Links: []link{{base + "/remotecopygroups/" + f.Name, "self"}},
	}
	if strings.HasPrefix(f.Role, "Primary") {
		g.Role = rolePrimary
	}
	if creator(f.ID) == uint32(s.ID) {
		g.RemoteGroupName = otherName(f)
	}
	var vvs []node.VV
	for _, v := range f.VVs {
		if v.Of != 0 {
			continue
		}
		vvs = append(vvs, v)
		if g.LocalUserCPG == "" {
			g.LocalUserCPG, g.LocalSnapCPG = v.CPG, v.CPG
		}
		g.Volumes = append(g.Volumes, groupVolumeOf(f, v, s))
	}
	g.Targets = []groupTarget{{
		TargetName: s.Target, Target: s.Target, RoleReversed: strings.HasSuffix(f.Role, "-Rev"), State: groupState(f.State), StateName: f.State, Mode: modeOf(f), ModeName: f.Mode(),
		SyncPeriod: f.Period, OverPeriod: f.Late, PointNotSentBecause: f.PointTrouble,
		Policies: policies{
			AutoRecover: f.Policies.AutoRecover, OverPeriodAlert: f.Policies.OverPeriodAlert, AutoFailover: f.Policies.AutoFailover, PathManagement: f.Policies.PathManagement,
			AutoSynchronize: f.Policies.AutoSynchronize, ActiveActive: f.Policies.ActiveActive,
			FollowWrites: f.Policies.FollowWrites, PermanentLoss: f.Policies.PermanentLoss, PreferredArray: f.Preferred,
		},
		RemoteUserCPG: g.LocalUserCPG, RemoteSnapCPG: g.LocalSnapCPG,
	}}
	g.Targets[0].GroupLastSyncTime, g.Targets[0].GroupLastSyncTimeSec = lastSync(f)
	if s.Target == "" { // a copy of another array's group
		g.Targets, g.RemoteGroupName = []groupTarget{}, ""
	}
	g.addOutside(f, vvs)
	return g
}

func modeOf(f node.GroupFact) int {
	if f.Period > 0 {
		return modePeriodic
	}
	return modeSync
}

// lastSync is the moment that a periodic group's copy is of, for people and in seconds.
func lastSync(f node.GroupFact) (string, int64) {
	if f.Period == 0 {
		return "", 0
	}
	return pointTime(f.LastSync)
}

// timeOfPoint is how clients are told of a moment that a copy is of.
const timeOfPoint = "2006-01-02 15:04:05 MST"

func groupVolumeOf(f node.GroupFact, v node.VV, s node.SystemFact) groupVolume {
	x := groupVolume{LocalVolumeName: v.Name, LocalVolumeID: s.Number(uint64(v.ID)), RemoteVolumes: []remoteVolume{}}
	if s.Target == "" {
		return x
	}
	r := remoteVolume{TargetName: s.Target, RemoteVolumeName: v.Name, RemoteVolumeID: s.Number(uint64(v.ID)), SyncStatus: syncStatus(f.SyncOf(v)), SyncStatusName: f.SyncOf(v)}
	if p, ok := f.Percents[v.ID]; ok {
		r.SyncPercent = &p
	}
	r.VolumeLastSyncTime, r.VolumeLastSyncTimeSec = lastSync(f)
	x.RemoteVolumes = append(x.RemoteVolumes, r)
	return x
}

// syncStatus is the number of the incumbent's word.
func syncStatus(word string) int {
	switch word {
	case "Synced":
		return syncSynced
	case "Syncing":
		return syncSyncing
	case "New":
		return syncNew
	case "Stale":
		return syncStale
	}
	return syncNotSyncd
}

func groupState(state string) int {
	switch state {
	case "Started":
		return stateStarted
	case "Starting":
		return stateStarting
	case "Failsafe":
		return stateFailsafe
	}
	return stateStopped
}

func getGroups(c *call) (answer, error) {
	facts, err := c.array().Groups()
	if err != nil {
		return answer{}, err
	}
	s := c.array().System()
	all := make([]group, len(facts))
	for i, f := range facts {
		all[i] = groupOf(f, s)
	}
	return collect(c, all)
}

// group returns the group of the path. On either array it is also known by the name that
// the incumbent gives it on the array that did not create it.
func (c *call) group() (node.GroupFact, error) {
	which, err := c.named("group")
	if err != nil {
		return node.GroupFact{}, err
	}
	f, err := c.array().Group(which)
	if array.ReasonOf(err) != array.NoGroup {
		return f, err
	}
	all, e := c.array().Groups()
	if e != nil {
		return f, e
	}
	for _, g := range all {
		if otherName(g) == which {
			return g, nil
		}
	}
	return f, err
}

func getGroup(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	return ok(groupOf(f, c.array().System()))
}

type newGroup struct {
	Name         string      `json:"name"`
	Domain       string      `json:"domain,omitempty"`
	Targets      []newTarget `json:"targets"`
	LocalUserCPG string      `json:"localUserCPG,omitempty"`
	LocalSnapCPG string      `json:"localSnapCPG,omitempty"`
}

type newTarget struct {
	TargetName string `json:"targetName"`
	Mode       int    `json:"mode"`
	UserCPG    string `json:"userCPG,omitempty"`
	SnapCPG    string `json:"snapCPG,omitempty"`
}

// maxGroupName is a group's: the other array's name of it has more characters.
const maxGroupName = 22

func (g newGroup) check(c *call) error {
	if err := required("name", g.Name); err != nil {
		return err
	}
	if len(g.Name) > maxGroupName {
		return fail(wsapi.TooLong, "name", "name has %d characters: want at most %d", len(g.Name), maxGroupName)
	}
	switch {
	case len(g.Targets) == 0:
		return fail(wsapi.Missing, "targets", "targets are missing")
	case len(g.Targets) == 2 && g.Targets[0].TargetName == g.Targets[1].TargetName:
		return fail(wsapi.TargetTwice, "targets", "target %.40q is there twice", g.Targets[0].TargetName)
	case len(g.Targets) > 1:
		return fail(wsapi.TooManyTargets, "targets", "there are %d targets: want one", len(g.Targets))
	}
	t := g.Targets[0]
	if err := required("targetName", t.TargetName); err != nil {
		return err
	}
	if err := mayBeMode("targets.mode", t.Mode); err != nil {
		return err
	}
	for ref, cpg := range map[string]string{"localUserCPG": g.LocalUserCPG, "localSnapCPG": g.LocalSnapCPG, "userCPG": t.UserCPG, "snapCPG": t.SnapCPG} {
		if cpg == "" {
			continue
		}
		if err := c.hasCPG(ref, cpg); err != nil {
			return err
		}
		if err := g.goesWith(c, ref, cpg); err != nil {
			return err
		}
	}
	if g.LocalUserCPG != "" && t.UserCPG != "" && g.LocalUserCPG != t.UserCPG {
		return fail(wsapi.Unsupported, "userCPG", "a volume lies in the CPG of the same name on both arrays: %s and %s differ", g.LocalUserCPG, t.UserCPG)
	}
	return nil
}

// goesWith wants a CPG to be in the group's domain, if it is known.
func (g newGroup) goesWith(c *call, ref, cpg string) error {
	all, err := c.array().CPGs()
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.Name == cpg && f.Domain != g.Domain && (g.Domain != "" || c.who.Role != "" && c.who.Domain == "") {
			return fail(wsapi.CPGOtherDomain, ref, "CPG %s is in domain %q, and the group would be in %q", cpg, f.Domain, g.Domain)
		}
	}
	return nil
}

// modeWord is a mode as commands have it, empty if it is none of theirs.
func modeWord(mode int) string {
	switch mode {
	case modeSync:
		return "sync"
	case modePeriodic, modeOldPeriodic:
		return "periodic"
	}
	return ""
}

// mayBeMode refuses what is no mode of a group.
func mayBeMode(ref string, mode int) error {
	switch {
	case mode == 0:
		return fail(wsapi.Missing, ref, "%s is missing: want 1, synchronous, or 2, periodic", ref)
	case mode == 4:
		return fail(wsapi.Unsupported, ref, "%s 4, streaming: want 1, synchronous, or 2, periodic", ref)
	case modeWord(mode) == "":
		return fail(wsapi.BadEnum, ref, "%s %d: want 1, synchronous, or 2, periodic", ref, mode)
	}
	return nil
}

func postGroup(c *call) (answer, error) {
	var in newGroup
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := in.check(c); err != nil {
		return answer{}, err
	}
	into, err := c.inDomain(in.Domain)
	if err != nil {
		return answer{}, err
	}
	if err := c.run(append(append([]string{"creatercopygroup"}, into...), in.Name, in.Targets[0].TargetName+":"+modeWord(in.Targets[0].Mode))...); err != nil {
		return answer{}, err
	}
	return created(base + "/remotecopygroups/" + in.Name)
}

func deleteGroup(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	keeps, err := c.flag("keepSnap")
	if err != nil {
		return answer{}, err
	}
	too, err := c.flag("removeVolumes")
	if err != nil {
		return answer{}, err
	}
	if len(f.VVs) > 0 && !too {
		return answer{}, fail(wsapi.GroupNotEmpty, "removeVolumes", "group %s has %d volumes and snapshots, which would go with it on both arrays: remove them first, or say removeVolumes=true", f.Name, len(f.VVs))
	}
	if keeps && too {
		return answer{}, keepsNoSnap()
	}
	words := []string{"removercopygroup", "-f", f.Name}
	if too {
		words = slices.Insert(words, 2, "-destroy")
	}
	if err := c.run(words...); err != nil {
		return answer{}, groupBusy(err)
	}
	return done("")
}
