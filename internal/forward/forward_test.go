// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/event"
)

// log is a small log of events.
type log struct {
	mu     sync.Mutex
	most   int
	events []event.Numbered
	next   uint64
	news   chan struct{}
}

func newLog(most int) *log { return &log{most: most, news: make(chan struct{}, 1)} }

func (l *log) add(s event.Severity, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	l.events = append(l.events, event.Numbered{ID: l.next, Event: event.Event{At: time.Unix(1700000000, 123456000), Severity: s, Text: text}})
	l.events = l.events[max(0, len(l.events)-l.most):]
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *log) EventsAfter(id uint64) (all []event.Numbered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.ID > id {
			all = append(all, e)
		}
	}
	return all
}

func (l *log) WatchEvents() (<-chan struct{}, func()) { return l.news, func() {} }

// told is what the forwarder says of itself.
type told chan string

func (c told) take(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-c:
		if !strings.Contains(got, want) {
			t.Fatalf("told %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("not told %q", want)
	}
}

// run runs a forwarder until the test ends.
func run(t *testing.T, l *log, r Receiver, least event.Severity) told {
	t.Helper()
	f, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	c := make(told, 100)
	f.Source, f.Least, f.first, f.within = l, least, time.Millisecond, 200*time.Millisecond
	f.Sent = func(uint64) {}
	f.Told = func(text string, _ bool) { c <- text }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		goleak.VerifyNone(t, goleak.IgnoreAnyFunction("net/http/httptest.(*Server).goServe.func1"), goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
			goleak.IgnoreAnyFunction("github.com/gosnmp/gosnmp.(*TrapListener).Listen"), goleak.IgnoreAnyFunction("github.com/perdure/perdure/internal/forward.TestSnmptrapd.func1.1"))
	})
	return c
}

// certificate returns one for 127.0.0.1, and a file with it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.TLS.Certificates[0], path
}

const wantMessage = `^<27>1 2023-11-14T22:13:20\.123456Z array-a perdured - event \[meta sequenceId="2"\] \x{feff}the disk  failed$`

// TestSyslog: each way brings the message as RFC 5424 has it, and its frame, and nothing
// below the severity.
func TestSyslog(t *testing.T) {
	cert, ca := certificate(t)
	for _, kind := range []string{"udp", "tcp", "tls"} {
		t.Run(kind, func(t *testing.T) {
			got := make(chan string, 1)
			address := ""
			if kind == "udp" {
				c, err := net.ListenPacket("udp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				address = c.LocalAddr().String()
				go func() {
					b := make([]byte, 4096)
					n, _, _ := c.ReadFrom(b)
					got <- string(b[:n])
				}()
			} else {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				address = l.Addr().String()
				if kind == "tls" {
					l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
				}
				defer l.Close()
				go func() { got <- framed(l) }()
			}
			l := newLog(100)
			r := Receiver{To: "syslog+" + kind + "://" + address, Array: "array-a"}
			if kind == "tls" {
				r.CA = ca
			}
			run(t, l, r, event.Major)
			l.add(event.Minor, "not this one")
			l.add(event.Major, "the disk\r\nfailed")
			select {
			case m := <-got:
				if !regexp.MustCompile(wantMessage).MatchString(m) {
					t.Errorf("%q", m)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("nothing came")
			}
		})
	}
}

// TestASyslogServerThatHangsUp on who is silent is called again, and nobody is told of a failure.
func TestASyslogServerThatHangsUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan string)
	go func() {
		for range 2 {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c) // until the other side has hung up, too
			_ = c.Close()
			got <- string(b[:n])
		}
	}()
	l := newLog(100)
	failed := run(t, l, Receiver{To: "syslog+tcp://" + ln.Addr().String(), Array: "array-a"}, event.Major)
	for _, text := range []string{"the first", "the second"} {
		l.add(event.Major, text)
		select {
		case m := <-got:
			if !strings.HasSuffix(m, text) {
				t.Errorf("%q, want %q", m, text)
			}
		case text := <-failed:
			t.Fatal(text)
		case <-time.After(20 * time.Second):
			t.Fatal("nothing came")
		}
	}
}

// framed reads one message with its length before it.
func framed(l net.Listener) string {
	c, err := l.Accept()
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	r := bufio.NewReader(c)
	count, err := r.ReadString(' ')
	n, e := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || e != nil {
		return fmt.Sprint(err, e)
	}
	b := make([]byte, n)
	_, _ = io.ReadFull(r, b)
	return string(b)
}

// TestAWebhookThatIsAway gets all in order when it is there again, with its token; what fell
// out of the log meanwhile is told, once; and nobody waited for it.
func TestAWebhookThatIsAway(t *testing.T) {
	var mu sync.Mutex
	up := false
	var got []uint64
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b body
		err := json.NewDecoder(r.Body).Decode(&b)
		mu.Lock()
		defer mu.Unlock()
		if !up || err != nil || b.Array != "array-a" || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		for _, e := range b.Events {
			got = append(got, e.ID)
		}
	}))
	defer s.Close()
	ca, token := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "token")
	_ = os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600)
	_ = os.WriteFile(token, []byte("secret\n"), 0o600)
	l := newLog(200)
	told := run(t, l, Receiver{To: s.URL + "/hook?key=hidden", Array: "array-a", CA: ca, Token: token}, event.Informational)
	l.add(event.Minor, "1")
	told.take(t, "it answers 500 Internal Server Error; they are kept")
	for i := range 300 {
		l.add(event.Minor, fmt.Sprint(i+2))
	}
	mu.Lock()
	up = true
	mu.Unlock()
	told.take(t, "again; 101 had fallen out of the log")
	l.add(event.Minor, "last")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := len(got)
		mu.Unlock()
		if n == 201 || time.Now().After(end) {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 201 || got[0] != 102 || got[200] != 302 {
		t.Errorf("%d events: %v", len(got), got)
	}
	select {
	case text := <-told:
		t.Errorf("told %q too", text)
	default:
	}
}

// TestAReceiverThatDoesNotRead holds nobody up but its own forwarder, and that not for long.
func TestAReceiverThatDoesNotRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	events := newLog(1 << 14)
	for range 1 << 14 { // more than the kernel takes
		events.add(event.Minor, strings.Repeat("x", 2000))
	}
	told := run(t, events, Receiver{To: "syslog+tcp://" + l.Addr().String(), Array: "array-a"}, event.Minor)
	events.add(event.Minor, "this does not wait")
	told.take(t, "can't be forwarded")
}

// TestReceiversThatCannotBeMeant.
func TestReceiversThatCannotBeMeant(t *testing.T) {
	for _, r := range []Receiver{
		{To: ""},
		{To: "syslog://192.0.2.1:514"},
		{To: "syslog+udp://192.0.2.1"},
		{To: "syslog+tcp://192.0.2.1:514/path"},
		{To: "syslog+tcp://192.0.2.1:514", Token: "t"},
		{To: "syslog+udp://192.0.2.1:514", CA: "c"},
		{To: "ftp://192.0.2.1"},
		{To: "http://192.0.2.1/hook", Token: "t"},
		{To: "https://user:secret@192.0.2.1/hook"},
	} {
		if err := r.Check(); err == nil {
			t.Errorf("%+v can be meant", r)
		}
	}
	if _, err := New(Receiver{To: "https://192.0.2.1", CA: "/nowhere"}); err == nil {
		t.Error("certificates that are not there")
	}
	long := message("a", event.Numbered{ID: 1 << 40, Event: event.Event{Text: strings.Repeat("\u00e4", 3000)}})
	if len(long) > maxMessage || strings.ContainsRune(string(long), 0xfffd) {
		t.Errorf("%d bytes", len(long))
	}
}
