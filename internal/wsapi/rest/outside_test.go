// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestTargetsOutsideThePair: a periodic copy on a third array, through REST alone: made, read on
// all three, stopped and started, sent, handed over and back, and removed.
func TestTargetsOutsideThePair(t *testing.T) {
	const v, g = "/api/v1", "/api/v1/remotecopygroups"
	faces, listen := openStrangers(t, 3)
	a, b, c := faces[0], faces[1], faces[2]
	join := func(f, o *face, at, name, outside string) {
		s := get[system](o, v+"/system")
		f.wants(201, "POST", v+"/remotecopytargets", fmt.Sprintf(`{"name":%q,"type":1,"systemId":%d,"key":%q,"portPosAndLink":[{"portPos":{"node":0,"slot":0,"cardPort":1},"link":%q}]%s}`, name, s.ID, s.IdentityKey, at, outside))
	}
	const outside = `,"outsideThePair":true`
	for i, f := range faces[:2] {
		join(f, c, listen[2], "far", outside)
		join(c, f, listen[i], f.n.System().Name, outside)
	}
	// Two users of one name become one, and their sessions end.
	b.command("createuser", "-c", password, "second", "all", "super")
	b.command("removeuser", "-f", "super")
	b.login("second")
	join(a, b, listen[1], "array-b", "")
	join(b, a, listen[0], "array-a", "")
	for _, f := range faces {
		for _, t := range get[collection[target]](f, v+"/remotecopytargets").Members {
			f.until(t.Name, func() bool { return get[target](f, v+"/remotecopytargets/"+t.Name).State == targetReady })
		}
	}
	if x := get[target](a, v+"/remotecopytargets/far"); !x.OutsideThePair || len(x.Links) != 1 || x.ID != 3 {
		t.Errorf("%+v", x)
	}
	if x := get[remoteLink](a, v+"/remotecopylinks/far_0_0_1"); x.State != linkUp {
		t.Errorf("%+v", x)
	}

	a.wants(201, "POST", g, `{"name":"g","targets":[{"targetName":"array-b","mode":1}]}`)
	for _, name := range []string{"shop", "till"} {
		a.wants(201, "POST", v+"/volumes", fmt.Sprintf(`{"name":%q,"cpg":"cpg0","sizeMiB":64,"tpvv":true}`, name))
		a.served(name)
		a.wants(200, "PUT", g+"/g", fmt.Sprintf(`{"action":1,"volumeName":%q,"targets":[{"targetName":"array-b","secVolumeName":%q}],"volumeAutoCreation":true}`, name, name))
	}
	for _, w := range []wrong{
		{400, 40, "POST", "/g/targets", `{}`},
		{400, 46, "POST", "/g/targets", `{"targetName":"far","mode":9}`},
		{409, 1001, "POST", "/g/targets", `{"targetName":"far","mode":1}`},
		{409, 1001, "POST", "/g/targets", `{"targetName":"array-b","mode":2}`},
		{403, 1003, "POST", "/g/targets", `{"targetName":"near","mode":2}`},
		{400, 115, "POST", "/g/targets", `{"targetName":"far","mode":2,"syncPeriod":14}`},
		{404, 23, "POST", "/g/targets", `{"targetName":"far","mode":2,"volumes":[{"volumeName":"none","secVolumeName":"x"}]}`},
		{404, 1033, "DELETE", "/g/targets/far", ""},
	} {
		a.refuses(w.status, w.code, w.method, g+w.path, w.body)
	}
	b.wants(201, "POST", g+"/g/targets", `{"targetName":"far","mode":2,"userCPG":"cpg0","syncPeriod":3600,"volumes":[{"volumeName":"till","secVolumeName":"till.far"}]}`)
	a.refuses(409, 1001, "POST", g+"/g/targets", `{"targetName":"far","mode":2}`)
	sync := func(f *face, group, target string) {
		t.Helper()
		r := f.wants(200, "PUT", g+"/"+group, fmt.Sprintf(`{"action":5,"targetName":%q}`, target))
		var begun taskStarted
		if err := json.Unmarshal(r.body, &begun); err != nil {
			t.Fatal(err)
		}
		if x := get[task](f, fmt.Sprintf("%s/tasks/%d?wait=60", v, begun.ID)); x.Status != 1 {
			t.Errorf("the sync of %s to %s: %+v", group, target, x)
		}
	}
	sync(a, "g", "far")
	for _, f := range []*face{a, b} {
		x := get[groupTarget](f, g+"/g/targets/far")
		if x.Mode != modePeriodic || x.SyncPeriod != 3600 || x.GroupLastSyncTimeSec == 0 || x.StateName != "Started" || x.RemoteGroupName != "g.r1" || x.RemoteUserCPG != "cpg0" {
			t.Errorf("%+v", x)
		}
	}
	x := get[group](a, g+"/g")
	if len(x.Targets) != 2 || len(x.Volumes) != 2 || len(x.Volumes[1].RemoteVolumes) != 2 || x.Volumes[1].RemoteVolumes[1].RemoteVolumeName != "till.far" || x.Volumes[1].RemoteVolumes[1].SyncStatus != syncSynced {
		t.Errorf("%+v", x)
	}
	y := get[group](c, g+"/g.r1")
	if y.Role != roleSecondary || y.RemoteGroupName != "g" || len(y.Targets) != 1 || y.Targets[0].TargetName != "array-a" || len(y.Volumes) != 2 || y.Volumes[1].RemoteVolumes[0].RemoteVolumeName != "till" {
		t.Errorf("%+v", y)
	}
	for f, name := range map[*face]string{a: "g", c: "g.r1"} {
		e := get[explanation](f, g+"/"+name+"/explain")
		if len(e.Copies) != 1 || e.Copies[0].NewestPointSec != x.Targets[1].GroupLastSyncTimeSec || e.Copies[0].Follows != (f == c) || e.Serving != (f == a) {
			t.Errorf("%s is explained as %+v", name, e)
		}
	}
	c.refuses(403, 1006, "POST", v+"/vluns", `{"volumeName":"shop","lun":1,"hostname":"h"}`)

	a.wants(200, "PUT", g+"/g", `{"targets":[{"targetName":"far","syncPeriod":60}]}`)
	a.refuses(501, 9, "PUT", g+"/g", `{"targets":[{"targetName":"far","policies":{"autoFailover":true}}]}`)
	a.wants(200, "PUT", g+"/g", `{"action":4,"targetName":"far"}`)
	if x := get[groupTarget](a, g+"/g/targets/far"); x.SyncPeriod != 60 || x.StateName != "Stopped" {
		t.Errorf("%+v", x)
	}
	a.refuses(400, 44, "PUT", g+"/g", `{"action":1,"targetName":"far","volumeName":"shop"}`)
	a.refuses(403, 1020, "PUT", g+"/g", `{"action":5,"targetName":"far"}`)
	a.wants(200, "PUT", g+"/g", `{"action":3,"targetName":"far"}`)
	a.wants(200, "PUT", g+"/g", `{"action":4,"targets":[{"targetName":"far"}]}`)
	if x := get[group](a, g+"/g"); x.Targets[0].StateName != "Started" || x.Targets[1].StateName != "Stopped" {
		t.Errorf("stopped for one target: %+v", x.Targets)
	}
	a.wants(200, "PUT", g+"/g", `{"action":3,"targets":[{"targetName":"far"}]}`)

	a.wants(200, "POST", g+"/g", `{"action":6,"targetName":"far"}`)
	if y := get[group](c, g+"/g.r1"); y.Role != rolePrimary || !y.Targets[0].RoleReversed {
		t.Errorf("%+v", y)
	}
	sync(c, "g.r1", "array-a")
	c.wants(200, "POST", g+"/g.r1", `{"action":6,"targetName":"array-a"}`)
	if x := get[group](a, g+"/g"); x.Role != rolePrimary {
		t.Errorf("%+v", x)
	}
	a.wants(201, "POST", v+"/volumes", `{"name":"later","cpg":"cpg0","sizeMiB":64,"tpvv":true}`)
	a.served("later")
	a.wants(200, "PUT", g+"/g", `{"action":1,"volumeName":"later","targets":[{"targetName":"array-b","secVolumeName":"later"}],"volumeAutoCreation":true}`)
	x = get[group](a, g+"/g")
	for _, v := range x.Volumes {
		r := v.RemoteVolumes[1]
		if isNew := v.LocalVolumeName == "later"; isNew != (r.SyncStatus == syncNew) || isNew != (r.VolumeLastSyncTimeSec == 0) {
			t.Errorf("%s: %+v", v.LocalVolumeName, r)
		}
	}
	a.refuses(403, 1010, "DELETE", g+"/g/targets/array-b", "")
	a.refuses(403, 1110, "DELETE", g+"/g/targets/far", "")
	a.refuses(400, 44, "DELETE", g+"/g/targets/far?keepVolumes=true&removeVolumes=true", "")
	a.wants(200, "DELETE", g+"/g/targets/far?removeVolumes=true", "")
	if z := get[collection[group]](c, g); z.Total != 0 {
		t.Errorf("the copy is still there: %+v", z)
	}
	a.wants(200, "DELETE", v+"/remotecopytargets/far", "")
}
