// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestFiles: what renews certificates writes two files, one after the other; what was shown last
// is shown until both fit, and what is wrong is told.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	now := time.Now()
	write := func(path string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second) // file systems' clocks tick slowly
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
	}
	pair := func(name string) (certText, keyText []byte) {
		t.Helper()
		k, err := NewKey(0)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Subject{CommonName: name}.SelfSigned(k, now, 3)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "both.pem")
		if err := WriteWithKey(path, k, EncodeChain([]*x509.Certificate{c})); err != nil {
			t.Fatal(err)
		}
		both, read, err := ReadWithKey(path)
		if err != nil || !k.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(read.Public()) {
			t.Fatalf("%v, %v", read, err)
		}
		return EncodeChain([]*x509.Certificate{c}), both
	}
	f := NewFiles(cert, key)
	if c, err := f.Certificate(); c != nil || err == nil {
		t.Fatalf("of no files: %v, %v", c, err)
	}
	shows := func(name string, wrong bool) {
		t.Helper()
		c, err := f.Certificate()
		if c == nil || c.Leaf.Subject.CommonName != name || (err != nil) != wrong {
			t.Errorf("%v, %v; want that of %s, wrong %v", c, err, name, wrong)
		}
	}
	oneCert, oneKey := pair("one.example")
	write(cert, oneCert)
	write(key, oneKey)
	shows("one.example", false)
	twoCert, twoKey := pair("two.example")
	write(cert, twoCert)
	shows("one.example", true)
	shows("one.example", true)
	write(key, twoKey)
	shows("two.example", false)
	write(key, []byte("nonsense"))
	shows("two.example", true)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	shows("two.example", true)
	write(key, twoKey)
	shows("two.example", false)
}

// TestNames: which names a certificate may have, and that its common name is one of them.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"DNS:a.example": "DNS:a.example", "ip:192.0.2.1": "IP:192.0.2.1", "2001:db8::1": "IP:2001:db8::1", "*.example": "DNS:*.example",
		"DNS:192.0.2.1.": "", "IP:a.example": "", "a..example": "", "-a": "", "a b": "", "": "", "URI:x": "", "a.*.example": "",
	} {
		var s Subject
		if err := s.AddName(name); (err == nil) != (want != "") || NamesOf(s.DNS, s.IP) != want {
			t.Errorf("%q: %q, %v; want %q", name, NamesOf(s.DNS, s.IP), err, want)
		}
	}
	k, err := NewKey(0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Subject{CommonName: "a.example", IP: []net.IP{net.IPv4(192, 0, 2, 1)}}.SelfSigned(k, time.Now(), 1)
	if err != nil || c.VerifyHostname("a.example") != nil || c.VerifyHostname("192.0.2.1") != nil {
		t.Errorf("%v, %v", c, err)
	}
	if err := CheckChain([]*x509.Certificate{c}, k, time.Now()); err != nil {
		t.Error(err)
	}
}
