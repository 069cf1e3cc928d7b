// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// refused waits until a's status, and what b says, both hold the text.
func (r *rig) refused(text string) {
	r.t.Helper()
	if err := wait(r.t, r.b.said, "a refusal"); !strings.Contains(err.Error(), text) {
		r.t.Errorf("b says: %v", err)
	}
	for end := time.Now().Add(patience); ; {
		st := r.a.peer.Status()[0]
		if st.Err != nil && strings.Contains(st.Err.Error(), text) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("a says: %v, want %q", st.Err, text)
		}
	}
}

func TestForeignKeyIsToldSo(t *testing.T) {
	r := newRig(t, 1)
	r.a.open(t) // b has no such relation
	r.refused("no relation with the key " + r.a.cfg.Identity.Pin().String())
}

func TestForeignServer(t *testing.T) {
	r := newRig(t, 1)
	foreign := newRig(t, 1)
	r.a.cfg.Links[0].Remote = foreign.b.addrs[0]
	r.a.open(t)
	for end := time.Now().Add(patience); ; {
		if err := r.a.peer.Status()[0].Err; errors.Is(err, pki.ErrUnknownKey) {
			break
		} else if time.Now().After(end) {
			t.Fatalf("a says: %v", err)
		}
	}
}

func TestSameSystemID(t *testing.T) {
	r := newRig(t, 1)
	r.b.cfg.Self.System = r.a.cfg.Self.System
	r.open()
	r.refused("both arrays have the system id 1")
}

func TestUnexpectedSystemID(t *testing.T) {
	r := newRig(t, 1)
	r.b.cfg.System = 77
	r.open()
	r.refused("where 77 is expected")
}

func TestUnknownLink(t *testing.T) {
	r := newRig(t, 1)
	r.a.cfg.Links[0].Name = "blue"
	r.open()
	r.refused("no link named")
}

func TestOpenRefusesNonsense(t *testing.T) {
	r := newRig(t, 1)
	for name, change := range map[string]func(*Config){
		"own key":       func(c *Config) { c.Key = c.Identity.Pin() },
		"no key":        func(c *Config) { c.Key = pki.Pin{} },
		"own system id": func(c *Config) { c.System = c.Self.System },
		"no system id":  func(c *Config) { c.Self.System = 0 },
		"no links":      func(c *Config) { c.Links = nil },
		"same links":    func(c *Config) { c.Links = append(c.Links[:1:1], c.Links[0]) },
		"no address":    func(c *Config) { c.Links = []LinkConfig{{Name: "1"}} },
		"many conns":    func(c *Config) { c.Data = MaxData + 1 },
	} {
		cfg := r.a.cfg
		change(&cfg)
		if p, err := Open(cfg); array.KindOf(err) != array.Invalid {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				p.Close()
			}
		}
	}
}

// stranger makes a TLS connection to b with a's key, as a mad or hostile a would.
func (r *rig) stranger() *tls.Conn {
	r.t.Helper()
	raw, err := net.Dial("tcp", r.b.addrs[0])
	if err != nil {
		r.t.Fatal(err)
	}
	c := tls.Client(raw, r.a.cfg.Identity.Client(pki.Only(r.b.cfg.Identity.Pin())))
	r.t.Cleanup(func() { _ = raw.Close() })
	if err := c.HandshakeContext(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestReplaced: the other side connects again while this one still believes in the
// old connection. The old one's Down comes before the new one's Up.
func TestReplaced(t *testing.T) {
	r := newRig(t, 1)
	r.b.open(t)
	var before *Conn
	for i := range 3 {
		conn := r.stranger()
		if err := writeGreeting(conn, typeHello, (&hello{self: r.a.cfg.Self, link: "1", slot: 1}).encode()); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if d := wait(t, r.b.rec.down, "Down"); d.c != before || !errors.Is(d.err, ErrReplaced) {
				t.Errorf("down: %v, %v", d.c, d.err)
			}
		}
		before = wait(t, r.b.rec.up, "Up")
	}
}

func TestNonsenseInsteadOfAGreeting(t *testing.T) {
	good := (&hello{self: Self{System: 1}, link: "1"}).encode()
	for name, c := range map[string]struct {
		send func(w io.Writer) error
		want string
	}{
		"noise":         {func(w io.Writer) error { _, err := w.Write(make([]byte, HeaderSize)); return err }, errMagic.Error()},
		"empty":         {func(w io.Writer) error { return writeGreeting(w, typeHello, nil) }, errHello.Error()},
		"another frame": {func(w io.Writer) error { return writeGreeting(w, typePing, good) }, errHello.Error()},
		"long":          {func(w io.Writer) error { return writeGreeting(w, typeHello, make([]byte, maxRefusal+1)) }, errHello.Error()},
		"another version": {func(w io.Writer) error {
			h := (&Frame{Type: typeHello}).appendHeader(nil)
			h[2] = Version + 1
			_, err := w.Write(h)
			return err
		}, "speaks version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			r.b.open(t)
			conn := r.stranger()
			if err := c.send(conn); err != nil {
				t.Fatal(err)
			}
			if err := wait(t, r.b.said, "a refusal"); !strings.Contains(err.Error(), c.want) {
				t.Errorf("b says: %v", err)
			}
			var no *RefusedError
			if _, err := readGreeting(conn); !errors.As(err, &no) {
				t.Errorf("the stranger hears: %v", err)
			}
		})
	}
}

// TestSilenceInsteadOfAGreeting: who says nothing is not waited for.
func TestSilenceInsteadOfAGreeting(t *testing.T) {
	r := newRig(t, 1)
	r.b.server.Timeout = 50 * time.Millisecond
	r.b.open(t)
	r.stranger()
	if err := wait(t, r.b.said, "a refusal"); !strings.Contains(err.Error(), "timeout") {
		t.Errorf("b says: %v", err)
	}
	raw, err := net.Dial("tcp", r.b.addrs[0]) // not even TLS
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := wait(t, r.b.said, "a refusal"); !strings.Contains(err.Error(), "TLS") {
		t.Errorf("b says: %v", err)
	}
}

// TestNonsenseAfterTheGreeting: a connection ends with the first frame that makes
// no sense, and nothing of that frame is delivered.
func TestNonsenseAfterTheGreeting(t *testing.T) {
	frame := func(f Frame) []byte { return append(f.appendHeader(nil), f.Payload...) }
	flipped := frame(Frame{Type: 30, Payload: []byte("payload")})
	flipped[HeaderSize] ^= 1
	for name, c := range map[string]struct {
		slot uint8
		send []byte
		want error
	}{
		"a flipped payload":       {1, flipped, errPayload},
		"a flipped header":        {1, append([]byte{0x44, 0x50, Version, 99}, make([]byte, HeaderSize)...), errHeader},
		"much on control":         {0, frame(Frame{Type: 30, Payload: make([]byte, maxControl+1)}), errTooLong},
		"half a frame":            {1, frame(Frame{Type: 30, Payload: make([]byte, 100)})[:HeaderSize+50], io.ErrUnexpectedEOF},
		"a greeting again":        {1, frame(Frame{Type: typeHello}), nil},
		"an answer to no request": {1, frame(Frame{Type: typePong, Position: array.Position{Place: 1 << 60}}), io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			r.b.open(t)
			conn := r.stranger()
			h := &hello{self: r.a.cfg.Self, link: "1", slot: c.slot}
			if err := writeGreeting(conn, typeHello, h.encode()); err != nil {
				t.Fatal(err)
			}
			if _, err := readGreeting(conn); err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(c.send) // may be cut off in the middle
			_ = conn.CloseWrite()
			d := wait(t, r.b.rec.down, "Down")
			if d.err == nil || c.want != nil && !errors.Is(d.err, c.want) {
				t.Errorf("down: %v, want %v", d.err, c.want)
			}
			if got := d.c.confirmed.Load(); got != 0 {
				t.Errorf("%d frames are believed to be handled", got)
			}
			if len(r.b.rec.frames) != 0 {
				t.Errorf("delivered: %+v", <-r.b.rec.frames)
			}
		})
	}
}
