// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/pki"
)

// authority signs certificates, through another that it signed.
type authority struct {
	t         *testing.T
	root, sub *x509.Certificate
	subKey    crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	rootKey, subKey := newKey(t), newKey(t)
	c := &authority{t: t, subKey: subKey}
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(9, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	r := ca("root")
	c.root = c.signed(r, r, rootKey.Public(), rootKey)
	c.sub = c.signed(ca("sub"), c.root, subKey.Public(), rootKey)
	return c
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := pki.NewKey(0)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (c *authority) signed(what, by *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	c.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, what, by, public, key)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert
}

// sign answers a request, and then changes something about the certificate.
func (c *authority) sign(request string, change func(*x509.Certificate)) *x509.Certificate {
	c.t.Helper()
	b, _ := pem.Decode([]byte(request))
	if b == nil {
		c.t.Fatalf("no request: %s", request)
	}
	r, err := x509.ParseCertificateRequest(b.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	what := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: r.Subject, DNSNames: r.DNSNames, IPAddresses: r.IPAddresses,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(what)
	}
	return c.signed(what, c.sub, r.PublicKey, c.subKey)
}

// dial reaches the array as a client does who trusts the root alone.
func (c *authority) dial(at, name string) error {
	pool := x509.NewCertPool()
	pool.AddCert(c.root)
	conn, err := tls.Dial("tcp", at, &tls.Config{RootCAs: pool, ServerName: name})
	if err == nil {
		err = conn.Close()
	}
	return err
}

func inPEM(chain ...*x509.Certificate) string { return string(pki.EncodeChain(chain)) }

// TestCertificates: from the request over an authority's signature to clients that trust it, and
// back; what clients could not trust is refused, and nothing is changed by that.
func TestCertificates(t *testing.T) {
	f := openFaces(t, 1)[0]
	at := serveAt(t, f)
	ca := newAuthority(t)
	run := func(words ...string) (string, error) { return f.n.Run(t.Context(), words) }
	refused := func(want string, words ...string) {
		t.Helper()
		if _, err := run(words...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", words, err, want)
		}
	}
	refused("there is no request", "importcert", "-f", "wsapi", inPEM(ca.root))
	request, err := run("createcert", "wsapi", "-csr", "-CN", "array-a.example", "-SAN", "IP:192.0.2.7,DNS:alias.example", "-O", "Example")
	if err != nil {
		t.Fatal(err)
	}
	refused("replaces a request", "createcert", "-csr", "wsapi")
	good := ca.sign(request, nil)
	other, err := pki.Subject{CommonName: "array-a.example"}.Request(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for want, cert := range map[string]*x509.Certificate{
		"is for another key": ca.sign(string(other), nil),
		"ended on":           ca.sign(request, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"begins on":          ca.sign(request, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"is not for servers": ca.sign(request, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
	} {
		refused(want, "importcert", "-f", "wsapi", inPEM(cert, ca.sub))
	}
	refused("did not sign the one before it", "importcert", "-f", "wsapi", inPEM(good, ca.root))
	refused("no certificate in PEM form", "importcert", "-f", "wsapi", "/etc/ssl/array.pem")
	refused("there is no service", "importcert", "-f", "ldap", inPEM(good))
	refused("say -f", "importcert", "wsapi", inPEM(good, ca.sub))
	if err := ca.dial(at, "array-a.example"); err == nil {
		t.Error("what was refused is shown")
	}

	if _, err := run("importcert", "-f", "wsapi", inPEM(good, ca.sub)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"array-a.example", "alias.example", "192.0.2.7"} {
		if err := ca.dial(at, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	shown, err := run("showcert", "-service", "wsapi", "-csvtable", "-nohdtot")
	if want := "wsapi,array-a.example,cert,"; err != nil || !strings.HasPrefix(shown, want) || !strings.Contains(shown, "wsapi,sub,ca,") || strings.Contains(shown, "csr") {
		t.Errorf("%s, %v", shown, err)
	}
	// It is renewed with the key that there is; and with one that comes along.
	renewed := ca.sign(request, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(8) })
	if _, err := run("importcert", "-f", "wsapi", inPEM(renewed, ca.sub)); err != nil {
		t.Error(err)
	}
	key := newKey(t)
	own, err := pki.Subject{CommonName: "own.example"}.Request(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyText := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	refused("is for another key", "importcert", "-f", "-key", keyText, "wsapi", inPEM(good, ca.sub))
	owns := inPEM(ca.sign(string(own), nil), ca.sub)
	for _, words := range [][]string{{"importcert", "-f", "-key", keyText, "wsapi", owns}, {"importcert", "-f", "wsapi", keyText + owns}} {
		if _, err := run(words...); err != nil {
			t.Error(err)
		}
	}
	if err := ca.dial(at, "own.example"); err != nil {
		t.Error(err)
	}
	if audit, err := run("showeventlog", "-audit"); err != nil || strings.Contains(audit, keyText[100:120]) || !strings.Contains(audit, "importcert -f -key ****") {
		t.Errorf("the audit log: %v, %s", err, audit)
	}

	refused("say -f", "removecert", "wsapi")
	if _, err := run("removecert", "wsapi", "-f"); err != nil {
		t.Error(err)
	}
	if pin := shownPin(t, at); pin != f.n.System().Key {
		t.Errorf("after removecert %v is shown, want the identity %v", pin, f.n.System().Key)
	}
	refused("has none of its own", "removecert", "-f", "wsapi")
}

func shownPin(t *testing.T, at string) pki.Pin {
	t.Helper()
	c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return pki.PinOf(c.ConnectionState().PeerCertificates[0])
}

// TestOwnCertificates: one that the array signs itself, of each kind of key, and that of its
// identity, whose key stays.
func TestOwnCertificates(t *testing.T) {
	f := openFaces(t, 1)[0]
	at := serveAt(t, f)
	for _, bits := range []string{"0", "2048"} {
		f.command("createcert", "-selfsigned", "-f", "-keysize", bits, "-days", "30", "-CN", "10.0.0.7", "wsapi")
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		leaf := c.ConnectionState().PeerCertificates[0]
		_ = c.Close()
		if err := leaf.VerifyHostname("10.0.0.7"); err != nil || time.Until(leaf.NotAfter) > 31*24*time.Hour {
			t.Errorf("%s bits: %v, until %v", bits, err, leaf.NotAfter)
		}
	}
	key := f.n.System().Key
	f.command("removecert", "-f", "wsapi")
	was := f.n.System().Key
	f.command("createcert", "-selfsigned", "-f", "array")
	if pin := shownPin(t, at); pin != key || was != key {
		t.Errorf("the identity's key was %v, is %v", key, pin)
	}
	for _, wrong := range [][]string{
		{"createcert", "-selfsigned", "-keysize", "1024", "wsapi"},
		{"createcert", "-selfsigned", "-days", "0", "wsapi"},
		{"createcert", "-csr", "-selfsigned", "wsapi"},
		{"createcert", "-csr", "array"},
		{"createcert", "-selfsigned", "-f", "-CN", "x", "array"},
		{"createcert", "-csr", "-SAN", "DNS:a b", "wsapi"},
		{"createcert", "-csr", "-C", "Germany", "wsapi"},
		{"createcert", "-csr", "cim"},
		{"removecert", "-f", "-type", "key", "wsapi"},
		{"showcert", "-type", "key"},
	} {
		if _, err := f.n.Run(t.Context(), wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}

// TestCertificatesStay: what was made by command is there after a restart; the configuration's
// comes before it, is read anew when its files change, and is no matter of commands.
func TestCertificatesStay(t *testing.T) {
	dir := t.TempDir()
	if _, err := pki.LoadOrCreate(filepath.Join(dir, "identity"), "array", time.Now()); err != nil {
		t.Fatal(err)
	}
	cfg := node.Config{Name: "array-a", SystemID: 1, DataDir: dir}
	cfg.LoginCost = people.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}
	cfg.ISCSI = node.ISCSI{Name: "iqn.2026-01.io.perdure:array-a", Portals: []string{"127.0.0.1:0"}}
	cfg.Journal.SizeMiB, cfg.Memory.BuffersMiB, cfg.Memory.OverlayMiB = 64, 64, 32
	cfg.CPGs = []node.CPG{{Name: "cpg0", Dir: filepath.Join(dir, "cpg0"), LimitGiB: 1}}
	open := func(use func(n *node.Node)) {
		t.Helper()
		n, err := node.Open(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		use(n)
	}
	name := func(n *node.Node) string {
		t.Helper()
		c, err := n.ManagementTLS().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.Subject.CommonName
	}
	open(func(n *node.Node) {
		if _, err := n.Run(t.Context(), []string{"createcert", "-selfsigned", "-f", "-CN", "by.command", "wsapi"}); err != nil {
			t.Fatal(err)
		}
	})
	open(func(n *node.Node) {
		if got := name(n); got != "by.command" {
			t.Errorf("after a restart that of %s is shown", got)
		}
	})
	cfg.WSAPI = node.WSAPI{Listen: []string{"127.0.0.1:0"}, Certificate: filepath.Join(dir, "own.pem"), Key: filepath.Join(dir, "own.pem")}
	open(func(n *node.Node) {
		if got := name(n); got != "array" {
			t.Errorf("with files that are not there that of %s is shown, want the identity", got)
		}
		k := newKey(t)
		c, err := pki.Subject{CommonName: "by.configuration"}.SelfSigned(k, time.Now(), 3)
		if err != nil {
			t.Fatal(err)
		}
		if err := pki.WriteWithKey(cfg.WSAPI.Key, k, pki.EncodeChain([]*x509.Certificate{c})); err != nil {
			t.Fatal(err)
		}
		if got := name(n); got != "by.configuration" {
			t.Errorf("that of %s is shown, want the configuration's", got)
		}
		_, err = n.Run(t.Context(), []string{"createcert", "-selfsigned", "-f", "wsapi"})
		if err == nil || !strings.Contains(err.Error(), "wsapi.certificate") {
			t.Errorf("createcert against the configuration: %v", err)
		}
	})
}
