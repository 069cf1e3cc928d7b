// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"testing"
)

// TestActiveActive: both arrays serve, hosts have proximities, and it ends again.
func TestActiveActive(t *testing.T) {
	a, b := furnish(t)
	const g = "/api/v1/remotecopygroups/g"
	b.wants(http.StatusOK, "PUT", g, `{"targets":[{"policies":{"activeActive":true}}]}`) // carried out by a
	b.until("both to serve", func() bool { x := get[group](b, g); return x.SharedHere && x.Targets[0].Policies.ActiveActive })
	b.wants(http.StatusOK, "PUT", g+"/hosts/web1", `{"proximity":"secondary"}`)
	b.wants(http.StatusOK, "PUT", g+"/hosts/set:web", `{"proximity":"all"}`)
	for _, f := range []*face{a, b} {
		if got := get[collection[nearness]](f, g+"/hosts"); got.Total != 2 || got.Members[0] != (nearness{"web1", "secondary"}) {
			t.Errorf("%+v", got)
		}
	}
	a.refuses(http.StatusNotFound, 17, "PUT", g+"/hosts/none", `{"proximity":"all"}`)
	a.refuses(http.StatusNotFound, 102, "PUT", g+"/hosts/set:none", `{"proximity":"all"}`)
	a.wants(http.StatusOK, "DELETE", g+"/hosts/web1", "")
	a.refuses(http.StatusConflict, 1102, "PUT", g, `{"targets":[{"policies":{"activeActive":false}}]}`) // its host is not logged in
	a.wants(http.StatusOK, "PUT", g, `{"targets":[{"policies":{"activeActive":false}}],"force":true}`)
	b.until("one to serve", func() bool { return !get[group](b, g).SharedHere })
}
