// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

// Targets outside the pair, with periodic copies of groups, are targets like the other array to
// clients, of the mode periodic.

// outside returns a group's relation to a target outside the pair; false if there is none.
func outside(f node.GroupFact, target string) (node.FarFact, bool) {
	i := slices.IndexFunc(f.Outside, func(x node.FarFact) bool { return x.Target == target })
	if target == "" || i < 0 {
		return node.FarFact{}, false
	}
	return f.Outside[i], true
}

// addOutside adds a group's targets outside the pair to what clients see of it.
func (g *group) addOutside(f node.GroupFact, vvs []node.VV) {
	for _, x := range f.Outside {
		t := groupTarget{
			TargetName: x.Target, Target: x.Target, RoleReversed: strings.HasSuffix(x.Role(), "-Rev"), State: groupState(x.State), StateName: x.State,
			Mode: modePeriodic, ModeName: "Periodic", SyncPeriod: x.Period, OverPeriod: x.Late, PointNotSentBecause: x.Trouble, RemoteUserCPG: x.CPG, RemoteSnapCPG: x.CPG,
			Policies: policies{AutoRecover: true, OverPeriodAlert: true}, RemoteGroupName: x.Remote,
		}
		t.GroupLastSyncTime, t.GroupLastSyncTimeSec = pointTime(x.LastSync)
		g.Targets = append(g.Targets, t)
		if g.RemoteGroupName == "" || x.Copy {
			g.RemoteGroupName = x.Remote
		}
		for i, v := range vvs {
			name, number := x.Of(v)
			sync, last := x.OfVolume(v)
			r := remoteVolume{TargetName: x.Target, RemoteVolumeName: name, RemoteVolumeID: number, SyncStatus: syncStatus(sync), SyncStatusName: sync}
			r.VolumeLastSyncTime, r.VolumeLastSyncTimeSec = pointTime(last)
			g.Volumes[i].RemoteVolumes = append(g.Volumes[i].RemoteVolumes, r)
		}
	}
}

// farCopy is how a periodic copy outside the pair stands.
type farCopy struct {
	TargetName      string `json:"targetName"`
	RemoteGroupName string `json:"remoteGroupName,omitempty"`
	// Follows: this group is the copy. WentOnByItself: source and copy have parted.
	Follows        bool   `json:"follows"`
	WentOnByItself bool   `json:"wentOnByItself"`
	State          string `json:"state"`
	SyncPeriod     int64  `json:"syncPeriod"`
	NewestPoint    string `json:"newestPoint,omitempty"`
	NewestPointSec int64  `json:"newestPointSec,omitempty"`
	Late           bool   `json:"late"`
	PagesSent      int64  `json:"pagesSent,omitempty"`
	NotSentBecause string `json:"notSentBecause,omitempty"`
}

// farCopies are those of a group.
func farCopies(all []node.FarFact) (out []farCopy) {
	for _, f := range all {
		c := farCopy{
			TargetName: f.Target, RemoteGroupName: f.Remote, Follows: f.Copy, WentOnByItself: f.Reversed, State: f.State, SyncPeriod: f.Period,
			Late: f.Late, PagesSent: f.Sent, NotSentBecause: f.Trouble,
		}
		c.NewestPoint, c.NewestPointSec = pointTime(f.LastSync)
		out = append(out, c)
	}
	return out
}

// pointTime is the moment of a point, for people and for programs; nothing for none.
func pointTime(t time.Time) (string, int64) {
	if t.IsZero() {
		return "", 0
	}
	return t.Format(timeOfPoint), t.Unix()
}

// newGroupTarget is a periodic copy of a group on a further target.
type newGroupTarget struct {
	TargetName string `json:"targetName"`
	Mode       int    `json:"mode"`
	UserCPG    string `json:"userCPG,omitempty"`
	SyncPeriod *int64 `json:"syncPeriod,omitempty"`
	// Volumes are those that are to have another name there.
	Volumes []namedThere `json:"volumes,omitempty"`
}

type namedThere struct {
	VolumeName    string `json:"volumeName"`
	SecVolumeName string `json:"secVolumeName"`
}

func postGroupTarget(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	var in newGroupTarget
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("targetName", in.TargetName); err != nil {
		return answer{}, err
	}
	_, is := outside(f, in.TargetName)
	switch {
	case is || in.TargetName == c.array().System().Target:
		return answer{}, fail(wsapi.TooManyTargets, "targetName", "target %s is in group %s already", in.TargetName, f.Name)
	case modeWord(in.Mode) == "":
		return answer{}, fail(wsapi.BadEnum, "mode", "mode %d: want 2, periodic", in.Mode)
	case in.Mode == modeSync:
		return answer{}, fail(wsapi.TooManyTargets, "mode", "group %s has a synchronous target, and may have one: want mode 2, periodic", f.Name)
	}
	if err := inRange(in.SyncPeriod); err != nil {
		return answer{}, err
	}
	words := []string{"admitrcopytarget"}
	if in.UserCPG != "" {
		words = append(words, "-cpg", in.UserCPG)
	}
	if in.SyncPeriod != nil {
		words = append(words, "-period", strconv.FormatInt(*in.SyncPeriod, 10)+"s")
	}
	words = append(words, in.TargetName, "periodic", f.Name)
	for _, v := range in.Volumes {
		words = append(words, v.VolumeName+":"+v.SecVolumeName)
	}
	if err := c.run(words...); err != nil {
		return answer{}, err
	}
	return created(atGroup(f) + "/targets/" + in.TargetName)
}

// deleteGroupTarget ends a periodic copy; with keepVolumes it goes on by itself there.
func deleteGroupTarget(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	which, err := c.named("target")
	if err != nil {
		return answer{}, err
	}
	keeps, err := c.flag("keepVolumes")
	if err != nil {
		return answer{}, err
	}
	if _, is := outside(f, which); !is {
		if err := ofTarget(c, which); err != nil {
			return answer{}, fail(wsapi.NoTarget, "", "%s is no target of group %s", which, f.Name)
		}
		return answer{}, fail(wsapi.WrongTargetCount, "", "target %s is the other array of the pair, which group %s keeps: remove the group", which, f.Name)
	}
	removes, err := c.flag("removeVolumes")
	switch {
	case err != nil:
		return answer{}, err
	case keeps && removes:
		return answer{}, fail(wsapi.ParamConflict, "keepVolumes", "keepVolumes and removeVolumes exclude each other")
	case !keeps && !removes:
		return answer{}, fail(wsapi.SayRemove, "removeVolumes", "the copy on target %s goes with its data: say removeVolumes=true, or keepVolumes=true to let it go on by itself", which)
	}
	words := []string{"dismissrcopytarget", "-f"}
	if keeps {
		words = append(words, "-keepvv")
	}
	if err := c.run(append(words, which, f.Name)...); err != nil {
		return answer{}, err
	}
	return done(atGroup(f))
}

// changeOutside changes what can be changed of a copy: its period.
func changeOutside(c *call, f node.GroupFact, t groupTargetMod) (answer, error) {
	if err := inRange(t.SyncPeriod); err != nil {
		return answer{}, err
	}
	if t.SyncPeriod == nil || t.Policies != nil || t.Mode != 0 && t.Mode != modePeriodic && t.Mode != modeOldPeriodic {
		return answer{}, fail(wsapi.Unsupported, "targets", "of the periodic copy on target %s the syncPeriod can be changed, and nothing else", t.TargetName)
	}
	if err := c.run("setrcopygroup", "period", strconv.FormatInt(*t.SyncPeriod, 10)+"s", t.TargetName, f.Name); err != nil {
		return answer{}, err
	}
	return done(atGroup(f))
}

// inRange refuses what no period can be.
func inRange(period *int64) error {
	switch {
	case period == nil:
		return nil
	case *period < minPeriod:
		return fail(wsapi.BelowRange, "syncPeriod", "syncPeriod is %d: want at least %d", *period, minPeriod)
	case *period > maxPeriod:
		return fail(wsapi.AboveRange, "syncPeriod", "syncPeriod is %d: want at most %d", *period, maxPeriod)
	}
	return nil
}

// actOutside carries out start, stop and sync for one target outside the pair.
func actOutside(c *call, f node.GroupFact, in groupMods) (answer, error) {
	switch *in.Action {
	case actionStart:
		if err := c.run("startrcopygroup", "-t", in.TargetName, f.Name); err != nil {
			return answer{}, err
		}
	case actionStop:
		if err := c.run("stoprcopygroup", "-f", "-t", in.TargetName, f.Name); err != nil {
			return answer{}, err
		}
	case actionSync:
		if x, _ := outside(f, in.TargetName); x.State == "Stopped" {
			return answer{}, fail(wsapi.NotStarted, "", "target %s of group %s is stopped: start it, by action 3", in.TargetName, f.Name)
		}
		return c.task("remote_copy_sync", f.Name, atGroup(f), "syncrcopy", "-w", "-t", in.TargetName, f.Name)
	default:
		return answer{}, fail(wsapi.BadEnum, "action", "action %d with target %s: want 3, start, 4, stop, or 5, sync", *in.Action, in.TargetName)
	}
	return done(atGroup(f))
}
