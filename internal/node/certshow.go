// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/table"
)

// certRow is a certificate, or a request for one, of a service.
type certRow struct {
	service, kind, name string
	end                 string
	key                 pki.Pin
	pem                 []byte
	text                string
}

func showCert(n *Node, _ context.Context, a *args) error {
	service, kind := a.flags.String("service", "", ""), a.flags.String("type", "", "")
	whole, text := a.flags.Bool("pem", false, ""), a.flags.Bool("text", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	switch {
	case *service != "" && *service != serviceREST && *service != serviceArray:
		return noSuchService(*service)
	case !slices.Contains([]string{"", "csr", "cert", "ca"}, *kind):
		return array.Errorf(array.Invalid, "showcert -type %q: want csr, cert or ca", *kind)
	case *whole && *text:
		return array.Errorf(array.Invalid, "showcert: want -pem or -text")
	}
	rows, err := n.certRows()
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r certRow) bool {
		return *service != "" && r.service != *service || *kind != "" && r.kind != *kind
	})
	t := table.New("Service", "Commonname", "Type", "Enddate", "Fingerprint")
	for _, r := range rows {
		switch {
		case *whole:
			a.printf("%s", r.pem)
		case *text:
			a.printf("%s %s\n%s", r.service, r.kind, r.text)
		default:
			t.Row(r.service, r.name, r.kind, r.end, r.key)
		}
	}
	if !*whole && !*text {
		a.table(t)
	}
	return nil
}

func (n *Node) certRows() (rows []certRow, err error) {
	own, files := n.shownNow()
	rows = append(rows, chainRows(serviceArray, []*x509.Certificate{own.Certificate()})...)
	if files != nil {
		c, err := files.Certificate()
		if c == nil {
			return nil, fmt.Errorf("showcert: %w", err)
		}
		var chain []*x509.Certificate
		for _, der := range c.Certificate {
			one, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("showcert: %w", err)
			}
			chain = append(chain, one)
		}
		rows = append(rows, chainRows(serviceREST, chain)...)
	}
	text, key, err := pki.ReadWithKey(n.requestFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rows, nil
	case err != nil:
		return nil, fmt.Errorf("showcert: %w", err)
	}
	return append(rows, requestRow(text, key)...), nil
}

func chainRows(service string, chain []*x509.Certificate) (rows []certRow) {
	for i, c := range chain {
		r := certRow{service: service, kind: "cert", name: c.Subject.CommonName, end: c.NotAfter.UTC().Format(time.DateTime), key: pki.PinOf(c), pem: pki.EncodeChain(chain[i : i+1])}
		if i > 0 {
			r.kind = "ca"
		}
		r.text = fmt.Sprintf("  Subject: %s\n  Issuer: %s\n  Serial: %x\n  Names: %s\n  Valid: %s to %s\n  Key: %s, %v\n", c.Subject, c.Issuer, c.SerialNumber, pki.NamesOf(c.DNSNames, c.IPAddresses),
			c.NotBefore.UTC().Format(time.DateTime), c.NotAfter.UTC().Format(time.DateTime), c.PublicKeyAlgorithm, r.key)
		rows = append(rows, r)
	}
	return rows
}

func requestRow(text []byte, key crypto.Signer) []certRow {
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		r, err := x509.ParseCertificateRequest(b.Bytes)
		if err != nil {
			continue // the key stands before it
		}
		pin := pki.PinOfKey(key.Public())
		return []certRow{{
			service: serviceREST, kind: "csr", name: r.Subject.CommonName, end: "--", key: pin, pem: pem.EncodeToMemory(b),
			text: fmt.Sprintf("  Subject: %s\n  Names: %s\n  Key: %s, %v\n", r.Subject, pki.NamesOf(r.DNSNames, r.IPAddresses), r.PublicKeyAlgorithm, pin),
		}}
	}
	return nil
}
