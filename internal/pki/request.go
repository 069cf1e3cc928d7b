// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// maxNames bounds the names of a certificate, maxAttribute the parts of its subject (RFC 5280
// appendix A, ub-common-name and its like).
const (
	maxNames     = 64
	maxAttribute = 64
)

// A Subject is what a certificate for people's programs is made for (RFC 5280 4.1.2.6).
type Subject struct {
	CommonName                                   string
	Country, State, Locality, Organization, Unit string
	DNS                                          []string
	IP                                           []net.IP
}

// AddName adds a name that clients may use: "DNS:name", "IP:address", or one of the two alone.
func (s *Subject) AddName(name string) error {
	kind, value, ok := strings.Cut(name, ":")
	if !ok || !slices.Contains([]string{"DNS", "IP"}, strings.ToUpper(kind)) {
		kind, value = "", name
	}
	ip := net.ParseIP(value)
	switch {
	case len(s.DNS)+len(s.IP) >= maxNames:
		return fmt.Errorf("a certificate has at most %d names", maxNames)
	case ip != nil && !strings.EqualFold(kind, "DNS"):
		if !slices.ContainsFunc(s.IP, ip.Equal) {
			s.IP = append(s.IP, ip)
		}
	case isHostName(value) && !strings.EqualFold(kind, "IP"):
		if !slices.Contains(s.DNS, value) {
			s.DNS = append(s.DNS, value)
		}
	default:
		return fmt.Errorf("name %q: want DNS:<host name> or IP:<address>", name)
	}
	return nil
}

// isHostName reports whether a name may stand for a host (RFC 1123 2.1); the first label may be
// the wildcard of RFC 6125.
func isHostName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for i, label := range strings.Split(name, ".") {
		if i == 0 && label == "*" {
			continue
		}
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
		}) {
			return false
		}
	}
	return true
}

// whole is the subject with its common name among the names, where clients look for it.
func (s Subject) whole() (Subject, error) {
	if s.CommonName == "" {
		return s, fmt.Errorf("there is no common name: want the name by which clients reach the array")
	}
	for _, a := range []string{s.CommonName, s.Country, s.State, s.Locality, s.Organization, s.Unit} {
		if len(a) > maxAttribute || strings.ContainsFunc(a, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return s, fmt.Errorf("%.80q: want at most %d characters, none of them a control", a, maxAttribute)
		}
	}
	if s.Country != "" && len(s.Country) != 2 {
		return s, fmt.Errorf("country %q: want two letters", s.Country)
	}
	s.DNS, s.IP = slices.Clone(s.DNS), slices.Clone(s.IP)
	if net.ParseIP(s.CommonName) != nil || isHostName(s.CommonName) {
		if err := s.AddName(s.CommonName); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s Subject) name() pkix.Name {
	list := func(a string) []string {
		if a == "" {
			return nil
		}
		return []string{a}
	}
	return pkix.Name{
		CommonName: s.CommonName, Country: list(s.Country), Province: list(s.State), Locality: list(s.Locality),
		Organization: list(s.Organization), OrganizationalUnit: list(s.Unit),
	}
}

// NewKey makes a key: RSA of 2048, 3072 or 4096 bits, or one on the curve P-256 for 0.
func NewKey(bits int) (crypto.Signer, error) {
	switch bits {
	case 0:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case 2048, 3072, 4096:
		return rsa.GenerateKey(rand.Reader, bits)
	}
	return nil, fmt.Errorf("key size %d: want 2048, 3072 or 4096 bits (RSA), or none for a key on the curve P-256", bits)
}

// Request returns a request for a certificate that an authority is to sign, in PEM form
// (RFC 2986).
func (s Subject) Request(key crypto.Signer) ([]byte, error) {
	s, err := s.whole()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: s.name(), DNSNames: s.DNS, IPAddresses: s.IP}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request for %s: %w", s.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: requestPEM, Bytes: der}), nil
}

// SelfSigned returns a certificate that nobody else signed, valid for some days from an hour
// before now, since clients' clocks differ.
func (s Subject) SelfSigned(key crypto.Signer, now time.Time, days int) (*x509.Certificate, error) {
	s, err := s.whole()
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %s: %w", s.CommonName, err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: s.name(), DNSNames: s.DNS, IPAddresses: s.IP,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, days),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %s: %w", s.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// NamesOf lists the names of a certificate as AddName takes them.
func NamesOf(dns []string, ip []net.IP) string {
	var all []string
	for _, d := range dns {
		all = append(all, "DNS:"+d)
	}
	for _, a := range ip {
		all = append(all, "IP:"+a.String())
	}
	return strings.Join(all, ",")
}
