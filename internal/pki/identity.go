// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

const (
	// Lifetime is how long a certificate says it is valid. Nothing ends with it.
	Lifetime = 20 * 365 * 24 * time.Hour
	// WarnBefore is how long before its end a certificate is reported.
	WarnBefore = 180 * 24 * time.Hour

	certFile = "cert.pem"
	keyFile  = "key.pem"
	// maxPEM bounds what is read from a certificate or key file.
	maxPEM = 64 << 10
)

// An Identity is a daemon's key with a certificate for it.
type Identity struct {
	tls tls.Certificate
	pin Pin
}

// Create returns a new identity with a certificate that is valid from an hour
// before now, for clocks that are behind.
func Create(name string, now time.Time) (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create key for %s: %w", name, err)
	}
	return sign(name, key, now)
}

// Renew returns the same key with a certificate that starts anew.
func (id *Identity) Renew(now time.Time) (*Identity, error) {
	key, ok := id.tls.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("renew certificate: the key can't sign")
	}
	return sign(id.Name(), key, now)
}

func sign(name string, key crypto.Signer, now time.Time) (*Identity, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("create certificate for %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Perdure"}},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(Lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("create certificate for %s: %w", name, err)
	}
	return identity(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

func identity(c tls.Certificate) (*Identity, error) {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("read own certificate: %w", err)
	}
	c.Leaf = leaf
	return &Identity{tls: c, pin: PinOf(leaf)}, nil
}

// Pin returns the fingerprint of the identity's key.
func (id *Identity) Pin() Pin { return id.pin }

// Name returns the name that the certificate was made for.
func (id *Identity) Name() string { return id.tls.Leaf.Subject.CommonName }

// Certificate returns the identity's certificate.
func (id *Identity) Certificate() *x509.Certificate { return id.tls.Leaf }

// TLS returns the key and the certificate, for a server of people's programs.
func (id *Identity) TLS() *tls.Certificate { return &id.tls }

// Load reads the identity in dir. The error is fs.ErrNotExist if there is none.
func Load(dir string) (*Identity, error) {
	cert, err := readLimited(filepath.Join(dir, certFile))
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	key, err := readLimited(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("load identity from %s: %w", dir, err)
	}
	return identity(pair)
}

// LoadOrCreate loads the identity in dir, or creates and saves one when the
// directory has neither a key nor a certificate. With only one of the two it
// fails: a new key in place of a lost one breaks every relation, and a person
// should know.
func LoadOrCreate(dir, name string, now time.Time) (*Identity, error) {
	id, err := Load(dir)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	for _, f := range []string{certFile, keyFile} {
		if _, statErr := os.Stat(filepath.Join(dir, f)); !errors.Is(statErr, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w; %s exists: restore the missing file, or remove both for a new identity", err, filepath.Join(dir, f))
		}
	}
	id, err = Create(name, now)
	if err != nil {
		return nil, err
	}
	return id, id.Save(dir)
}

func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPEM {
		return nil, fmt.Errorf("%s has %d bytes, at most %d make sense", path, info.Size(), maxPEM)
	}
	return os.ReadFile(path)
}
