// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/people"
)

// later is the users of an array, so much later.
type later struct {
	People
	by time.Duration
}

func (l later) Session(key string, now time.Time) (people.Session, error) {
	return l.People.Session(key, now.Add(l.by))
}

// TestExpiredSession: every route that takes a session answers 403 with code 6, which clients
// take for an order to log in again, and changes nothing.
func TestExpiredSession(t *testing.T) {
	f := openFaces(t, 1)[0]
	f.login("super")
	s := httptest.NewTLSServer(New(t.Context(), Config{Array: f.n, People: later{f.n.People(), people.DefaultIdle}, Listen: []string{"127.0.0.1:8080"}}))
	defer s.Close()
	then := *f
	then.url, then.http = s.URL, s.Client()
	f.wants(http.StatusOK, "GET", "/api/v1/system", "")
	then.wants(http.StatusOK, "GET", "/api", "")
	then.refuses(http.StatusForbidden, 6, "POST", "/api/v1/volumes", `{"name":"v","cpg":"cpg0","sizeMiB":64}`)
	for _, r := range routes() {
		if r.open {
			continue
		}
		then.refuses(http.StatusForbidden, 6, r.method, "/api/v1"+r.path, "")
	}
	f.refuses(http.StatusForbidden, 6, "GET", "/api/v1/system", "") // it is gone for good
	f.login("super")
	f.refuses(http.StatusNotFound, 23, "GET", "/api/v1/volumes/v", "")
}

// atOnce sends requests at the same moment and returns what was answered.
func atOnce(sends ...func() reply) []reply {
	out := make([]reply, len(sends))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, send := range sends {
		all.Go(func() {
			<-start
			out[i] = send()
		})
	}
	close(start)
	all.Wait()
	return out
}

// TestConflictingChangesAtOnce: of changes that exclude each other one is made, and the others
// hear why they are not.
func TestConflictingChangesAtOnce(t *testing.T) {
	a, b := furnish(t)
	const v = "/api/v1"
	request := func(f *face, method, path, body string) func() reply {
		return func() reply { return f.send(method, v+path, body) }
	}
	one := func(what string, status, refused, code int, all []reply) (winner int) {
		t.Helper()
		won := 0
		for i, r := range all {
			switch {
			case r.status == status:
				won, winner = won+1, i
			case r.status != refused || r.code() != code:
				t.Errorf("%s: %v; want %d, or %d with code %d", what, r, status, refused, code)
			}
		}
		if won != 1 {
			t.Errorf("%s: %d were made, want one: %v", what, won, all)
		}
		return winner
	}

	var groups, volumes, vluns, paths []func() reply
	for i := range 6 {
		groups = append(groups, request(a, "POST", "/remotecopygroups", `{"name":"once","targets":[{"targetName":"array-b","mode":1,"userCPG":"cpg0"}],"localUserCPG":"cpg0"}`))
		volumes = append(volumes, request(a, "POST", "/volumes", `{"name":"same","cpg":"cpg0","sizeMiB":64,"tpvv":true}`))
		name := fmt.Sprintf("lun%d", i)
		a.wants(201, "POST", v+"/volumes", fmt.Sprintf(`{"name":%q,"cpg":"cpg0","sizeMiB":64,"tpvv":true}`, name))
		a.served(name)
		vluns = append(vluns, request(a, "POST", "/vluns", fmt.Sprintf(`{"volumeName":%q,"hostname":"web1","lun":99}`, name)))
		paths = append(paths, request([]*face{a, b}[i%2], "POST", "/hosts", fmt.Sprintf(`{"name":"host%d","iSCSINames":["iqn.2026-01.org.example:wanted"]}`, i)))
	}
	one("a group", 201, 409, 237, atOnce(groups...))
	one("a volume", 201, 409, 22, atOnce(volumes...))
	one("a LUN", 201, 409, 59, atOnce(vluns...))
	a.served("same")
	admit := `{"action":1,"volumeName":"same","targets":[{"targetName":"array-b","secVolumeName":"same"}],"volumeAutoCreation":true}`
	won := one("a volume in two groups", 200, 403, 1014, atOnce(request(a, "PUT", "/remotecopygroups/g", admit), request(a, "PUT", "/remotecopygroups/once", admit)))
	for i, name := range []string{"g", "once"} {
		has := false
		for _, x := range get[group](a, v+"/remotecopygroups/"+name).Volumes {
			has = has || x.LocalVolumeName == "same"
		}
		if has != (i == won) {
			t.Errorf("group %s has the volume: %v", name, has)
		}
	}
	// Each array asks the other one: both may be refused, but never are both made.
	made := 0
	for _, r := range atOnce(paths...) {
		switch {
		case r.status == 201:
			made++
		case r.status != 409 || r.code() != 73:
			t.Errorf("an initiator: %v", r)
		}
	}
	if made > 1 {
		t.Errorf("%d hosts have the same initiator", made)
	}
}
