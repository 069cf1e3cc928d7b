// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// TestKindsAsCodes: errors that a request meets only by chance, as they are answered.
func TestKindsAsCodes(t *testing.T) {
	s := &Server{cfg: Config{Logger: slog.New(slog.DiscardHandler)}}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for _, x := range []struct {
		status, code int
		ctx          context.Context
		err          error
	}{
		{409, 1105, t.Context(), fmt.Errorf("verify: %w", array.Errorf(array.Aborted, "whoever asked for it is gone"))},
		{500, 1106, t.Context(), array.Errorf(array.Medium, "the copies are not alike")},
		{500, 1107, t.Context(), array.Errorf(array.Unknown, "the other array was lost")},
		{500, 1107, late, fmt.Errorf("wait: %w", late.Err())},
		{403, 1108, t.Context(), array.Errorf(array.Conflict, "it is in use").Because(array.Written)},
	} {
		w := httptest.NewRecorder()
		s.refuse(w, httptest.NewRequestWithContext(x.ctx, http.MethodPost, "/x", nil), x.err)
		var f failure
		if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || w.Code != x.status || f.Code != x.code || f.Desc == "" || f.Symbol == "" {
			t.Errorf("%v: %d %s (%v), want %d with %d", x.err, w.Code, w.Body, err, x.status, x.code)
		}
	}
}

// TestManySessions: who has as many sessions as there may be, and uses them, hears that.
func TestManySessions(t *testing.T) {
	f := openFaces(t, 1)[0]
	soon := time.Now().Add(10 * time.Minute) // none of them is idle for long
	for i := 0; ; i++ {
		if _, err := f.n.People().Login("edit", password, "192.0.2.1", soon); err != nil {
			if array.ReasonOf(err) != array.ManySessions || i < 256 {
				t.Fatalf("login %d: %v", i, err)
			}
			break
		}
	}
	f.refuses(503, 1113, "POST", "/api/v1/credentials", fmt.Sprintf(`{"user":"edit","password":%q}`, password))
	f.refuses(403, 5, "POST", "/api/v1/credentials", `{"user":"browse","password":"wrong"}`)
	f.wants(201, "POST", "/api/v1/credentials", fmt.Sprintf(`{"user":"super","password":%q}`, password))
}

// fresh makes volumes of 64 MiB that nobody uses.
func (f *face) fresh(names ...string) {
	f.t.Helper()
	for _, n := range names {
		f.wants(201, "POST", "/api/v1/volumes", fmt.Sprintf(`{"name":%q,"cpg":"cpg0","sizeMiB":64,"tpvv":true}`, n))
		f.served(n)
	}
}

// TestWhatKeepsVolumes from being removed, admitted or made.
func TestWhatKeepsVolumes(t *testing.T) {
	const v = "/api/v1"
	a, b := furnish(t)
	a.fresh("base", "kept", "timed", "inset", "twin")
	b.fresh("twin")
	a.wants(201, "POST", v+"/volumes/base", `{"action":"createSnapshot","parameters":{"name":"base.1","readOnly":true}}`)
	a.wants(201, "POST", v+"/volumes/kept", `{"action":"createSnapshot","parameters":{"name":"kept.1","readOnly":true,"retentionHours":2,"expirationHours":3}}`)
	a.wants(201, "POST", v+"/volumes/own", `{"action":"createSnapshot","parameters":{"name":"own.1","readOnly":true}}`)
	a.command("createsched", "createsv -ro -exp 1d timed.@y@@m@@d@ timed", "@daily", "nightly")
	a.wants(201, "POST", v+"/volumesets", `{"name":"some","setmembers":["inset"]}`)
	a.wants(201, "POST", v+"/volumesets", `{"name":"bare"}`)
	before := volumesText(a)
	for _, w := range []wrong{
		{400, 24, "POST", "/volumes", `{"name":"big","cpg":"cpg0","sizeMiB":1048576,"tpvv":false}`},
		{409, 32, "DELETE", "/volumes/base", ""},
		{409, 34, "DELETE", "/volumes/inset", ""},
		{403, 1022, "DELETE", "/volumes/kept.1", ""},
		{409, 1030, "DELETE", "/volumes/timed", ""},
		{404, 1031, "POST", "/volumesets/bare", `{"action":"createSnapshot","parameters":{"name":"s@count@","readOnly":true}}`},
		{409, 1013, "PUT", "/remotecopygroups/g", `{"action":1,"volumeName":"twin","volumeAutoCreation":true}`},
		{403, 1021, "PUT", "/remotecopygroups/g", `{"action":1,"volumeName":"own","volumeAutoCreation":true}`},
	} {
		a.refuses(w.status, w.code, w.method, v+w.path, w.body)
	}
	if after := volumesText(a); after != before {
		t.Errorf("refused requests changed something:\n%s\n%s", before, after)
	}
	a.wants(200, "PUT", v+"/remotecopygroups/g", `{"action":4}`)
	a.until("the stop", func() bool { return get[group](a, v+"/remotecopygroups/g").Targets[0].State == stateStopped })
	a.refuses(403, 1020, "PUT", v+"/remotecopygroups/g", `{"action":5}`)
	a.refuses(403, 1032, "POST", v+"/remotecopygroups/g/verify", `{}`)
	if x := get[collection[task]](a, v+"/tasks"); x.Total != 0 {
		t.Errorf("a request that is refused left a task: %+v", x)
	}
}

// TestTheOtherArrayIsLost: what takes it is refused, and what a copy that waits for it keeps.
func TestTheOtherArrayIsLost(t *testing.T) {
	const v = "/api/v1"
	a, b := furnish(t)
	a.wants(201, "POST", v+"/volumes", `{"name":"dest","cpg":"cpg0","sizeMiB":512,"tpvv":true}`)
	a.wants(201, "POST", v+"/volumes", `{"name":"inside","cpg":"cpg0","sizeMiB":512,"tpvv":true}`)
	a.served("dest")
	a.served("inside")
	a.wants(201, "POST", v+"/remotecopygroups", `{"name":"h","targets":[{"targetName":"array-b","mode":1}]}`)
	a.wants(200, "PUT", v+"/remotecopygroups/h", `{"action":1,"volumeName":"inside","volumeAutoCreation":true}`)
	a.wants(200, "POST", v+"/remotecopygroups/g", `{"action":8}`)
	b.until("the switchover", func() bool { x, err := b.n.Group("g"); return err == nil && x.ServedHere })
	b.wants(200, "PUT", v+"/remotecopygroups/g", `{"action":4}`)
	a.until("the stop", func() bool {
		return strings.Contains(get[explanation](a, v+"/remotecopygroups/g/explain").Record, " {B} ")
	})
	b.n.Close()
	a.until("the loss", func() bool { x, ok := a.n.Target(); return ok && !x.Reachable })
	a.until("the loss of its half", func() bool { x, err := a.n.Group("g"); return err == nil && !x.Contact && !x.ServedHere })
	a.refuses(403, 1004, "POST", v+"/remotecopygroups", `{"name":"z","targets":[{"targetName":"array-b","mode":1}]}`)
	a.refuses(403, 1004, "PUT", v+"/remotecopygroups/g", `{"action":5}`)

	// Nobody serves shop, for this array's copy is not current, so a copy of it stays under way.
	a.wants(200, "POST", v+"/volumes/shop", `{"action":"createPhysicalCopy","parameters":{"destVolume":"dest"}}`)
	a.until("the copy", func() bool { return get[volume](a, v+"/volumes/dest").CopyOf == "shop" })
	a.refuses(400, 29, "DELETE", v+"/volumes/dest", "")
	a.refuses(409, 97, "POST", v+"/vluns", `{"volumeName":"dest","hostname":"web1","lun":44}`)
	a.refuses(409, 151, "POST", v+"/volumes/dest", `{"action":"createSnapshot","parameters":{"name":"dest.1","readOnly":true}}`)
	a.wants(200, "POST", v+"/volumes/shop", `{"action":"createPhysicalCopy","parameters":{"destVolume":"inside"}}`)
	a.until("the copy", func() bool { return get[volume](a, v+"/volumes/inside").CopyOf == "shop" })
	a.refuses(403, 1005, "DELETE", v+"/remotecopygroups/h?removeVolumes=true", "")
	a.wants(200, "PUT", v+"/volumes/dest", `{"action":1}`)
	a.wants(200, "DELETE", v+"/volumes/dest", "")
}
