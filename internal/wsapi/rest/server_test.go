// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// serveAt serves an array at an address of this machine over TLS with its identity.
func serveAt(t *testing.T, f *face) string {
	t.Helper()
	at := freePort(t)
	conf := f.n.ManagementTLS()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, Config{Array: f.n, People: f.n.People(), Listen: []string{at}, TLS: conf, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	f.until("the server", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return at
}

// TestServe: over TLS 1.2 and later, with the array's identity, and not in the clear.
func TestServe(t *testing.T) {
	f := openFaces(t, 1)[0]
	at := serveAt(t, f)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("TLS %x: %v", version, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	if a, err := http.Get("http://" + at + "/api"); err == nil {
		if _ = a.Body.Close(); a.StatusCode == http.StatusOK {
			t.Error("it is answered in the clear")
		}
	}
	for _, junk := range []string{
		"GET /api HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x00\x01\x02\r\n\r\n", "GET /api/v1/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /api HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", maxHeader+8192) + "\r\n\r\n", "POST /api/v1/credentials HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
	} {
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(junk))
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%.40q: %v", junk, err)
		}
		if strings.HasPrefix(junk, "GET /api HTTP/1.1\r\nHost: x\r\n\r\n") != strings.Contains(line, " 200 ") {
			t.Errorf("%.40q: %q", junk, line)
		}
		_ = c.Close()
	}
}

// TestASlowBody is given up, while a stream that is older goes on.
func TestASlowBody(t *testing.T) {
	f := openFaces(t, 1)[0]
	s := New(t.Context(), Config{Array: f.n, People: f.n.People(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	s.bodyWithin = 100 * time.Millisecond
	h := httptest.NewTLSServer(s)
	defer h.Close()
	defer h.CloseClientConnections()
	slow := *f
	slow.url, slow.http = h.URL, h.Client()
	a, events := slow.listen(t.Context(), "")
	defer a.Body.Close()
	never, w := io.Pipe()
	defer w.Close()
	q, err := http.NewRequestWithContext(t.Context(), "POST", h.URL+"/api/v1/volumes", never)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set(sessionHeader, f.key)
	r, err := h.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusRequestTimeout || (reply{body: b}).code() != 7 {
		t.Errorf("%d %s %v", r.StatusCode, b, err)
	}
	f.lock("browse")
	// Whoever looks sees all users, as by showuser, but not who is locked out.
	if r := f.as("create").wants(200, "GET", "/api/v1/users/browse", "").String(); strings.Contains(r, `"lockedOut"`) {
		t.Error(r)
	}
	if r := f.wants(200, "GET", "/api/v1/users/browse", "").String(); !strings.Contains(r, `"lockedOut"`) || !strings.Contains(r, `"from":"127.0.0.1"`) {
		t.Errorf("a user who is locked out is shown as %s", r)
	}
	if _, e := next(t, events); !strings.Contains(e.Description, "browse") {
		t.Errorf("%+v", e)
	}
}

// TestTooManyConnections: those above the limit wait, the others go on.
func TestTooManyConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := bound(l, newPlaces(2, 2))
	accepted := make(chan net.Conn)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	var clients []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	first, second := <-accepted, <-accepted
	select {
	case <-accepted:
		t.Error("a third connection is taken")
	default:
	}
	_ = first.Close()
	_ = first.Close() // gives its place back once
	third := <-accepted
	if len(b.places.free) != 2 {
		t.Errorf("%d places are taken", len(b.places.free))
	}
	for _, c := range append(clients, second, third) {
		_ = c.Close()
	}
	_ = b.Close()
	<-ended
}

// TestOneAddressLeavesRoomForOthers: it is hung up on where it takes more than its share.
func TestOneAddressLeavesRoomForOthers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := bound(l, newPlaces(3, 2))
	defer b.Close()
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial("127.0.0.2")
	first := <-accepted
	dial("127.0.0.2")
	second := <-accepted
	if n, err := dial("127.0.0.2").Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("its third connection is taken")
	}
	dial("127.0.0.3")
	other := <-accepted
	_ = first.Close()
	dial("127.0.0.2")
	for _, c := range []net.Conn{second, other, <-accepted} {
		_ = c.Close()
	}
	if len(b.places.from) != 0 {
		t.Errorf("%v are counted", b.places.from)
	}
}

// TestSlowStrangersTakeNoTurn: bodies that never come, of as many as may ask at a time, keep nobody
// from being answered; a stranger's body is small.
func TestSlowStrangersTakeNoTurn(t *testing.T) {
	f := openFaces(t, 1)[0]
	for range maxCalls {
		c, err := tls.Dial("tcp", strings.TrimPrefix(f.url, "https://"), f.http.Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /api/v1/credentials HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	f.wants(http.StatusOK, "GET", "/api/v1/system", "")
	f.refuses(http.StatusRequestEntityTooLarge, 4, "POST", "/api/v1/credentials", `{"user":"`+strings.Repeat("x", maxOpenBody)+`"}`)
}

// TestTooManyCalls: who has no turn in time is asked to try again.
func TestTooManyCalls(t *testing.T) {
	q := make(turns, 1)
	if !q.take(t.Context(), time.Hour) || q.take(t.Context(), time.Millisecond) {
		t.Error("the limit is none")
	}
	q.give()
	if !q.take(t.Context(), 0) {
		t.Error("a turn was not given back")
	}
	ctx, gone := context.WithCancel(t.Context())
	gone()
	if q.take(ctx, time.Hour) {
		t.Error("whoever is gone has a turn")
	}
}

// TestAFailureInside is answered, and does not end the server.
func TestAFailureInside(t *testing.T) {
	f := openFaces(t, 1)[0]
	s := New(t.Context(), Config{Array: f.n, People: f.n.People(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	h := s.handler(route{open: true, do: func(*call) (answer, error) { panic("broken") }})
	for range maxCalls + 1 { // each gives its turn back
		w := &recorder{header: http.Header{}}
		q, err := http.NewRequestWithContext(t.Context(), "GET", "/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		h(w, q)
		if w.status != http.StatusInternalServerError || !strings.Contains(w.body, `"code":1,`) {
			t.Fatalf("%+v", w)
		}
	}
}

type recorder struct {
	header http.Header
	status int
	body   string
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(s int)   { r.status = s }
func (r *recorder) Write(b []byte) (int, error) {
	r.body += string(b)
	return len(b), nil
}

// TestDescription: the description has every route, and docs/rest.md every path.
func TestDescription(t *testing.T) {
	f := openFaces(t, 1)[0]
	f.key = ""
	d := get[map[string]any](f, "/api/v1/openapi.json")
	all := paths(d)
	docs, err := os.ReadFile("../../../docs/rest.md")
	if err != nil {
		t.Fatal(err)
	}
	compat, err := os.ReadFile("../../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes() {
		path := base + strings.ReplaceAll(r.path, "...}", "}")
		if !slices.Contains(all, path) {
			t.Errorf("the description lacks %s", path)
			continue
		}
		if _, ok := d["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(r.method)]; !ok {
			t.Errorf("the description lacks %s %s", r.method, path)
		}
		if short := strings.ReplaceAll(r.path, "...}", "}"); !strings.Contains(string(docs), "`"+short+"`") {
			t.Errorf("docs/rest.md lacks `%s`", short)
		}
		if short := strings.ReplaceAll(r.path, "...}", "}"); !strings.Contains(string(compat), "`"+short+"`") {
			t.Errorf("docs/compatibility.md lacks `%s`", short)
		}
		if r.about == "" || r.right == "" && !r.open {
			t.Errorf("%s %s says nothing, or asks no right", r.method, r.path)
		}
	}
	if b := fmt.Sprint(schema(reflect.TypeFor[group]())); !strings.Contains(b, "remoteGroupName") {
		t.Error(b)
	}
}
