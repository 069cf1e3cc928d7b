// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// listen opens a stream of events after one.
func (f *face) listen(ctx context.Context, after string) (*http.Response, *bufio.Scanner) {
	f.t.Helper()
	q, err := http.NewRequestWithContext(ctx, "GET", f.url+"/api/v1/eventstream", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	q.Header.Set(sessionHeader, f.key)
	if after != "" {
		q.Header.Set("Last-Event-ID", after)
	}
	a, err := f.http.Do(q)
	if err != nil {
		f.t.Fatal(err)
	}
	return a, bufio.NewScanner(a.Body)
}

// next reads up to the next event.
func next(t *testing.T, s *bufio.Scanner) (id string, e entry) {
	t.Helper()
	for s.Scan() {
		if v, ok := strings.CutPrefix(s.Text(), "id: "); ok {
			id = v
		}
		if v, ok := strings.CutPrefix(s.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(v), &e); err != nil {
				t.Fatal(err)
			}
			return id, e
		}
	}
	t.Fatalf("the stream ended: %v", s.Err())
	return "", e
}

// lock makes an event: somebody is locked out after wrong passwords.
func (f *face) lock(user string) {
	f.t.Helper()
	o := *f
	o.key = ""
	for range 20 {
		if r := o.send("POST", "/api/v1/credentials", `{"user":"`+user+`","password":"wrong"}`); r.code() != 5 {
			return
		}
	}
}

// TestEventStream: events come at once, and a client that comes back misses none.
func TestEventStream(t *testing.T) {
	f := openFaces(t, 1)[0]
	ctx, leave := context.WithCancel(t.Context())
	a, s := f.listen(ctx, "")
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v", a)
	}
	if !s.Scan() || s.Text() != ": perdure" {
		t.Fatalf("%q", s.Text())
	}
	f.lock("browse")
	id, e := next(t, s)
	if !strings.Contains(e.Description, "browse") || strconv.FormatUint(e.ID, 10) != id || e.SysName != "array-a" {
		t.Errorf("%s %+v", id, e)
	}
	leave()
	_ = a.Body.Close()
	f.lock("edit")
	b, s := f.listen(t.Context(), id)
	defer b.Body.Close()
	if _, e := next(t, s); !strings.Contains(e.Description, "edit") {
		t.Errorf("%+v", e)
	}
	if got := get[collection[entry]](f, "/api/v1/eventlog?since="+id); got.Total != 1 {
		t.Errorf("%+v", got)
	}
	if got := get[collection[entry]](f, "/api/v1/eventlog/minutes:5"); got.Total < 2 {
		t.Errorf("%+v", got)
	}
	f.refuses(http.StatusBadRequest, 39, "GET", "/api/v1/eventlog?since=-1", "")
}

// TestAStreamEndsWithItsSession: no event is sent that came after.
func TestAStreamEndsWithItsSession(t *testing.T) {
	f := openFaces(t, 1)[0]
	a, s := f.listen(t.Context(), "")
	defer a.Body.Close()
	if !s.Scan() || s.Text() != ": perdure" || !s.Scan() {
		t.Fatalf("%q", s.Text())
	}
	f.n.People().Logout(f.key)
	f.lock("edit")
	for s.Scan() {
		if s.Text() != "" {
			t.Errorf("it goes on with %q", s.Text())
		}
	}
}

// TestTooManyStreams: those above the limit are told so, and there is room again. Commands have
// room beside them.
func TestTooManyStreams(t *testing.T) {
	f := openFaces(t, 1)[0]
	ctx, leave := context.WithCancel(t.Context())
	for range maxStreams {
		a, s := f.listen(ctx, "")
		defer a.Body.Close()
		if !s.Scan() {
			t.Fatal("a stream that ended at once")
		}
	}
	f.refuses(http.StatusServiceUnavailable, 1103, "GET", "/api/v1/eventstream", "")
	f.wants(http.StatusOK, "POST", "/api/v1/cli", `{"words":["showsys"]}`)
	leave()
	f.until("room for a stream", func() bool {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		a, _ := f.listen(ctx, "")
		defer a.Body.Close()
		return a.StatusCode == http.StatusOK
	})
}
