// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"testing"
)

// TestPeriodicGroups: a periodic group as clients of the incumbent make, change and read it.
func TestPeriodicGroups(t *testing.T) {
	a, b := furnish(t)
	const v, g = "/api/v1", "/api/v1/remotecopygroups"
	a.wants(201, "POST", g, `{"name":"p","targets":[{"targetName":"array-b","mode":3,"userCPG":"cpg0"}],"localUserCPG":"cpg0"}`)
	a.wants(201, "POST", v+"/volumes", `{"name":"far","cpg":"cpg0","sizeMiB":64,"tpvv":true}`)
	a.served("far")
	a.wants(200, "PUT", g+"/p", `{"action":1,"volumeName":"far","targets":[{"targetName":"array-b","secVolumeName":"far"}],"volumeAutoCreation":true}`)
	b.until("far", func() bool { _, err := b.n.Volume("far"); return err == nil })
	a.until("both to talk of p", func() bool { f, err := a.n.Group("p"); return err == nil && f.State == "Started" })
	a.wants(200, "PUT", g+"/p", `{"targets":[{"targetName":"array-b","syncPeriod":600,"policies":{"autoRecover":true,"overPeriodAlert":true}}]}`)
	a.wants(200, "PUT", g+"/p", `{"action":5}`)
	if f := get[task](a, v+"/tasks/1?wait=60"); f.Status != 1 || f.FinishTime == "-" {
		t.Errorf("the sync that was waited for: %+v", f)
	}
	b.until("the point", func() bool { f, err := b.n.Group("p"); return err == nil && !f.LastSync.IsZero() && f.Sync == "Synced" })
	read := func(f *face) func() []byte {
		return func() []byte { return f.wants(http.StatusOK, "GET", g+"/p", "").body }
	}
	golden(t, "group-periodic", read(a))
	golden(t, "group-periodic-on-target", read(b))
	if last := get[group](a, g+"/p").Targets[0]; last.GroupLastSyncTimeSec == 0 || last.GroupLastSyncTime == "" {
		t.Errorf("the copy is of no time: %+v", last)
	}
	for _, w := range []wrong{
		{400, 115, "PUT", "/remotecopygroups/p", `{"targets":[{"syncPeriod":14}]}`},
		{400, 43, "PUT", "/remotecopygroups/p", `{"targets":[{"syncPeriod":31622401}]}`},
		{403, 1047, "PUT", "/remotecopygroups/p", `{"targets":[{"policies":{"autoFailover":true}}]}`},
		{403, 1047, "PUT", "/remotecopygroups/p", `{"targets":[{"policies":{"pathManagement":true}}]}`},
		{403, 1047, "PUT", "/remotecopygroups/p", `{"targets":[{"policies":{"activeActive":true}}]}`},
		{403, 1047, "POST", "/remotecopygroups/p", `{"action":8}`},
		{501, 9, "PUT", "/remotecopygroups/p", `{"targets":[{"rmSyncPeriod":true}]}`},
		{501, 9, "PUT", "/remotecopygroups/p", `{"targets":[{"mode":4}]}`},
		{400, 46, "PUT", "/remotecopygroups/p", `{"targets":[{"mode":9}]}`},
		{400, 44, "PUT", "/remotecopygroups/p", `{"targets":[{"mode":1,"policies":{"autoFailover":true}}]}`},
		{403, 1018, "POST", "/remotecopygroups/p", `{"action":10}`},
		{403, 1047, "PUT", "/remotecopygroups/g", `{"targets":[{"mode":2}]}`}, // it has auto_failover
	} {
		a.refuses(w.status, w.code, w.method, v+w.path, w.body)
	}
	if now := get[group](a, g+"/p").Targets[0]; now.SyncPeriod != 600 || now.Policies.AutoFailover || !now.Policies.OverPeriodAlert {
		t.Errorf("a refused change left something: %+v", now)
	}
	a.wants(200, "PUT", g+"/p", `{"targets":[{"mode":1}]}`)
	a.until("p in sync", func() bool { f, err := a.n.Group("p"); return err == nil && f.Sync == "Synced" })
	if now := get[group](a, g+"/p").Targets[0]; now.Mode != modeSync || now.SyncPeriod != 0 {
		t.Errorf("mode %d, period %d", now.Mode, now.SyncPeriod)
	}
	a.wants(200, "PUT", g+"/p", `{"targets":[{"mode":2}]}`)
	if now := get[group](a, g+"/p").Targets[0]; now.Mode != modePeriodic || now.SyncPeriod != 300 {
		t.Errorf("mode %d, period %d", now.Mode, now.SyncPeriod)
	}
}
