// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func groupPartRoutes() []route {
	const volumes, targets = "/remotecopygroups/{group}/volumes", "/remotecopygroups/{group}/targets"
	return []route{
		{method: "GET", path: volumes, right: people.Look, about: "a group's volumes", out: collection[groupVolume]{}, query: filtered, do: getGroupVolumes},
		{method: "POST", path: volumes, right: people.Change, about: "admit a volume", in: groupMods{}, out: taskStarted{}, status: 201, do: postGroupVolume},
		{method: "GET", path: volumes + "/{volume}", right: people.Look, about: "one of them", out: groupVolume{}, do: getGroupVolume},
		{method: "DELETE", path: volumes + "/{volume}", right: people.Change, about: "dismiss a volume, which goes on both arrays: say removeVolume and removeSecondaryVolume", out: taskStarted{}, query: []string{"keepSnap", "removeVolume", "removeSecondaryVolume"}, do: deleteGroupVolume},
		{method: "GET", path: targets, right: people.Look, about: "a group's targets", out: collection[groupTarget]{}, query: filtered, do: getGroupTargets},
		{method: "GET", path: targets + "/{target}", right: people.Look, about: "one of them", out: groupTarget{}, do: getGroupTarget},
		{method: "POST", path: targets, right: people.Change, about: "add a periodic copy on a target outside the pair", in: newGroupTarget{}, status: 201, do: postGroupTarget},
		{method: "DELETE", path: targets + "/{target}", right: people.Change, about: "remove it: with removeVolumes its data too, with keepVolumes it goes on by itself there", query: []string{"keepVolumes", "removeVolumes"}, do: deleteGroupTarget},
	}
}

// admit adds a volume, or with set:name all of a set; their copies are made.
func admit(c *call, f node.GroupFact, in groupMods) (answer, error) {
	if err := required("volumeName", strings.TrimPrefix(in.VolumeName, "set:")); err != nil {
		return answer{}, err
	}
	if len(in.Targets) > 1 {
		return answer{}, fail(wsapi.WrongTargetCount, "targets", "there are %d targets: want one", len(in.Targets))
	}
	for _, t := range in.Targets {
		if err := ofTarget(c, t.TargetName); err != nil {
			return answer{}, err
		}
		if t != (groupTargetMod{TargetName: t.TargetName, SecVolumeName: t.SecVolumeName}) {
			return answer{}, fail(wsapi.ParamConflict, "targets", "action 1 changes nothing of target %s: want targetName and secVolumeName alone", c.array().System().Target)
		}
		if t.SecVolumeName != "" && t.SecVolumeName != in.VolumeName {
			return answer{}, fail(wsapi.Unsupported, "secVolumeName", "a volume has the same name on both arrays: want %s", in.VolumeName)
		}
	}
	if !strings.HasPrefix(in.VolumeName, "set:") {
		there := f.Serving != "" && f.Serving != c.array().System().Name // where the command is carried out
		switch v, err := c.array().Volume(in.VolumeName); {
		case err != nil && there && array.ReasonOf(err) == array.NoVolume:
		case err != nil:
			return answer{}, err
		case v.Group == f.Name:
			return answer{}, fail(wsapi.InGroupAlready, "volumeName", "volume %s is in group %s already", v.Name, f.Name)
		case v.Of != 0:
			return answer{}, fail(wsapi.VolumeReadOnly, "volumeName", "%s is a read-only snapshot", v.Name)
		}
	}
	switch {
	case in.SnapshotName != "":
		return answer{}, fail(wsapi.Unsupported, "snapshotName", "a copy begins from nothing: leave snapshotName out")
	case in.SkipInitialSync:
		return answer{}, fail(wsapi.Unsupported, "skipInitialSync", "a copy is never taken for the same without being compared")
	case in.DifferentWWN:
		return answer{}, fail(wsapi.Unsupported, "differentSecondaryWWN", "both copies are one volume, with one WWN")
	case !in.VolumeAutoCreation:
		return answer{}, fail(wsapi.NotOnTarget, "volumeAutoCreation", "volume %s has no copy on the target that could be taken: say volumeAutoCreation", in.VolumeName)
	}
	was := c.copyTasks(in.VolumeName)
	if err := c.run("admitrcopyvv", "-createvv", in.VolumeName, f.Name); err != nil {
		return answer{}, otherDomain(meant(err, wsapi.AddVolumeFailed, array.HasSnapshots), wsapi.VVOtherDomain)
	}
	return c.goesOn(answer{status: http.StatusOK, location: atGroup(f)}, was, in.VolumeName), nil
}

// dismiss takes a volume out. It stays where it is served, if it is not said that it goes; the
// incumbent leaves volumes on both arrays, so a client must say that it means them to go.
func dismiss(c *call, f node.GroupFact, in groupMods) (answer, error) {
	if err := required("volumeName", in.VolumeName); err != nil {
		return answer{}, err
	}
	if err := member(f, in.VolumeName); err != nil {
		return answer{}, err
	}
	words := []string{"dismissrcopyvv", "-f"}
	switch {
	case in.RemoveVolume && !in.RemoveSecondary:
		return answer{}, fail(
			wsapi.SayRemove, "removeVolume", "a volume that goes does so on both arrays, with its data: say removeVolume and removeSecondaryVolume; without removeVolume it stays where it is served",
		)
	case in.RemoveVolume:
		if in.KeepSnap {
			return answer{}, keepsNoSnap()
		}
		words = append(words, "-destroy")
	}
	was := c.copyTasks(in.VolumeName)
	if err := c.run(append(words, in.VolumeName, f.Name)...); err != nil {
		return answer{}, groupBusy(err)
	}
	return c.goesOn(answer{status: http.StatusOK, location: atGroup(f)}, was, in.VolumeName), nil
}

func getGroupVolumes(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	return collect(c, groupOf(f, c.array().System()).Volumes)
}

func getGroupVolume(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	if err := member(f, which); err != nil {
		return answer{}, err
	}
	all := groupOf(f, c.array().System()).Volumes
	i := slices.IndexFunc(all, func(v groupVolume) bool { return v.LocalVolumeName == which })
	if i < 0 {
		return answer{}, fail(wsapi.NotInGroup, "", "%s is a snapshot", which)
	}
	return ok(all[i])
}

func postGroupVolume(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	var in groupMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := in.goesWith(actionAdmit); err != nil {
		return answer{}, err
	}
	a, err := admit(c, f, in)
	if err != nil {
		return answer{}, err
	}
	a.status, a.location = http.StatusCreated, atGroup(f)+"/volumes"
	if !strings.HasPrefix(in.VolumeName, "set:") {
		a.location += "/" + in.VolumeName
	}
	return a, nil
}

func deleteGroupVolume(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	in := groupMods{}
	if in.VolumeName, err = c.named("volume"); err != nil {
		return answer{}, err
	}
	for name, to := range map[string]*bool{"keepSnap": &in.KeepSnap, "removeVolume": &in.RemoveVolume, "removeSecondaryVolume": &in.RemoveSecondary} {
		if *to, err = c.flag(name); err != nil {
			return answer{}, err
		}
	}
	return dismiss(c, f, in)
}

func getGroupTargets(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	return collect(c, groupOf(f, c.array().System()).Targets)
}

func getGroupTarget(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	which, err := c.named("target")
	if err != nil {
		return answer{}, err
	}
	all := groupOf(f, c.array().System()).Targets
	i := slices.IndexFunc(all, func(t groupTarget) bool { return t.TargetName == which })
	if i < 0 {
		return answer{}, fail(wsapi.NoTarget, "", "%s is no target of group %s", which, f.Name)
	}
	return ok(all[i])
}
