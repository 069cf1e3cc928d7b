// SPDX-License-Identifier: Apache-2.0

package people

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/perdure/perdure/internal/array"
)

const (
	maxUsers = 1024
	// maxKeys bounds the SSH keys of a user, maxKey the text of one.
	maxKeys = 32
	maxKey  = 8 << 10
	// leastRSA is the length below which an RSA key is none.
	leastRSA = 2048
	// A password has leastPassword to mostPassword characters.
	leastPassword = 8
	mostPassword  = 128
)

// Local is who gives commands over the array's own socket. Nobody else has the name.
const Local = "root"

// User is one who may log in.
type User struct {
	Name string `json:"name"`
	Grants
	// Default is the domain that a session begins in; empty: all that the user may see.
	Default string `json:"default,omitempty"`
	// Password is its argon2id hash; empty: only keys are taken.
	Password string `json:"password,omitempty"`
	Keys     []Key  `json:"keys,omitempty"`
}

// Key is an SSH public key.
type Key struct {
	Type    string `json:"type"`
	Blob    []byte `json:"blob"`
	Comment string `json:"comment,omitempty"`
}

// Fingerprint is how people compare keys.
func (k Key) Fingerprint() string {
	p, err := ssh.ParsePublicKey(k.Blob)
	if err != nil {
		return "-"
	}
	return ssh.FingerprintSHA256(p)
}

// Line is the key as in an authorized_keys file.
func (k Key) Line() string {
	return strings.TrimSpace(k.Type + " " + base64.StdEncoding.EncodeToString(k.Blob) + " " + k.Comment)
}

// ParseKey reads a public key as ssh-keygen writes it, without options.
func ParseKey(line string) (Key, error) {
	if len(line) > maxKey {
		return Key{}, array.Errorf(array.Invalid, "an SSH key of %d characters: want at most %d", len(line), maxKey)
	}
	p, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 || len(strings.TrimSpace(string(rest))) > 0 {
		return Key{}, array.Errorf(array.Invalid, "this is no SSH public key: want one line as in id_ed25519.pub, such as \"ssh-ed25519 AAAA... name\"")
	}
	k := Key{Type: p.Type(), Blob: p.Marshal(), Comment: printable(comment, 64)}
	return k, k.check()
}

func (k Key) check() error {
	p, err := ssh.ParsePublicKey(k.Blob)
	if err != nil || p.Type() != k.Type {
		return array.Errorf(array.Invalid, "an SSH key that can't be read")
	}
	switch k.Type {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		if bits := rsaBits(p); bits < leastRSA {
			return array.Errorf(array.Invalid, "an RSA key of %d bits: want at least %d", bits, leastRSA)
		}
		return nil
	}
	return array.Errorf(array.Invalid, "SSH keys of type %q are not taken: want ed25519, ECDSA or RSA", k.Type)
}

// rsaBits returns the length of an RSA key: of the last field of its blob.
func rsaBits(p ssh.PublicKey) int {
	var w struct {
		Name string
		Rest []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(p.Marshal(), &w); err != nil {
		return 0
	}
	var f struct {
		E, N []byte
	}
	if err := ssh.Unmarshal(w.Rest, &f); err != nil {
		return 0
	}
	for len(f.N) > 0 && f.N[0] == 0 {
		f.N = f.N[1:]
	}
	return len(f.N) * 8
}

// check finds what can't be meant, also in what the other array sends.
func (u *User) check() error {
	if err := checkName(u.Name); err != nil {
		return err
	}
	if err := u.Grants.check(u.Name); err != nil {
		return err
	}
	if u.Default != "" && !u.In(u.Default) && u.Role == "" {
		return array.Errorf(array.Invalid, "user %s: the default domain %q is none that the user is in", u.Name, printable(u.Default, 40))
	}
	if u.Password != "" {
		if _, err := parseHash(u.Password); err != nil {
			return err
		}
	}
	if len(u.Keys) > maxKeys {
		return array.Errorf(array.Full, "user %s has %d SSH keys, the most there may be is %d", u.Name, len(u.Keys), maxKeys)
	}
	for _, k := range u.Keys {
		if err := k.check(); err != nil {
			return err
		}
	}
	return nil
}

func checkName(name string) error {
	ok := len(name) >= 1 && len(name) <= 31 && name != Local
	for i, r := range name {
		word := r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
		ok = ok && (word || i > 0 && strings.ContainsRune("._-", r))
	}
	if !ok {
		return array.Errorf(array.Invalid, "user name %q: want 1 to 31 letters, digits, '.', '_' or '-', a letter or digit first, and not %q", printable(name, 40), Local)
	}
	return nil
}

func checkPassword(p string) error {
	n := utf8.RuneCountInString(p)
	bad := !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl)
	if n < leastPassword || n > mostPassword || bad {
		return array.Errorf(array.Invalid, "the password has %d characters: want %d to %d, none of them a control character", n, leastPassword, mostPassword)
	}
	return nil
}

// printable is a text that strangers sent, in a form that harms no terminal.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

// same reports whether two users are the same in all.
func same(a, b *User) bool {
	x, err := json.Marshal(a)
	y, e := json.Marshal(b)
	return err == nil && e == nil && string(x) == string(y)
}
