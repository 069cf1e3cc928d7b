// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// varies are members whose value no two runs have alike.
var varies = regexp.MustCompile(`"(time|timeSecs|groupLastSyncTime|groupLastSyncTimeSec|volumeLastSyncTime|volumeLastSyncTimeSec|creationTimeSec|creationTime8601|expirationTimeSec|expirationTime8601|startTime|finishTime|roundTripMs|lastSeen|localAddress|remoteAddress|address|tcpPort|API_URL|lastEnded|began|record|from|to|logEnd|committed|applied|otherHolds|starts|reason|timeZone|sessionsInUse|copying|lastPages|pages|identityKey)": ("[^"]*"|[0-9.]+)`)

// loopback are the addresses that links listen at (freePort).
var loopback = regexp.MustCompile(`127\.\d+\.\d+\.\d+`)

// decisions are as many as there were.
var decisions = regexp.MustCompile(`(?s)"decisions": \[.*?\n  \]`)

// plain is an answer without what varies, in lines.
func plain(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	got := varies.ReplaceAll(bytes.TrimSpace(b.Bytes()), []byte(`"$1": "..."`))
	got = loopback.ReplaceAll(got, []byte("127.0.0.1"))
	return append(decisions.ReplaceAll(got, []byte(`"decisions": []`)), '\n')
}

// golden compares what is answered with the file of that name. What an array is busy with
// for a moment has its time to end.
func golden(t *testing.T, name string, read func() []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	got := plain(t, read())
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: 'go test -update' makes it", err)
	}
	for end := time.Now().Add(5 * time.Second); !bytes.Equal(got, want) && time.Now().Before(end); got = plain(t, read()) {
		time.Sleep(20 * time.Millisecond)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was: 'go test -update' shows the difference\n%s", path, got)
	}
}

// goldenPaths are what is read, by the names of the golden files.
func goldenPaths() map[string]string {
	return map[string]string{
		"system": "/system", "capacity": "/capacity", "wsapiconfiguration": "/wsapiconfiguration", "users": "/users", "user": "/users/edit", "roles": "/roles",
		"role": "/roles/browse", "cpgs": "/cpgs", "cpg": "/cpgs/cpg0", "volumes": "/volumes", "volume": "/volumes/shop", "snapshot": "/volumes/shop.1",
		"keys": "/volumes/shop/objectKeyValues", "key": "/volumes/shop/objectKeyValues/app", "volumesets": "/volumesets", "volumeset": "/volumesets/apps",
		"hostsets": "/hostsets", "hostset": "/hostsets/web", "hosts": "/hosts", "host": "/hosts/web1", "personas": "/hostpersonas", "persona": "/hostpersonas/8",
		"vluns": "/vluns", "vlun": "/vluns/shop,0,web1", "ports": "/ports", "port": "/ports/0:1:1", "tasks": "/tasks", "task": "/tasks/1",
		"remotecopy": "/remotecopy", "targets": "/remotecopytargets", "target": "/remotecopytargets/array-b", "links": "/remotecopylinks",
		"link": "/remotecopylinks/array-b_0_0_1", "groups": "/remotecopygroups", "group": "/remotecopygroups/g", "groupvolumes": "/remotecopygroups/g/volumes",
		"groupvolume": "/remotecopygroups/g/volumes/shop", "grouptargets": "/remotecopygroups/g/targets", "grouptarget": "/remotecopygroups/g/targets/array-b",
		"explain": "/remotecopygroups/g/explain", "switchover": "/remotecopygroups/g/switchover", "scrubs": "/scrubs", "proximities": "/remotecopygroups/g/hosts", "domains": "/domains", "domain": "/domains/office", "domainsets": "/domainsets", "domainset": "/domainsets/both", "qos": "/qos", "qosrule": "/qos/vvset:apps",
	}
}

// TestGolden: what is answered, member by member.
func TestGolden(t *testing.T) {
	a, b := furnish(t)
	a.wants(http.StatusOK, "PUT", "/api/v1/remotecopygroups/g", `{"action":5}`)
	a.command("createdomain", "-comment", "of the office", "office")
	a.command("createhost", "-domain", "office", "desk", "iqn.2026-01.org.example:desk")
	a.command("createdomainset", "-comment", "for lists", "both", "office")
	a.until("the sync", func() bool { return get[task](a, "/api/v1/tasks/1").Status == 1 })
	reads := func(f *face, path string) func() []byte {
		return func() []byte { return f.wants(http.StatusOK, "GET", path, "").body }
	}
	golden(t, "version", reads(a, "/api"))
	for name, path := range goldenPaths() {
		golden(t, name, reads(a, "/api/v1"+path))
	}
	golden(t, "group-on-target", reads(b, "/api/v1/remotecopygroups/g.r1"))
	golden(t, "failure", func() []byte {
		return a.send("POST", "/api/v1/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":"big"}`).body
	})
	one := get[collection[entry]](a, "/api/v1/eventlog")
	if one.Total == 0 {
		t.Fatal("there are no events")
	}
	body, err := json.Marshal(entry{ID: 1, SysName: one.Members[0].SysName, Severity: 6, SeverityName: "Informational", Description: "text"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "event", func() []byte { return body })
}

// TestEveryReadHasAGolden: a route that is read has a file.
func TestEveryReadHasAGolden(t *testing.T) {
	patterns := map[string]bool{"/eventlog": true, "/eventlog/{span}": true, "/eventstream": true, "/openapi.json": true, "/witness": true, "/drills": true, "/alerts": true, "/alerts/{alert}": true, "/remotecopygroups/{group}/drill": true} // told of in other tests
	for _, p := range goldenPaths() {
		patterns[patternOf(t, "GET", p)] = true
	}
	for _, r := range routes() {
		if r.method == "GET" && r.status == 0 && !patterns[r.path] {
			t.Errorf("GET %s has no golden file", r.path)
		}
	}
}

// patternOf is the route that a path is answered by.
func patternOf(t *testing.T, method, path string) string {
	t.Helper()
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.HandleFunc(r.method+" "+base+r.path, func(http.ResponseWriter, *http.Request) {})
	}
	q, err := http.NewRequest(method, "https://array"+base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, pattern := mux.Handler(q)
	return strings.TrimPrefix(pattern, method+" "+base)
}
