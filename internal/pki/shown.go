// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// The kinds of blocks in PEM form (RFC 7468).
const (
	certificatePEM = "CERTIFICATE"
	requestPEM     = "CERTIFICATE REQUEST"
	keyPEM         = "PRIVATE KEY"
)

// maxChain bounds a server's certificate and those that signed it, one the other.
const maxChain = 10

// ErrOtherKey says that a certificate is not for the key at hand.
var ErrOtherKey = errors.New("another key")

// ParseChain reads certificates in PEM form: a server's, and then the one that signed it, and
// so on.
func ParseChain(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("certificates of %d bytes: want at most %d", len(text), maxPEM)
	}
	var chain []*x509.Certificate
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if b.Type != certificatePEM {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificate %d: %w", len(chain)+1, err)
		}
		if chain = append(chain, c); len(chain) > maxChain {
			return nil, fmt.Errorf("there are more than %d certificates", maxChain)
		}
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in PEM form")
	}
	return chain, nil
}

// CheckChain says why clients could not trust a server that shows these certificates with this
// key now; nil if nothing speaks against it.
func CheckChain(chain []*x509.Certificate, key crypto.Signer, now time.Time) error {
	c := chain[0]
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	switch r, isRSA := c.PublicKey.(*rsa.PublicKey); {
	case !ok || !public.Equal(c.PublicKey):
		return fmt.Errorf("the certificate of %.64q is for %w", c.Subject.CommonName, ErrOtherKey)
	case isRSA && r.N.BitLen() < 2048:
		return fmt.Errorf("the certificate of %.64q has an RSA key of %d bits: want at least 2048", c.Subject.CommonName, r.N.BitLen())
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate of %.64q ended on %s", c.Subject.CommonName, c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate of %.64q begins on %s", c.Subject.CommonName, c.NotBefore.Format(time.DateTime))
	case len(c.ExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		return fmt.Errorf("the certificate of %.64q is not for servers (extended key usage, RFC 5280 4.2.1.12)", c.Subject.CommonName)
	}
	for i, signer := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(signer); err != nil {
			return fmt.Errorf("certificate %d, of %.64q, did not sign the one before it: %w", i+2, signer.Subject.CommonName, err)
		}
	}
	return nil
}

// ParseKey reads a private key in PEM form: PKCS #8, or the older forms of RSA and EC keys.
func ParseKey(text []byte) (crypto.Signer, error) {
	for b, rest := pem.Decode(text); b != nil && len(text) <= maxPEM; b, rest = pem.Decode(rest) {
		if k, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
			if s, ok := k.(crypto.Signer); ok {
				return s, nil
			}
		}
		if k, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
			return k, nil
		}
		if k, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
			return k, nil
		}
	}
	return nil, errors.New("there is no private key in PEM form that can be read")
}

// WriteWithKey writes a key, and certificates or a request in PEM form, to one file, durably and
// at once, which the owner alone can read.
func WriteWithKey(path string, key crypto.Signer, text []byte) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("write the key of %s: %w", path, err)
	}
	text = append(pem.EncodeToMemory(&pem.Block{Type: keyPEM, Bytes: der}), text...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := replace(filepath.Dir(path), filepath.Base(path), text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Remove removes a file durably, which need not be there.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

// ReadWithKey reads what WriteWithKey wrote. The error is fs.ErrNotExist if there is none.
func ReadWithKey(path string) (text []byte, key crypto.Signer, err error) {
	if text, err = readLimited(path); err != nil {
		return nil, nil, err
	}
	if key, err = ParseKey(text); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return text, key, nil
}

// EncodeChain returns certificates in PEM form.
func EncodeChain(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: certificatePEM, Bytes: c.Raw}) // a buffer takes all
	}
	return b.Bytes()
}

// Files are a certificate and its key in files, which are read anew when they change: what
// renews certificates by itself writes them. While they can't be used, the last ones that could
// are shown. For use by several goroutines.
type Files struct {
	certificate, key string

	mu    sync.Mutex
	seen  [2]stamp
	shown *tls.Certificate
	err   error
}

type stamp struct {
	at   time.Time
	size int64
}

// NewFiles returns what shows a certificate, with those that signed it, and its key. The two may
// be one file.
func NewFiles(certificate, key string) *Files { return &Files{certificate: certificate, key: key} }

// Certificate returns what is shown. The error says why that is not what is in the files now;
// it is nil beside an error if there never was one.
func (f *Files) Certificate() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var now [2]stamp
	for i, path := range []string{f.certificate, f.key} {
		info, err := os.Stat(path)
		if err != nil {
			return f.shown, fmt.Errorf("read the certificate %s: %w", f.certificate, err)
		}
		now[i] = stamp{info.ModTime(), info.Size()}
	}
	if now == f.seen {
		return f.shown, f.err
	}
	f.seen = now
	c, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		f.err = fmt.Errorf("load the certificate %s: %w", f.certificate, err)
		return f.shown, f.err
	}
	f.shown, f.err = &c, nil
	return f.shown, nil
}
