// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/perdure/perdure/internal/node"
)

// TestProtectAndDrill: a set of volumes is protected by one request, shown to others, and
// what is asked wrongly changes nothing.
func TestProtectAndDrill(t *testing.T) {
	const v = "/api/v1"
	a, b := furnish(t)
	for _, name := range []string{"p1", "p2"} {
		a.wants(201, "POST", v+"/volumes", `{"name":"`+name+`","cpg":"cpg0","sizeMiB":64}`)
		a.served(name)
	}
	a.wants(201, "POST", v+"/volumesets", `{"name":"db","setmembers":["p1","p2"]}`)
	const at = v + "/volumesets/db/protection"
	before := volumesText(a) + volumesText(b)
	for _, w := range []wrong{
		{400, 3, "POST", at, ""},
		{400, 40, "POST", at, `{}`},
		{400, 40, "POST", at, `{"groupName":"h"}`},
		{400, 40, "POST", at, `{"groupName":"h","targetName":"array-b"}`},
		{400, 46, "POST", at, `{"groupName":"h","targetName":"array-b","mode":9}`},
		{403, 1003, "POST", at, `{"groupName":"h","targetName":"array-c","mode":1}`},
		{403, 1008, "POST", at, `{"groupName":"h","targetName":"array-b","mode":1,"syncPeriod":60}`},
		{400, 115, "POST", at, `{"groupName":"h","targetName":"array-b","mode":2,"syncPeriod":1}`},
		{404, 17, "POST", at, `{"groupName":"h","targetName":"array-b","mode":1,"hosts":["nobody"]}`},
		{400, 69, "POST", at, `{"groupName":"h","targetName":"array-b","mode":1,"hosts":["web1,web2"]}`},
		{403, 1114, "POST", at, `{"groupName":"h","targetName":"array-b","mode":1,"hosts":["web1"],"proximity":"all"}`},
		{400, 12, "POST", at, `{"groupName":"h","targetName":"array-b","mode":1,"proximity":"near"}`},
		{403, 1009, "POST", at, `{"groupName":"h","targetName":"array-b","mode":1,"policies":{"overPeriodAlert":true}}`},
		{409, 237, "POST", at, `{"groupName":"g","targetName":"array-b","mode":1}`},
		{404, 102, "POST", v + "/volumesets/none/protection", `{"groupName":"h","targetName":"array-b","mode":1}`},
		{403, 1014, "POST", v + "/volumesets/apps/protection", `{"groupName":"h","targetName":"array-b","mode":1}`},
		{404, 11, "GET", v + "/remotecopygroups/g/drill", ""},
		{404, 11, "DELETE", v + "/remotecopygroups/g/drill", ""},
		{404, 187, "POST", v + "/remotecopygroups/none/drill", `{}`},
		{404, 17, "POST", v + "/remotecopygroups/g/drill", `{"hosts":["nobody"]}`},
	} {
		a.refuses(w.status, w.code, w.method, w.path, w.body)
	}
	if after := volumesText(a) + volumesText(b); after != before {
		t.Errorf("before %s\nafter %s", before, after)
	}
	r := a.wants(201, "POST", at, `{"groupName":"h","targetName":"array-b","mode":1,"hosts":["web1","web2"],"proximity":"all","policies":{"activeActive":true}}`)
	g := get[group](a, r.location)
	if len(g.Volumes) != 2 || !g.Targets[0].Policies.ActiveActive {
		t.Errorf("%+v", g)
	}
	b.until("its copies", func() bool {
		x, err := b.n.Group("h")
		return err == nil && len(x.VVs) == 2 && len(x.VLUNs) == 4 && len(x.Near) == 2
	})
	b.until("the group", func() bool { x, err := b.n.Group("h"); return err == nil && x.Sync == "Synced" })

	d := b.wants(201, "POST", v+"/remotecopygroups/h/drill", `{"hosts":["web1"]}`)
	if x := get[drill](b, d.location); !x.Ready || len(x.Volumes) != 2 || x.Volumes[1].Of != "p2" {
		t.Errorf("%+v", x)
	}
	if x := get[collection[drill]](b, v+"/drills"); x.Total != 1 {
		t.Errorf("%+v", x)
	}
	b.refuses(409, 1101, "POST", v+"/remotecopygroups/h/drill", `{}`)
	b.wants(200, "DELETE", d.location, "")
	if x := get[collection[drill]](b, v+"/drills"); x.Total != 0 {
		t.Errorf("%+v", x)
	}
}

// TestASetIsAdmitted by one request, with a volume that hosts use.
func TestASetIsAdmitted(t *testing.T) {
	const v = "/api/v1"
	a, b := furnish(t)
	for _, name := range []string{"s1", "s2"} {
		a.wants(201, "POST", v+"/volumes", `{"name":"`+name+`","cpg":"cpg0","sizeMiB":64}`)
		a.served(name)
	}
	a.wants(201, "POST", v+"/vluns", `{"volumeName":"s1","hostname":"web1","lun":77}`)
	a.wants(201, "POST", v+"/volumesets", `{"name":"db","setmembers":["s1","s2"]}`)
	a.wants(201, "POST", v+"/remotecopygroups", `{"name":"h","targets":[{"targetName":"array-b","mode":1}]}`)
	const at = v + "/remotecopygroups/h/volumes"
	a.refuses(404, 102, "POST", at, `{"volumeName":"set:none","volumeAutoCreation":true}`)
	a.refuses(403, 1014, "POST", at, `{"volumeName":"set:apps","volumeAutoCreation":true}`)
	a.refuses(400, 40, "POST", at, `{"volumeName":"set:","volumeAutoCreation":true}`)
	if x := get[group](a, v+"/remotecopygroups/h"); len(x.Volumes) != 0 {
		t.Errorf("the group has %d volumes", len(x.Volumes))
	}
	if r := a.wants(201, "POST", at, `{"volumeName":"set:db","volumeAutoCreation":true}`); r.location != at {
		t.Errorf("it is at %s", r.location)
	}
	b.until("the copies", func() bool {
		x, err := b.n.Group("h")
		return err == nil && len(x.VVs) == 2 && len(x.VLUNs) == 1 && x.Sync == "Synced"
	})
}

// TestCopiesAreTasks: who lets a volume in use join a group, or leave one, hears which task it is.
func TestCopiesAreTasks(t *testing.T) {
	const v, g = "/api/v1", "/api/v1/remotecopygroups/g"
	a, b := furnish(t)
	began := func(r reply, kind string) {
		t.Helper()
		var s taskStarted
		if err := json.Unmarshal(r.body, &s); err != nil || s.ID == 0 || !slices.Equal(s.All, []uint64{s.ID}) {
			t.Fatalf("%v (%v)", r, err)
		}
		at := fmt.Sprintf("%s/tasks/%d", v, s.ID)
		if x := get[task](a, at+"?wait=30"); x.Kind != kind || x.Name != "own" || x.Status != 1 {
			t.Errorf("%+v", x)
		}
	}
	began(a.wants(200, "PUT", g, `{"action":1,"volumeName":"own","volumeAutoCreation":true}`), "remote_copy_admit")
	b.until("own", func() bool {
		x, err := b.n.Group("g")
		return err == nil && x.Sync == "Synced" && slices.ContainsFunc(x.VVs, func(v node.VV) bool { return v.Name == "own" })
	})
	began(a.wants(200, "DELETE", g+"/volumes/own", ""), "remote_copy_dismiss")

	a.fresh("new")
	if r := a.wants(200, "PUT", g, `{"action":1,"volumeName":"new","volumeAutoCreation":true}`); len(r.body) != 0 {
		t.Errorf("a volume that nobody uses is copied: %v", r)
	}
	a.fresh("s1", "s2")
	a.wants(201, "POST", v+"/vluns", `{"volumeName":"s1","hostname":"web1","lun":81}`)
	a.wants(201, "POST", v+"/vluns", `{"volumeName":"s2","hostname":"web1","lun":82}`)
	a.wants(201, "POST", v+"/volumesets", `{"name":"db","setmembers":["s1","s2"]}`)
	r := a.wants(201, "POST", v+"/volumesets/db/protection", `{"groupName":"h","targetName":"array-b","mode":1}`)
	var s taskStarted
	if err := json.Unmarshal(r.body, &s); err != nil || len(s.All) == 0 || s.ID != s.All[0] {
		t.Fatalf("%v (%v)", r, err)
	}
	for _, id := range s.All {
		if x := get[task](a, fmt.Sprintf("%s/tasks/%d?wait=30", v, id)); x.Kind != "remote_copy_admit" || x.Name != "s1" && x.Name != "s2" {
			t.Errorf("%+v", x)
		}
	}
}
