// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// TestFloodOfConnections: connections that say nothing, from one address, keep nobody
// out who comes from another, and go when their time is over.
func TestFloodOfConnections(t *testing.T) {
	const logins = 16
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.Logins, c.Limits.Login = logins, 300*time.Millisecond })
	var flood []net.Conn
	for range 10 * logins {
		nc, err := net.Dial("tcp", l.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		flood = append(flood, nc)
	}
	for i := range byte(4) { // each proves whose it is and is no login any more
		if _, err := l.dial(func(c *initiator.Config) { named("a", i)(c); c.Dial = dialFrom("127.0.0.2") }); err != nil {
			t.Fatal("from elsewhere:", err)
		}
	}
	for n := 10 * logins; n > logins+4; { // those that had to go are gone in a moment
		time.Sleep(time.Millisecond)
		l.target.mu.Lock()
		n = len(l.target.conns)
		if len(l.target.logins) > logins {
			t.Errorf("%d connections log in", len(l.target.logins))
		}
		l.target.mu.Unlock()
	}
	for i, nc := range flood {
		nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := nc.Read(make([]byte, 1)); err == nil || err == io.ErrNoProgress {
			t.Fatalf("connection %d was answered", i)
		} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("connection %d was never closed", i)
		}
	}
}

// TestSlowLogin: a login has its time as a whole, however it is drawn out.
func TestSlowLogin(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.Login = 300 * time.Millisecond })
	byByte := l.raw(t)
	h := loginHeader(1, 3)
	go func() {
		for _, b := range pdu.Append(nil, &h, pdu.AppendText(nil, loginKeys()...), false, false) {
			if _, err := byByte.nc.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond) // the host's slowness, not synchronisation
		}
	}()
	byStep := l.raw(t)
	begin := loginHeader(0, 0)
	begin[1] = 0
	byStep.send(begin, pdu.AppendText(nil, loginKeys()...))
	began := time.Now()
	for {
		if what := byStep.next(); what == "end" {
			break
		} else if what != "login 0000" {
			t.Fatal(what)
		}
		time.Sleep(20 * time.Millisecond) // as above
		step := begin
		byStep.send(step, nil)
		if time.Since(began) > 5*time.Second {
			t.Fatal("a login that goes on and on")
		}
	}
	if what := byByte.next(); what != "end" {
		t.Error("a login byte by byte:", what)
	}
}

// TestLoginsLeaveNothing: what logins need goes when they have ended: memory, table
// entries, goroutines (which goleak counts at the end). `make prove` has more of them.
func TestLoginsLeaveNothing(t *testing.T) { loginMany(t, 600) }

// loginMany logs in n times, in each way there is to end, and looks at what is left.
func loginMany(t *testing.T, n int) {
	l := newLab(t, 1<<20, func(c *Config) {
		c.Auth = accounts{hostName: {}, "iqn.2026-01.org.example:chap": {CHAP: true, User: "u", Secret: "a secret of length"}}
	})
	turn := func(i int) {
		switch i % 6 {
		case 0: // dropped before a word
			nc, err := net.Dial("tcp", l.addr())
			if err != nil {
				t.Fatal(err)
			}
			nc.Close()
		case 1: // refused
			if _, err := l.dial(func(c *initiator.Config) { c.Name = "iqn.2026-01.org.example:nobody" }); err == nil {
				t.Fatal("nobody was let in")
			}
		case 2: // a wrong secret
			_, err := l.dial(func(c *initiator.Config) {
				c.Name, c.User, c.Secret = "iqn.2026-01.org.example:chap", "u", "not the secret"
			})
			if err == nil {
				t.Fatal("a wrong secret was taken")
			}
		default:
			cfg := initiator.Config{Addr: l.addr(), Target: testName, Name: hostName, ISID: [6]byte{0x80, 0, 0, 0, 0, byte(i % 3)}}
			if i%6 == 5 {
				cfg.Target = ""
			}
			c, err := initiator.Dial(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if i%6 == 3 {
				c.Do(read(0, 8))
				c.Logout()
			}
			c.Close()
		}
	}
	for i := range n / 6 {
		turn(i)
	}
	before := held(l)
	for i := range n {
		turn(i)
	}
	after := held(l)
	if grown := int64(after) - int64(before); grown > 512<<10 {
		t.Errorf("%d KiB more are held after %d logins", grown>>10, n)
	}
	t.Logf("%d logins: %d KiB before, %d KiB after", n, before>>10, after>>10)
}

// held waits for the end of all connections, and returns the memory in use.
func held(l *lab) uint64 {
	for {
		l.target.mu.Lock()
		left := len(l.target.conns) + len(l.target.sessions) + len(l.target.hosts) + len(l.target.logins)
		l.target.mu.Unlock()
		if left == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
