// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func create(t *testing.T, name string, now time.Time) *Identity {
	t.Helper()
	id, err := Create(name, now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// handshake connects a client to a server and returns both sides' errors. Each
// side reads what the other writes: in TLS 1.3 a client learns only by its first
// read that it was refused.
func handshake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		done <- exchange(tls.Server(c, server))
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	clientErr = exchange(tls.Client(c, client))
	return <-done, clientErr
}

func exchange(c *tls.Conn) error {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

func TestPinnedBothWays(t *testing.T) {
	now := time.Now()
	a, b, foreign := create(t, "a", now), create(t, "b", now), create(t, "a", now)
	if s, c := handshake(t, a.Server(Only(b.Pin())), b.Client(Only(a.Pin()))); s != nil || c != nil {
		t.Errorf("pinned peers: server %v, client %v", s, c)
	}
	if s, c := handshake(t, a.Server(Only(b.Pin())), foreign.Client(Only(a.Pin()))); !errors.Is(s, ErrUnknownKey) || c == nil {
		t.Errorf("foreign client: server %v, client %v", s, c)
	}
	if s, c := handshake(t, foreign.Server(Only(b.Pin())), b.Client(Only(a.Pin()))); s == nil || !errors.Is(c, ErrUnknownKey) {
		t.Errorf("foreign server with a's name: server %v, client %v", s, c)
	}
	if s, _ := handshake(t, a.Server(Only(Pin{})), b.Client(Only(a.Pin()))); !errors.Is(s, ErrUnknownKey) {
		t.Errorf("a relation with no key: server %v", s)
	}
}

func TestClientMustShowCertificate(t *testing.T) {
	a, b := create(t, "a", time.Now()), create(t, "b", time.Now())
	bare := b.Client(Only(a.Pin()))
	bare.Certificates = nil
	if s, c := handshake(t, a.Server(Any), bare); s == nil || c == nil {
		t.Errorf("client without certificate: server %v, client %v", s, c)
	}
	if s, c := handshake(t, a.OpenServer(Any), bare); s != nil || c != nil {
		t.Errorf("client without certificate at an open server: server %v, client %v", s, c)
	}
}

func TestOldTLSRefused(t *testing.T) {
	a, b := create(t, "a", time.Now()), create(t, "b", time.Now())
	old := b.Client(Any)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if s, c := handshake(t, a.Server(Any), old); s == nil || c == nil {
		t.Errorf("TLS 1.2: server %v, client %v", s, c)
	}
}

func TestExpiredCertificateStillConnects(t *testing.T) {
	now := time.Now()
	a, b := create(t, "a", now.Add(-2*Lifetime)), create(t, "b", now.Add(-2*Lifetime))
	if s, c := handshake(t, a.Server(Only(b.Pin())), b.Client(Only(a.Pin()))); s != nil || c != nil {
		t.Errorf("expired certificates: server %v, client %v", s, c)
	}
	if msg := Expiry(a.Certificate(), now); !strings.Contains(msg, "ended") {
		t.Errorf("Expiry of an ended certificate: %q", msg)
	}
}

func TestExpiryWarnsForMonths(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	id := create(t, "alpha", now)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{now, ""},
		{now.Add(Lifetime - WarnBefore), ""},
		{now.Add(Lifetime - WarnBefore + time.Hour), "ends in 179 days"},
		{now.Add(Lifetime - time.Hour), "ends in 0 days"},
		{now.Add(Lifetime), "ended on"},
	} {
		got := Expiry(id.Certificate(), c.at)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("at %v: %q, want %q", c.at, got, c.want)
		}
	}
}

func TestRenewKeepsThePin(t *testing.T) {
	now := time.Now()
	id := create(t, "alpha", now.Add(-Lifetime))
	renewed, err := id.Renew(now)
	if err != nil {
		t.Fatal(err)
	}
	if renewed.Pin() != id.Pin() || renewed.Name() != "alpha" {
		t.Errorf("renewed: %v %q", renewed.Pin(), renewed.Name())
	}
	if !renewed.Certificate().NotAfter.After(id.Certificate().NotAfter) {
		t.Error("renewed certificate ends no later")
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := Load(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Load of nothing: %v", err)
	}
	id, err := LoadOrCreate(dir, "alpha", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(dir, "beta", time.Now())
	if err != nil || again.Pin() != id.Pin() || again.Name() != "alpha" {
		t.Fatalf("second LoadOrCreate: %v, %v", again, err)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", info.Mode(), err)
	}
	if err := os.Remove(filepath.Join(dir, certFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(dir, "alpha", time.Now()); err == nil || !strings.Contains(err.Error(), keyFile) {
		t.Errorf("LoadOrCreate beside an orphaned key: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, certFile), make([]byte, maxPEM+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("Load of a huge certificate")
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add(Pin{1, 2, 3}.String())
	f.Add("sha256:")
	f.Add("sha256:zz")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePin(s)
		if err == nil && !strings.EqualFold(p.String(), s) {
			t.Errorf("%q read as %v", s, p)
		}
	})
}
