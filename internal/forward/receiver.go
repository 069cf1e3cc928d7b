// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
)

// Receiver is where events go.
type Receiver struct {
	// To is syslog+udp://HOST:PORT, syslog+tcp, syslog+tls, snmp+trap or snmp+inform, or a
	// webhook's http(s) address.
	To string
	// Array is the name of the array that sends.
	Array string
	// CA is a file with the certificates that a receiver's must be signed by; empty: those
	// that the machine trusts.
	CA string
	// Token is a file with what a webhook wants as a bearer's token.
	Token string
	// SNMP is for traps and informs, Engine who sends them.
	SNMP   SNMP
	Engine Engine
}

// maxFile bounds a file with certificates or a token.
const maxFile = 1 << 20

// Check finds what can't be meant, without looking at files.
func (r Receiver) Check() error {
	_, err := r.target()
	return err
}

func (r Receiver) target() (*url.URL, error) {
	const want = "want syslog+udp://HOST:PORT, syslog+tcp://..., syslog+tls://..., snmp+trap://..., snmp+inform://..., or a webhook's https:// or http:// address"
	u, err := url.Parse(r.To)
	if err != nil || u.Host == "" || len(r.To) > 2048 || u.User != nil {
		return nil, array.Errorf(array.Invalid, "%.80q: %s", r.To, want)
	}
	traps := strings.HasPrefix(u.Scheme, "snmp+")
	if !traps && r.SNMP != (SNMP{}) {
		return nil, array.Errorf(array.Invalid, "%.80q: community, user, auth and privacy are for snmp+trap and snmp+inform", r.To)
	}
	switch u.Scheme {
	case "syslog+udp", "syslog+tcp", "syslog+tls", "snmp+trap", "snmp+inform":
		if _, _, err := net.SplitHostPort(u.Host); err != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return nil, array.Errorf(array.Invalid, "%.80q: %s", r.To, want)
		}
		if err := r.SNMP.check(); traps && err != nil {
			return nil, array.Errorf(array.Invalid, "%.80q: %v", r.To, err)
		}
		if r.Token != "" {
			return nil, array.Errorf(array.Invalid, "%.80q: a token is for webhooks", r.To)
		}
	case "http":
		if r.Token != "" {
			return nil, array.Errorf(array.Invalid, "%.80q: over http:// everybody could read the token: want https://", r.To)
		}
	case "https":
	default:
		return nil, array.Errorf(array.Invalid, "%.80q: %s", r.To, want)
	}
	if r.CA != "" && u.Scheme != "https" && u.Scheme != "syslog+tls" {
		return nil, array.Errorf(array.Invalid, "%.80q: certificates are for syslog+tls and https", r.To)
	}
	return u, nil
}

// New returns a forwarder to the receiver. The caller fills the rest in.
func New(r Receiver) (*Forwarder, error) {
	u, err := r.target()
	if err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	if r.CA != "" {
		pem, err := readFile(r.CA)
		if err != nil {
			return nil, err
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, array.Errorf(array.Invalid, "%s has no certificate in PEM form", r.CA)
		}
	}
	if kind, is := strings.CutPrefix(u.Scheme, "snmp+"); is {
		to, err := newSNMP(r, u.Host, kind == "inform")
		if err != nil {
			return nil, err
		}
		return &Forwarder{Least: event.Informational, name: u.Scheme + "://" + u.Host, to: to, first: pauseFirst, within: sendWithin}, nil
	}
	f := &Forwarder{Least: event.Informational, name: u.Scheme + "://" + u.Host, first: pauseFirst, within: sendWithin}
	if kind, is := strings.CutPrefix(u.Scheme, "syslog+"); is {
		f.to = &syslog{kind: kind, address: u.Host, array: r.Array, tls: t}
		return f, nil
	}
	token := ""
	if r.Token != "" {
		if token, err = readLine(r.Token); err != nil {
			return nil, err
		}
	}
	f.to = newWebhook(u.String(), r.Array, token, t)
	return f, nil
}

// readLine returns the first line of a file.
func readLine(path string) (string, error) {
	b, err := readFile(path)
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSpace(line); err == nil && line == "" {
		err = fmt.Errorf("%s has nothing in its first line", path)
	}
	return line, err
}

func readFile(path string) ([]byte, error) {
	i, err := os.Stat(path)
	if err == nil && i.Size() > maxFile {
		err = fmt.Errorf("%s has %d bytes, at most %d make sense", path, i.Size(), maxFile)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
