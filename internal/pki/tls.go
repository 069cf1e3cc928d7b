// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// ErrUnknownKey says that a peer proved a key which nobody allowed.
var ErrUnknownKey = errors.New("unknown key")

// A Check accepts a peer by its key or says why not.
type Check func(Pin) error

// Only returns a Check that accepts one key.
func Only(want Pin) Check {
	return func(got Pin) error {
		if want.IsZero() || got != want {
			return fmt.Errorf("%w: the other side shows %v, this relation is with %v", ErrUnknownKey, got, want)
		}
		return nil
	}
}

// Any accepts every key. It is for servers that answer strangers, or say no in
// words, after the handshake.
func Any(Pin) error { return nil }

// Server returns a configuration for accepting connections of peers that must
// show a key which check accepts.
func (id *Identity) Server(check Check) *tls.Config {
	return id.config(tls.RequireAnyClientCert, check)
}

// OpenServer is like Server, but also lets in clients without a certificate; the
// caller tells them apart by PeerPin.
func (id *Identity) OpenServer(check Check) *tls.Config {
	return id.config(tls.RequestClientCert, check)
}

// Public returns a configuration for a server of people's programs, which prove themselves
// by other means than keys, and may not know TLS 1.3. It shows what shown returns.
func Public(shown func() *tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return shown(), nil
	}}
}

// Client returns a configuration for connecting to a peer that must show a key
// which check accepts.
func (id *Identity) Client(check Check) *tls.Config {
	c := id.config(tls.NoClientCert, check)
	// The key is checked instead of a chain and a name; see VerifyConnection.
	c.InsecureSkipVerify = true
	// Some name must be there for the handshake; it decides nothing.
	c.ServerName = "perdure.invalid"
	return c
}

func (id *Identity) config(auth tls.ClientAuthType, check Check) *tls.Config {
	optional := auth == tls.RequestClientCert
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{id.tls},
		ClientAuth:             auth,
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			pin, ok := PeerPin(s)
			if !ok {
				if optional {
					return nil
				}
				return errors.New("the other side shows no certificate")
			}
			return check(pin)
		},
	}
}

// PeerPin returns the key that the other side of a connection proved, if any.
func PeerPin(s tls.ConnectionState) (Pin, bool) {
	if len(s.PeerCertificates) == 0 {
		return Pin{}, false
	}
	return PinOf(s.PeerCertificates[0]), true
}

// Expiry returns what to tell people about the end of a certificate, empty as
// long as it is far away.
func Expiry(c *x509.Certificate, now time.Time) string {
	const day = 24 * time.Hour
	left := c.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return fmt.Sprintf("the certificate of %.64q ended on %s; the relation goes on, renew the certificate (the key stays)",
			c.Subject.CommonName, c.NotAfter.Format(time.DateOnly))
	case left < WarnBefore:
		return fmt.Sprintf("the certificate of %.64q ends in %d days, on %s; renew it (the key stays)",
			c.Subject.CommonName, left/day, c.NotAfter.Format(time.DateOnly))
	}
	return ""
}
