// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// A Pin is the SHA-256 of a public key (its SubjectPublicKeyInfo). It is how
// people compare keys and how daemons recognise each other. The zero Pin is no key.
type Pin [sha256.Size]byte

const pinPrefix = "sha256:"

// PinOf returns the pin of the certificate's key.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// PinOfKey returns that of a public key; none if that is of no known kind.
func PinOfKey(public crypto.PublicKey) Pin {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Pin{}
	}
	return sha256.Sum256(der)
}

// ParsePin reads what String wrote.
func ParsePin(s string) (Pin, error) {
	digits, ok := strings.CutPrefix(s, pinPrefix)
	if !ok {
		return Pin{}, fmt.Errorf("read key fingerprint %.80q: want %s and 64 hexadecimal digits", s, pinPrefix)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != sha256.Size {
		return Pin{}, fmt.Errorf("read key fingerprint %.80q: want 64 hexadecimal digits after %s", s, pinPrefix)
	}
	return Pin(raw), nil
}

// String returns sha256: and 64 hexadecimal digits.
func (p Pin) String() string { return pinPrefix + hex.EncodeToString(p[:]) }

// Short returns the first 12 digits, for logs.
func (p Pin) Short() string { return hex.EncodeToString(p[:6]) }

// IsZero reports whether p is no key.
func (p Pin) IsZero() bool { return p == Pin{} }

// MarshalText writes the pin as String does.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Pin) UnmarshalText(text []byte) error {
	q, err := ParsePin(string(text))
	if err != nil {
		return err
	}
	*p = q
	return nil
}
