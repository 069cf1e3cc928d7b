// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A pyClient behaves as the incumbent's python client: it logs in again once on every 401
// and 403 and repeats the request, tries 503 again, and reads Location as that client does.
type pyClient struct {
	t              *testing.T
	base           string // .../api/v1
	http           *http.Client
	key            string
	user, password string
	logins, tries  int
	build          int
}

// pyError is its exception: the status is the class.
type pyError struct {
	status, code int
	desc         string
}

func (e pyError) Error() string { return fmt.Sprintf("HTTP %d %d: %s", e.status, e.code, e.desc) }

func codeOf(err error) int {
	var e pyError
	errors.As(err, &e)
	return e.code
}

func newPyClient(f *face) *pyClient {
	c := &pyClient{t: f.t, base: f.url + "/api/v1", http: f.http, tries: 5}
	_, body, err := c.once("GET", strings.Split(c.base, "/api")[0]+"/api", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	c.build = int(body["build"].(float64))
	return c
}

// login is authenticate: it keeps the password for logging in again.
func (c *pyClient) login(user, password string) error {
	c.user, c.password = user, password
	c.logins++
	c.key = ""
	_, body, err := c.once("POST", c.base+"/credentials", map[string]any{"user": user, "password": password})
	if err == nil {
		c.key = body["key"].(string)
	}
	return err
}

func (c *pyClient) once(method, at string, body any) (http.Header, map[string]any, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = strings.NewReader(string(b))
	}
	q, err := http.NewRequestWithContext(c.t.Context(), method, at, in)
	if err != nil {
		c.t.Fatal(err)
	}
	q.Header.Set("User-Agent", "python-3parclient")
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/json")
	if c.key != "" {
		q.Header.Set("X-Hp3Par-Wsapi-Sessionkey", c.key)
	}
	a, err := c.http.Do(q)
	if err != nil {
		return nil, nil, err
	}
	defer a.Body.Close()
	var out map[string]any
	if b, _ := io.ReadAll(a.Body); len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, at, err, b)
		}
	}
	if a.StatusCode >= 400 {
		desc, _ := out["desc"].(string)
		code, _ := out["code"].(float64)
		return nil, nil, pyError{a.StatusCode, int(code), desc}
	}
	return a.Header, out, nil
}

// do repeats once after logging in again on 401 and 403, and tries 503 again; tries is
// never given back.
func (c *pyClient) do(method, path string, body any) (http.Header, map[string]any, error) {
	h, out, err := c.once(method, c.base+path, body)
	var e pyError
	for errors.As(err, &e) && e.status == 503 && c.tries > 0 {
		c.tries--
		h, out, err = c.once(method, c.base+path, body)
	}
	if errors.As(err, &e) && (e.status == 401 || e.status == 403) && c.key != "" {
		if err := c.login(c.user, c.password); err != nil {
			return nil, nil, err
		}
		return c.once(method, c.base+path, body)
	}
	return h, out, err
}

func (c *pyClient) must(method, path string, body any) (http.Header, map[string]any) {
	c.t.Helper()
	h, out, err := c.do(method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s %v: %v", method, path, body, err)
	}
	return h, out
}

type m = map[string]any

// createVLUN returns the location as the client does.
func (c *pyClient) createVLUN(volume, host string) string {
	c.t.Helper()
	h, _ := c.must("POST", "/vluns", m{"volumeName": volume, "hostname": host, "autoLun": true, "maxAutoLun": 0, "lun": 0})
	return strings.ReplaceAll(h.Get("location"), "/api/v1/vluns/", "")
}

func (c *pyClient) createHostSet(name string, members ...string) string {
	c.t.Helper()
	h, _ := c.must("POST", "/hostsets", m{"name": name, "setmembers": members})
	parts := strings.Split(h.Get("location"), "/api/v1/hostsets/")
	return parts[len(parts)-1]
}

func (c *pyClient) query(path, text string) []any {
	c.t.Helper()
	_, out := c.must("GET", path+"?query="+url.PathEscape(`"`+text+`"`), nil)
	return out["members"].([]any)
}

// TestPythonClient plays what the volume driver of a cloud and the container plugin do
// with it, from login to logout.
func TestPythonClient(t *testing.T) {
	fs := openFaces(t, 2)
	a, b := newPyClient(fs[0]), newPyClient(fs[1])
	if a.build < 30301215 || a.build >= 40000128 {
		t.Errorf("build %d: clients would leave Remote Copy or compression out, or use another generation's rules", a.build)
	}
	if err := a.login("super", "wrong password"); codeOf(err) != 5 {
		t.Fatalf("a wrong password: %v", err)
	}
	for _, c := range []*pyClient{a, b} {
		if err := c.login("super", password); err != nil {
			t.Fatal(err)
		}
	}
	_, sys := a.must("GET", "/system", nil)
	replicated(t, fs, a, b, fmt.Sprintf("rcg.r%.0f", sys["id"].(float64)))
	attach(t, a, b)
	snapshotsAndClones(t, fs[0], a)
	a.must("DELETE", "/credentials/"+a.key, nil)
	if _, _, err := a.once("GET", a.base+"/system", nil); codeOf(err) != 6 {
		t.Errorf("after the logout: %v", err)
	}
}

// replicated is what the driver does for a volume with replication.
func replicated(t *testing.T, fs []*face, a, b *pyClient, remote string) {
	t.Helper()
	a.must("POST", "/volumes", m{"name": "vol", "cpg": "cpg0", "sizeMiB": 1024, "comment": `{"type":"OpenStack"}`, "snapCPG": "cpg0", "tpvv": true, "tdvv": false, "compression": true})
	fs[0].served("vol")
	if _, _, err := a.do("GET", "/remotecopygroups/rcg", nil); codeOf(err) != 187 {
		t.Fatalf("a group that is not there: %v", err)
	}
	a.must("POST", "/remotecopygroups", m{
		"name": "rcg", "localUserCPG": "cpg0", "localSnapCPG": "cpg0",
		"targets": []m{{"targetName": "array-b", "mode": 1, "userCPG": "cpg0", "snapCPG": "cpg0"}},
	})
	a.must("PUT", "/remotecopygroups/rcg", m{"targets": []m{{"policies": m{"autoFailover": true, "pathManagement": true, "autoRecover": true}}}})
	a.must("PUT", "/remotecopygroups/rcg", m{
		"action": 1, "volumeName": "vol", "targets": []m{{"targetName": "array-b", "secVolumeName": "vol"}}, "volumeAutoCreation": true,
	})
	fs[0].until("the group in sync", func() bool { g, err := fs[0].n.Group("rcg"); return err == nil && g.Sync == "Synced" })
	if _, _, err := a.do("PUT", "/remotecopygroups/rcg", m{"action": 3}); codeOf(err) != 215 {
		t.Errorf("start of a group that is started: %v", err)
	}
	before := a.logins
	if _, _, err := a.do("PUT", "/remotecopygroups/rcg", m{"action": 3}); codeOf(err) != 215 || a.logins != before+1 {
		t.Errorf("a refusal with 403 costs %d logins: %v", a.logins-before, err)
	}
	// On the other array the client makes up the name; what it tests is as on the incumbent.
	_, out := b.must("GET", "/remotecopygroups/"+remote, nil)
	target := out["targets"].([]any)[0].(m)
	status := out["volumes"].([]any)[0].(m)["remoteVolumes"].([]any)[0].(m)["syncStatus"]
	if out["role"] != 2.0 || target["roleReversed"] != false || target["state"] != 3.0 || status != 3.0 {
		t.Errorf("on the target: %v", out)
	}
	_, v := b.must("GET", "/volumes/vol", nil)
	_, w := a.must("GET", "/volumes/vol", nil)
	if v["wwn"] != w["wwn"] || v["id"] != w["id"] {
		t.Errorf("the copies are not one volume: %v, %v", v, w)
	}
}

func attach(t *testing.T, a, b *pyClient) {
	t.Helper()
	const iqn = "iqn.2026-01.org.example:node1"
	if hosts := a.query("/hosts", "iSCSIPaths[name=="+iqn+"]"); len(hosts) != 0 {
		t.Fatalf("%v", hosts)
	}
	a.must("POST", "/hosts", m{"name": "node1", "iSCSINames": []string{iqn}, "persona": 2})
	hosts := a.query("/hosts", "FCPaths[wwn==50014380186B3F20] OR iSCSIPaths[name==iqn.x:other OR name=="+iqn+"]")
	if len(hosts) != 1 || hosts[0].(m)["name"] != "node1" {
		t.Fatalf("%v", hosts)
	}
	if at := a.createVLUN("vol", "node1"); at != "vol,0,node1" {
		t.Fatalf("the location of the export: %q", at)
	}
	for _, c := range []*pyClient{a, b} { // the same on both arrays
		vluns := c.query("/vluns", "volumeName EQ vol")
		if len(vluns) != 1 || vluns[0].(m)["hostname"] != "node1" || vluns[0].(m)["lun"] != 0.0 {
			t.Errorf("%v", vluns)
		}
	}
	if got := a.query("/vluns", "hostname EQ nobody"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if set := a.createHostSet("nodes", "node1"); set != "nodes" {
		t.Errorf("the location of the set: %q", set)
	}
	_, out := a.must("GET", "/ports", nil)
	for _, p := range out["members"].([]any) {
		if q := p.(m); q["protocol"] == 2.0 && (q["linkState"] != 4.0 || q["IPAddr"] == "" || q["iSCSIName"] == "") {
			t.Errorf("%v", q)
		}
	}
	if _, _, err := a.do("DELETE", "/volumes/vol", nil); codeOf(err) != 120 {
		t.Errorf("removal of a replicated volume: %v", err)
	}
	a.must("DELETE", "/vluns/vol,0,node1", nil)
	if _, _, err := a.do("DELETE", "/vluns/vol,0,node1", nil); codeOf(err) != 19 {
		t.Errorf("an export removed twice: %v", err)
	}
	a.must("PUT", "/hostsets/nodes", m{"action": 2, "setmembers": []string{"node1"}})
	a.must("DELETE", "/hosts/node1", nil)
}

func snapshotsAndClones(t *testing.T, f *face, a *pyClient) {
	t.Helper()
	a.must("POST", "/volumes/vol", m{"action": "createSnapshot", "parameters": m{"name": "snap", "readOnly": true, "comment": "c", "expirationHours": 3, "retentionHours": 0}})
	if got := a.query("/volumes", "copyOf EQ vol"); len(got) != 1 || got[0].(m)["name"] != "snap" {
		t.Errorf("%v", got)
	}
	_, out := a.must("POST", "/volumes/snap", m{"action": "createPhysicalCopy", "parameters": m{"destVolume": "clone", "destCPG": "cpg0", "online": true, "tpvv": true}})
	id := out["taskid"].(float64)
	f.until("the copy", func() bool {
		_, out := a.must("GET", fmt.Sprintf("/tasks/%.0f", id), nil)
		return out["status"] == 1.0
	})
	a.must("PUT", "/volumes/clone", m{"action": 3, "sizeMiB": 256})
	if _, v := a.must("GET", "/volumes/clone", nil); v["sizeMiB"] != 1280.0 {
		t.Errorf("%v", v)
	}
	a.must("PUT", "/volumes/clone/objectKeyValues/type", m{"value": "OpenStack"})
	a.must("PUT", "/volumes/clone", m{"newName": "renamed", "comment": ""})
	a.must("POST", "/volumesets", m{"name": "set", "setmembers": []string{"renamed"}})
	if _, _, err := a.do("DELETE", "/volumes/renamed", nil); codeOf(err) != 34 {
		t.Errorf("removal of a volume in a set: %v", err)
	}
	a.must("POST", "/volumesets/set", m{"action": "createSnapshot", "parameters": m{"name": "of-@count@", "readOnly": true, "comment": "nightly"}})
	if _, out := a.must("GET", "/volumes/of-0", nil); out["comment"] != "nightly" {
		t.Errorf("a set's snapshot has the comment %v", out["comment"])
	}
	a.must("DELETE", "/volumesets/set", nil)
	if _, _, err := a.do("DELETE", "/volumes/renamed", nil); codeOf(err) != 32 {
		t.Errorf("removal of a volume with a snapshot: %v", err)
	}
	for _, v := range []string{"of-0", "renamed", "snap"} {
		a.must("DELETE", "/volumes/"+v, nil)
	}
	a.must("PUT", "/remotecopygroups/rcg", m{"action": 4})
	a.must("DELETE", "/remotecopygroups/rcg/volumes/vol?removeSecondaryVolume=true&removeVolume=true", nil)
	a.must("DELETE", "/remotecopygroups/rcg", nil)
}

// TestLogsInAgain: a client whose session is over goes on after one login.
func TestLogsInAgain(t *testing.T) {
	f := openFaces(t, 1)[0]
	c := newPyClient(f)
	if err := c.login("edit", password); err != nil {
		t.Fatal(err)
	}
	f.n.People().Logout(c.key)
	if _, _, err := c.do("GET", "/volumes", nil); err != nil || c.logins != 2 {
		t.Errorf("%v after %d logins", err, c.logins)
	}
	f.n.People().Logout(c.key)
	c.must("POST", "/volumes", m{"name": "v", "cpg": "cpg0", "sizeMiB": 64})
	if c.logins != 3 {
		t.Errorf("%d logins", c.logins)
	}
}
