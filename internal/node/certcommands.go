// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/pki"
)

// The services that have a certificate of their own.
const (
	serviceREST  = "wsapi"
	serviceArray = "array"
)

// maxDays bounds the life of a certificate that the array signs itself; most of people's
// programs take none that lives longer than 825.
const (
	maxDays     = 3650
	defaultDays = 825
)

func certificateCommands() []command {
	return []command{
		{name: "createcert", right: people.Users, free: always, usage: "createcert {-csr|-selfsigned} [-f] [-keysize <bits>] [-days <days>] [-CN <name>] [-SAN <name>[,...]] [-C <country>] [-ST <state>] [-L <locality>] [-O <organization>] [-OU <unit>] wsapi|array", about: "prints a request for a certificate of this array's REST interface, to be signed elsewhere; -selfsigned: makes one at once; array: renews that of the array's identity, whose key stays", run: createCert},
		{name: "importcert", right: people.Users, secret: []string{"key"}, lines: true, free: always, usage: "importcert [-f] [-key <key>] wsapi <certificates>", about: "shows a certificate, with those that signed it, over the REST interface of this array, in PEM form; its key is that of the last request or of the one shown now, if -key doesn't bring it", run: importCert},
		{name: "removecert", right: people.Users, free: always, usage: "removecert [-f] [-type csr|cert] wsapi", about: "removes the certificate of this array's REST interface, and the request for one: the array's identity is shown again", run: removeCert},
		{name: "showcert", right: people.Look, usage: "showcert [-service wsapi|array] [-type csr|cert|ca] [-pem|-text]", about: "lists this array's certificates and requests; -pem, -text: whole", run: showCert},
	}
}

// certSubject is what the options of createcert say.
func (a *args) certSubject() func() (pki.Subject, error) {
	var s pki.Subject
	for option, at := range map[string]*string{"C": &s.Country, "ST": &s.State, "L": &s.Locality, "O": &s.Organization, "OU": &s.Unit} {
		a.flags.StringVar(at, option, "", "")
	}
	a.flags.StringVar(&s.CommonName, "CN", a.n.cfg.Name, "")
	names := a.flags.String("SAN", "", "")
	return func() (pki.Subject, error) {
		for name := range strings.SplitSeq(*names, ",") {
			if name == "" {
				continue
			}
			if err := s.AddName(name); err != nil {
				return s, array.Errorf(array.Invalid, "createcert -SAN: %v", err)
			}
		}
		return s, nil
	}
}

// serviceLast moves a service that stands before the options, where scripts have it, behind them.
func (a *args) serviceLast() {
	if len(a.rest) > 1 && !strings.HasPrefix(a.rest[0], "-") && strings.HasPrefix(a.rest[1], "-") {
		a.rest = append(slices.Clone(a.rest[1:]), a.rest[0])
	}
}

func createCert(n *Node, _ context.Context, a *args) error {
	n.shown.change.Lock()
	defer n.shown.change.Unlock()
	a.serviceLast()
	sure, subject := a.confirmation(), a.certSubject()
	csr, own := a.flags.Bool("csr", false, ""), a.flags.Bool("selfsigned", false, "")
	bits, days := a.flags.Int("keysize", 0, ""), a.flags.Int("days", defaultDays, "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	switch service := a.rest[0]; {
	case service != serviceREST && service != serviceArray:
		return noSuchService(service)
	case *csr == *own:
		return array.Errorf(array.Invalid, "createcert: want -csr or -selfsigned")
	case *days < 1 || *days > maxDays:
		return array.Errorf(array.Invalid, "createcert -days %d: want 1 to %d", *days, maxDays)
	case service == serviceArray:
		return n.createOwnCert(a, *csr, sure)
	}
	if err := n.byCommand(); err != nil {
		return err
	}
	s, err := subject()
	if err != nil {
		return err
	}
	key, err := pki.NewKey(*bits)
	if err != nil {
		return array.Errorf(array.Invalid, "createcert -keysize: %v", err)
	}
	if *csr {
		return n.request(a, s, key, sure)
	}
	c, err := s.SelfSigned(key, n.now(), *days)
	if err != nil {
		return array.Errorf(array.Invalid, "createcert: %v", err)
	}
	if err := sure("createcert replaces the certificate that programs know array %s by", n.cfg.Name); err != nil {
		return err
	}
	return n.show(a, key, []*x509.Certificate{c})
}

func noSuchService(name string) error {
	return array.Errorf(array.NotFound, "there is no service %q with a certificate: want %s, the REST interface, or %s, what arrays and witness know this one by", name, serviceREST, serviceArray)
}

// createOwnCert renews that of the array's identity.
func (n *Node) createOwnCert(a *args, csr bool, sure func(string, ...any) error) error {
	if csr {
		return array.Errorf(array.Invalid, "createcert -csr %s: nobody else signs it, since arrays and witness know its key: say -selfsigned", serviceArray)
	}
	wrong := ""
	for _, o := range []string{"keysize", "days", "CN", "SAN", "C", "ST", "L", "O", "OU"} {
		if a.given(o) {
			wrong = o
		}
	}
	if wrong != "" {
		return array.Errorf(array.Invalid, "createcert %s takes no -%s: name and key stay", serviceArray, wrong)
	}
	if err := sure("createcert renews the certificate of array %s; its key stays", n.cfg.Name); err != nil {
		return err
	}
	renewed, err := n.renewIdentity(n.now())
	if err != nil {
		return err
	}
	n.lookAtCertificates()
	a.printf("the certificate of array %s is valid until %s, key %v as before\n", n.cfg.Name, renewed.Certificate().NotAfter.Format(time.DateOnly), renewed.Pin())
	return nil
}

// request keeps a key, and prints the request for its certificate.
func (n *Node) request(a *args, s pki.Subject, key crypto.Signer, sure func(string, ...any) error) error {
	text, err := s.Request(key)
	if err != nil {
		return array.Errorf(array.Invalid, "createcert: %v", err)
	}
	if _, _, err := pki.ReadWithKey(n.requestFile()); err == nil {
		if err := sure("createcert replaces a request: a certificate for that one can't be imported any more"); err != nil {
			return err
		}
	}
	if err := pki.WriteWithKey(n.requestFile(), key, text); err != nil {
		return err
	}
	a.printf("%s", text)
	return nil
}

func importCert(n *Node, _ context.Context, a *args) error {
	n.shown.change.Lock()
	defer n.shown.change.Unlock()
	sure, withKey := a.confirmation(), a.flags.String("key", "", "")
	if err := a.parse(2, 2); err != nil {
		return err
	}
	if a.rest[0] != serviceREST {
		return array.Errorf(array.NotFound, "importcert: there is no service %q whose certificate comes from elsewhere: want %s", a.rest[0], serviceREST)
	}
	if err := n.byCommand(); err != nil {
		return err
	}
	chain, err := pki.ParseChain([]byte(a.rest[1]))
	if err != nil {
		return array.Errorf(array.Invalid, "importcert: %v: want the text of the files, from -----BEGIN CERTIFICATE----- on", err)
	}
	if *withKey == "" && strings.Contains(a.rest[1], "PRIVATE KEY") {
		*withKey = a.rest[1] // all in one file
	}
	key, err := n.certificateKey(chain, *withKey)
	if err != nil {
		return err
	}
	if err := sure("importcert replaces the certificate that programs know array %s by", n.cfg.Name); err != nil {
		return err
	}
	return n.show(a, key, chain)
}

// certificateKey finds the key that certificates are for: the one that came with them, that of the
// request, or that of those shown now.
func (n *Node) certificateKey(chain []*x509.Certificate, given string) (crypto.Signer, error) {
	var keys []crypto.Signer
	if given != "" {
		k, err := pki.ParseKey([]byte(given))
		if err != nil {
			return nil, array.Errorf(array.Invalid, "importcert -key: %v", err)
		}
		keys = append(keys, k)
	} else {
		for _, path := range []string{n.requestFile(), n.servedFile()} {
			if _, k, err := pki.ReadWithKey(path); err == nil { // what can't be read has no key to offer
				keys = append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		return nil, array.Errorf(array.Invalid, "importcert: there is no request on array %s: 'createcert -csr %s' makes one, or bring the key with -key", n.cfg.Name, serviceREST)
	}
	var wrong error
	for _, k := range keys {
		err := pki.CheckChain(chain, k, n.now())
		if err == nil {
			return k, nil
		}
		if wrong == nil || !errors.Is(err, pki.ErrOtherKey) {
			wrong = err
		}
	}
	return nil, array.Errorf(array.Invalid, "importcert: %v", wrong)
}

// show stores what the REST interface shows from now on. The request that it came from is done.
func (n *Node) show(a *args, key crypto.Signer, chain []*x509.Certificate) error {
	if err := pki.WriteWithKey(n.servedFile(), key, pki.EncodeChain(chain)); err != nil {
		return err
	}
	n.loadShown()
	n.lookAtCertificates()
	if _, k, err := pki.ReadWithKey(n.requestFile()); err == nil && pki.CheckChain(chain, k, n.now()) == nil {
		if err := pki.Remove(n.requestFile()); err != nil {
			n.eventOnce("remove a certificate request: " + err.Error())
		}
	}
	c := chain[0]
	a.printf("the REST interface of array %s shows %s, valid until %s, key %v\n", n.cfg.Name, c.Subject, c.NotAfter.Format(time.DateOnly), pki.PinOf(c))
	return nil
}

func removeCert(n *Node, _ context.Context, a *args) error {
	n.shown.change.Lock()
	defer n.shown.change.Unlock()
	a.serviceLast()
	sure, kind := a.confirmation(), a.flags.String("type", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if a.rest[0] != serviceREST {
		return array.Errorf(array.NotFound, "removecert: there is no service %q whose certificate could be removed: want %s", a.rest[0], serviceREST)
	}
	paths := map[string][]string{"": {n.requestFile(), n.servedFile()}, "csr": {n.requestFile()}, "cert": {n.servedFile()}}[*kind]
	if paths == nil {
		return array.Errorf(array.Invalid, "removecert -type %q: want csr or cert", *kind)
	}
	if err := n.byCommand(); err != nil {
		return err
	}
	there := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { _, _, err := pki.ReadWithKey(p); return errors.Is(err, fs.ErrNotExist) })
	if len(there) == 0 {
		return array.Errorf(array.NotFound, "removecert: array %s has none of its own: 'showcert' lists them", n.cfg.Name)
	}
	if err := sure("removecert takes away what programs know array %s by, or are to", n.cfg.Name); err != nil {
		return err
	}
	for _, p := range there {
		if err := pki.Remove(p); err != nil {
			return fmt.Errorf("removecert: %w", err)
		}
	}
	n.loadShown()
	n.lookAtCertificates()
	return nil
}
