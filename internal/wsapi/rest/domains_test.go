// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"
	"testing"
)

// names are those of what a collection has.
func names[M any](f *face, path string, of func(M) string) string {
	f.t.Helper()
	var all []string
	for _, m := range get[collection[M]](f, base+path).Members {
		all = append(all, of(m))
	}
	return strings.Join(all, " ")
}

// TestDomains: who has a role in a domain sees and touches what is in it, on both arrays, and
// nothing else is told.
func TestDomains(t *testing.T) {
	as := openFaces(t, 2)
	a, b := as[0], as[1]
	a.wants(201, "POST", base+"/domains", `{"name":"shop","comment":"c"}`)
	a.wants(201, "POST", base+"/domains", `{"name":"office"}`)
	a.refuses(409, 1040, "POST", base+"/domains", `{"name":"shop"}`)
	a.refuses(400, 40, "POST", base+"/domains", `{}`)
	a.refuses(404, 38, "GET", base+"/domains/none", "")
	a.refuses(404, 38, "POST", base+"/hosts", `{"name":"h","domain":"none","iSCSINames":["iqn.x:h"]}`)
	a.wants(201, "POST", base+"/hosts", `{"name":"desk","domain":"office","iSCSINames":["iqn.x:desk"]}`)
	a.wants(201, "POST", base+"/hosts", `{"name":"web","domain":"shop","iSCSINames":["iqn.x:web"]}`)
	a.wants(201, "POST", base+"/hostsets", `{"name":"webs","setmembers":["web"]}`)
	a.refuses(403, 1037, "POST", base+"/hostsets", `{"name":"mixed","setmembers":["web","desk"]}`)
	a.wants(201, "POST", base+"/volumes", `{"name":"v","cpg":"cpg0","sizeMiB":64}`)
	a.served("v")
	a.refuses(403, 1037, "POST", base+"/vluns", `{"volumeName":"v","hostname":"web","lun":1}`)
	a.command("movetodomain", "-f", "-cpg", "cpg0", "shop")
	a.wants(201, "POST", base+"/vluns", `{"volumeName":"v","hostname":"web","lun":1}`)
	a.refuses(403, 1038, "POST", base+"/remotecopygroups", `{"name":"g","domain":"office","targets":[{"targetName":"array-b","mode":1,"userCPG":"cpg0"}],"localUserCPG":"cpg0"}`)
	a.wants(201, "POST", base+"/remotecopygroups", `{"name":"g","domain":"shop","targets":[{"targetName":"array-b","mode":1,"userCPG":"cpg0"}],"localUserCPG":"cpg0"}`)
	a.wants(201, "POST", base+"/remotecopygroups", `{"name":"none","targets":[{"targetName":"array-b","mode":1}]}`)
	a.refuses(403, 1039, "PUT", base+"/remotecopygroups/none", `{"action":1,"volumeName":"v","targets":[{"targetName":"array-b","secVolumeName":"v"}],"volumeAutoCreation":true}`)
	a.refuses(409, 1041, "DELETE", base+"/domains/shop", "")
	if d := get[domain](a, base+"/domains/shop"); strings.Join(d.Objects, ",") != "CPG cpg0,Remote Copy group g,host set webs,host web" {
		t.Errorf("%+v", d)
	}
	if v := get[volume](a, base+"/volumes/v"); v.Domain != "shop" {
		t.Errorf("%+v", v)
	}

	a.command("createuser", "-c", password, "ann", "shop", "edit")
	a.command("createuser", "-c", password, "bob", "office", "edit")
	b.until("the users", func() bool {
		us, err := b.n.People().Users()
		return err == nil && us[0].Name == "ann" && us[1].Name == "bob"
	})
	for _, x := range as {
		x.until("the group", func() bool { _, err := x.n.Group("g"); return err == nil })
		ann, bob := x.as("ann"), x.as("bob")
		host := func(h host) string { return h.Name + "/" + h.Domain }
		if got := names(ann, "/hosts", host); got != "web/shop" {
			t.Errorf("ann sees the hosts %s", got)
		}
		if got := names(bob, "/hosts", host); got != "desk/office" {
			t.Errorf("bob sees the hosts %s", got)
		}
		if got := names(bob, "/cpgs", func(c cpg) string { return c.Name }) + names(bob, "/volumes", func(v volume) string { return v.Name }) +
			names(bob, "/vluns", func(v vlun) string { return v.VolumeName }) + names(bob, "/hostsets", func(s set) string { return s.Name }) +
			names(bob, "/remotecopygroups", func(g group) string { return g.Name }) + names(bob, "/eventlog", func(e entry) string { return e.Description }); got != "" {
			t.Errorf("bob sees %s", got)
		}
		if got := names(ann, "/remotecopygroups", func(g group) string { return g.Name + "/" + g.Domain }); got != "g/shop" {
			t.Errorf("ann sees the groups %s", got)
		}
		if got := names(bob, "/domains", func(d domain) string { return d.Name }); got != "office" {
			t.Errorf("bob sees the domains %s", got)
		}
		for _, w := range []wrong{
			{404, 17, "GET", "/hosts/web", ""},
			{404, 17, "DELETE", "/hosts/web", ""},
			{404, 15, "GET", "/cpgs/cpg0", ""},
			{404, 15, "POST", "/volumes", `{"name":"w","cpg":"cpg0","sizeMiB":64}`},
			{404, 102, "GET", "/hostsets/webs", ""},
			{404, 187, "GET", "/remotecopygroups/g", ""},
			{404, 187, "GET", "/remotecopygroups/g/explain", ""},
			{404, 187, "POST", "/remotecopygroups/g", `{"action":8}`},
			{404, 187, "DELETE", "/remotecopygroups/g", ""},
			{404, 38, "GET", "/domains/shop", ""},
			{404, 38, "POST", "/hosts", `{"name":"x","domain":"shop","iSCSINames":["iqn.x:x"]}`},
			{403, 13, "POST", "/domains", `{"name":"x"}`},
			{404, 1035, "GET", "/users/ann", ""},
			{403, 13, "POST", "/scrubs", `{"mibPerSecond":5}`},
		} {
			bob.refuses(w.status, w.code, w.method, base+w.path, w.body)
		}
		bob.wants(http.StatusOK, "GET", base+"/system", "")
		if got := names(bob, "/users", func(u user) string { return u.Name }); got != "bob" {
			t.Errorf("bob sees the users %s", got)
		}
	}
	ann := a.as("ann")
	if got := names(ann, "/volumes", func(v volume) string { return v.Name }); got != "v" {
		t.Errorf("ann sees the volumes %s", got)
	}
	ann.wants(201, "POST", base+"/volumes", `{"name":"w","cpg":"cpg0","sizeMiB":64}`)
	bob := a.as("bob")
	bob.refuses(404, 23, "GET", base+"/volumes/w", "")
	bob.refuses(404, 23, "GET", base+"/volumes/w/objectKeyValues", "")
	bob.refuses(404, 23, "PUT", base+"/volumes/w", `{"comment":"x"}`)
	bob.refuses(404, 23, "DELETE", base+"/volumes/w", "")
	bob.refuses(404, 19, "GET", base+"/vluns/v,1,web", "")
	bob.refuses(404, 23, "POST", base+"/vluns", `{"volumeName":"w","hostname":"desk","lun":1}`)
	bob.wants(201, "POST", base+"/hosts", `{"name":"desk2","iSCSINames":["iqn.x:desk2"]}`)
	if h := get[host](a, base+"/hosts/desk2"); h.Domain != "office" {
		t.Errorf("%+v", h)
	}
	if r := bob.send("POST", base+"/hosts", `{"name":"x","iSCSINames":["iqn.x:web"]}`); r.status != 409 || strings.Contains(string(r.body), "host web") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
