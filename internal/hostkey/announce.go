// SPDX-License-Identifier: Apache-2.0

package hostkey

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// What OpenSSH's PROTOCOL document, section 2.5, calls them.
const (
	// Offer tells a client of all host keys.
	Offer = "hostkeys-00@openssh.com"
	// Prove asks for proofs of those that the client does not know.
	Prove = "hostkeys-prove-00@openssh.com"
)

// wire is one string of RFC 4251, section 5.
type wire struct{ B []byte }

// Offered is what Offer carries: the keys of now, and those to come.
func (k *Keys) Offered() (payload []byte) {
	now, next := k.all()
	for _, s := range append(now, next...) {
		payload = append(payload, ssh.Marshal(wire{s.PublicKey().Marshal()})...)
	}
	return payload
}

// Proofs answers Prove: a signature for each key that is asked for, once, over the session and the key.
// rsaWith is the algorithm by which the connection's own RSA key was proved, if it was.
func (k *Keys) Proofs(asked, session []byte, rsaWith string) (payload []byte, err error) {
	now, next := k.all()
	left := append(now, next...)
	for len(asked) > 0 {
		var one struct {
			Blob []byte
			Rest []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(asked, &one); err != nil {
			return nil, fmt.Errorf("prove SSH host keys: the question can't be read")
		}
		asked = one.Rest
		i := slices.IndexFunc(left, func(s ssh.Signer) bool { return string(s.PublicKey().Marshal()) == string(one.Blob) })
		if i < 0 {
			return nil, fmt.Errorf("prove SSH host keys: the array has no such key, or it is asked for twice")
		}
		s := left[i]
		left = slices.Delete(left, i, i+1) // a signature takes milliseconds
		sig, err := sign(s, ssh.Marshal(struct {
			What          string
			Session, Blob []byte
		}{Prove, session, one.Blob}), rsaWith)
		if err != nil {
			return nil, fmt.Errorf("prove SSH host keys: %w", err)
		}
		payload = append(payload, ssh.Marshal(wire{ssh.Marshal(sig)})...)
	}
	return payload, nil
}

// Shown is a key as people compare it.
type Shown struct {
	// Type is ssh-ed25519 or ssh-rsa, Fingerprint SHA256: and 43 characters.
	Type, Fingerprint string
	// Public is the line that files of known hosts have after the host's name.
	Public string
	// Next: it is to come.
	Next bool
}

// Show returns the keys of now, and then those to come.
func (k *Keys) Show() (all []Shown) {
	add := func(signers []ssh.Signer, next bool) {
		for _, s := range signers {
			p := s.PublicKey()
			all = append(all, Shown{
				Type: p.Type(), Fingerprint: ssh.FingerprintSHA256(p), Next: next,
				Public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p))),
			})
		}
	}
	now, next := k.all()
	add(now, false)
	add(next, true)
	return all
}

// sign never uses SHA-1, which is what RSA keys sign with that are told nothing.
func sign(s ssh.Signer, data []byte, rsaWith string) (*ssh.Signature, error) {
	with, ok := s.(ssh.AlgorithmSigner)
	if s.PublicKey().Type() != ssh.KeyAlgoRSA || !ok {
		return s.Sign(rand.Reader, data)
	}
	if rsaWith != ssh.KeyAlgoRSASHA256 {
		rsaWith = ssh.KeyAlgoRSASHA512
	}
	return with.SignWithAlgorithm(rand.Reader, data, rsaWith)
}
