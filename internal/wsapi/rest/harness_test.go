// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/pki"
)

const password = "correct horse battery"

// face is an array with its REST interface.
type face struct {
	t    *testing.T
	n    *node.Node
	url  string
	http *http.Client
	key  string
}

// freePort returns an address to listen on a little later. It is one of 127.0.0.0/8 drawn at
// random: on 127.0.0.1 others, which run at the same time, could take the port meanwhile.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(256), 1+rand.N(254))) // other processes' tests take ports, too
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// openFaces opens one array, or two that are a pair, with users of every role whose names
// are their roles'.
func openFaces(t *testing.T, count int) []*face {
	t.Helper()
	cfgs, pins, addr := make([]node.Config, count), make([]pki.Pin, count), make([]string, count)
	for i := range cfgs {
		dir := t.TempDir()
		id, err := pki.LoadOrCreate(filepath.Join(dir, "identity"), "array", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pins[i], addr[i] = id.Pin(), freePort(t)
		c := node.Config{Name: fmt.Sprintf("array-%c", 'a'+i), SystemID: array.SystemID(i + 1), DataDir: dir}
		c.LoginCost = people.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}
		c.ISCSI = node.ISCSI{Name: "iqn.2026-01.io.perdure:" + c.Name, Portals: []string{"127.0.0.1:0"}}
		c.Journal.SizeMiB, c.Memory.BuffersMiB, c.Memory.OverlayMiB = 64, 64, 32
		c.CPGs = []node.CPG{{Name: "cpg0", Dir: filepath.Join(dir, "cpg0"), LimitGiB: 1}}
		cfgs[i] = c
	}
	faces := make([]*face, count)
	for i := range cfgs {
		if o := 1 - i; count == 2 {
			cfgs[i].Target = node.Target{Name: cfgs[o].Name, SystemID: cfgs[o].SystemID, Key: pins[o], Links: []node.Link{{Name: "link1", Listen: addr[i], Remote: addr[o]}}}
		}
		faces[i] = openFace(t, cfgs[i])
	}
	if count == 2 {
		for _, f := range faces {
			f.until("the arrays to meet", func() bool { x, ok := f.n.Target(); return ok && x.Reachable })
		}
	}
	names, _ := people.Roles()
	for _, r := range names {
		faces[0].command("createuser", "-c", password, string(r), "all", string(r))
	}
	for _, f := range faces {
		f.until("the users", func() bool { us, err := f.n.People().Users(); return err == nil && len(us) == len(names) })
		f.login("super")
	}
	return faces
}

func openFace(t *testing.T, cfg node.Config) *face {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	n, err := node.Open(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s := httptest.NewTLSServer(New(ctx, Config{Array: n, People: n.People(), Listen: []string{"127.0.0.1:8080"}, Logger: log}))
	t.Cleanup(func() {
		stop()
		s.CloseClientConnections()
		s.Close()
		n.Close()
	})
	return &face{t: t, n: n, url: s.URL, http: s.Client()}
}

func (f *face) until(what string, ok func() bool) {
	f.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			f.t.Fatalf("%s: waited for %s", f.n.System().Name, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// command is one of the command line's.
func (f *face) command(words ...string) {
	f.t.Helper()
	if _, err := f.n.Run(f.t.Context(), words); err != nil {
		f.t.Fatalf("%v: %v", words, err)
	}
}

// reply is what was answered.
type reply struct {
	status   int
	location string
	body     []byte
}

func (r reply) code() int {
	var f failure
	_ = json.Unmarshal(r.body, &f)
	return f.Code
}

func (r reply) String() string {
	return fmt.Sprintf("%d %s %s", r.status, r.location, bytes.TrimSpace(r.body))
}

// send asks with a session, and a body if it isn't empty.
func (f *face) send(method, path, body string) reply {
	f.t.Helper()
	q, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if f.key != "" {
		q.Header.Set("X-Hp3Par-Wsapi-Sessionkey", f.key) // as the python client spells it
	}
	a, err := f.http.Do(q)
	if err != nil {
		f.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return reply{a.StatusCode, a.Header.Get("Location"), b}
}

// wants sends and wants a status.
func (f *face) wants(status int, method, path, body string) reply {
	f.t.Helper()
	r := f.send(method, path, body)
	if r.status != status {
		f.t.Fatalf("%s %s %s: %v; want %d", method, path, body, r, status)
	}
	return r
}

// refuses sends and wants a status and a code.
func (f *face) refuses(status, code int, method, path, body string) {
	f.t.Helper()
	if r := f.send(method, path, body); r.status != status || r.code() != code {
		f.t.Errorf("%s %s %s: %v; want %d with code %d", method, path, body, r, status, code)
	}
}

// get decodes what is answered.
func get[T any](f *face, path string) (v T) {
	f.t.Helper()
	r := f.wants(http.StatusOK, "GET", path, "")
	if err := json.Unmarshal(r.body, &v); err != nil {
		f.t.Fatalf("%s: %v: %v", path, r, err)
	}
	return v
}

func (f *face) login(user string) {
	f.t.Helper()
	f.key = ""
	r := f.wants(http.StatusCreated, "POST", "/api/v1/credentials", fmt.Sprintf(`{"user":%q,"password":%q}`, user, password))
	var k sessionKey
	if err := json.Unmarshal(r.body, &k); err != nil || k.Key == "" || r.location != "/api/v1/credentials/"+k.Key {
		f.t.Fatalf("login: %v", r)
	}
	f.key = k.Key
}

// as is the same array with another session.
func (f *face) as(user string) *face {
	o := *f
	o.login(user)
	return &o
}

// furnish gives a pair something of everything.
func furnish(t *testing.T) (a, b *face) {
	t.Helper()
	fs := openFaces(t, 2)
	a, b = fs[0], fs[1]
	const v = "/api/v1"
	a.wants(201, "POST", v+"/hosts", `{"name":"web1","iSCSINames":["iqn.2026-01.org.example:web1"],"persona":2,"descriptors":{"os":"linux","comment":"in rack 4"}}`)
	a.wants(201, "POST", v+"/hosts", `{"name":"web2","iSCSINames":["iqn.2026-01.org.example:web2"]}`)
	a.wants(201, "POST", v+"/hostsets", `{"name":"web","setmembers":["web1","web2"],"comment":"the web"}`)
	a.wants(201, "POST", v+"/volumes", `{"name":"own","cpg":"cpg0","sizeMiB":256,"tpvv":true,"comment":"scratch","usrSpcAllocWarningPct":80}`)
	a.served("own")
	a.wants(201, "POST", v+"/remotecopygroups", `{"name":"g","targets":[{"targetName":"array-b","mode":1,"userCPG":"cpg0"}],"localUserCPG":"cpg0"}`)
	a.wants(201, "POST", v+"/volumes", `{"name":"shop","cpg":"cpg0","sizeMiB":512,"compression":true,"tpvv":true}`)
	a.served("shop")
	a.wants(200, "PUT", v+"/remotecopygroups/g", `{"action":1,"volumeName":"shop","targets":[{"targetName":"array-b","secVolumeName":"shop"}],"volumeAutoCreation":true}`)
	b.until("shop", func() bool { _, err := b.n.Volume("shop"); return err == nil })
	a.synced()
	a.wants(201, "POST", v+"/volumes/shop/objectKeyValues", `{"key":"app","value":"shop 2"}`)
	a.wants(201, "POST", v+"/volumesets", `{"name":"apps","setmembers":["shop"]}`)
	a.wants(201, "POST", v+"/qos", `{"name":"apps","type":1,"priority":3,"ioMinGoal":100,"ioMaxLimit":50000,"bwMaxLimitKB":1048576,"latencyGoal":5}`)
	a.wants(201, "POST", v+"/vluns", `{"volumeName":"shop","hostname":"web1","autoLun":true,"maxAutoLun":0,"lun":0}`)
	a.wants(201, "POST", v+"/vluns", `{"volumeName":"own","hostname":"set:web","lun":7}`)
	a.wants(201, "POST", v+"/volumes/shop", `{"action":"createSnapshot","parameters":{"name":"shop.1","readOnly":true,"expirationHours":48}}`)
	return a, b
}

func (f *face) served(vv string) {
	f.t.Helper()
	f.until(vv+" to be served", func() bool { v, err := f.n.Volume(vv); return err == nil && v.Serving })
}

func (f *face) synced() {
	f.t.Helper()
	f.until("the group to be in sync", func() bool { g, err := f.n.Group("g"); return err == nil && g.Sync == "Synced" && g.State == "Started" })
}
