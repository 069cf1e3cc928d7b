// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestExamples plays the examples of the description, in their order, against two arrays that
// become a pair by them. One that has to wait for what was begun before is sent again: what
// is refused changes nothing.
func TestExamples(t *testing.T) {
	faces, listen := openStrangers(t, 2)
	a, b := faces[0], faces[1]
	key := get[system](b, "/api/v1/system").IdentityKey
	played := map[string]bool{}
	for _, e := range examples() {
		path, body := base+e.path, strings.ReplaceAll(strings.ReplaceAll(e.body, exampleKey, key), exampleLink, listen[1])
		switch {
		case e.path == streamPath:
			streamed(t, a)
		case strings.HasSuffix(path, exampleSession):
			a.wants(http.StatusOK, e.method, strings.ReplaceAll(path, exampleSession, a.key), "")
		default:
			var r reply
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if r = a.send(e.method, path, body); r.status == cmp.Or(e.status, http.StatusOK) || time.Now().After(end) {
					break
				}
			}
			if r.status != cmp.Or(e.status, http.StatusOK) {
				t.Fatalf("%s %s %s: %v", e.method, path, body, r)
			}
		}
		if e.method == "POST" && e.path == "/remotecopytargets" { // it takes both
			s := get[system](a, "/api/v1/system")
			b.wants(http.StatusCreated, "POST", base+e.path, fmt.Sprintf(`{"name":%q,"type":1,"systemId":%d,"key":%q,"portPosAndLink":[{"portPos":{"node":0,"slot":0,"cardPort":1},"link":%q}]}`, s.Name, s.ID, s.IdentityKey, listen[0]))
			a.until("the pair", func() bool { x, ok := a.n.Target(); return ok && x.Reachable })
		}
		for _, r := range routes() {
			if _, is := e.at(r); is {
				played[r.method+" "+r.path] = true
			}
		}
	}
	for _, r := range routes() {
		if !played[r.method+" "+r.path] {
			t.Errorf("%s %s has no example", r.method, r.path)
		}
		if like, _, _ := exampleOf(r); r.in != nil && r.status != http.StatusNotImplemented && like.body == "" {
			t.Errorf("%s %s takes a body, and its example has none", r.method, r.path)
		}
	}
}

// streamed asks for the stream of events until it has begun.
func streamed(t *testing.T, f *face) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+base+streamPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set(sessionHeader, f.key)
	r, err := f.http.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%s, %s", r.Status, r.Header.Get("Content-Type"))
	}
}
