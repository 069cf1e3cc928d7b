// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// rsaBits is the length of the RSA key, for clients that know no other.
const rsaBits = 3072

// hostKeys returns the array's own keys, which it makes once.
func hostKeys(dir string) (keys []ssh.Signer, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the SSH host keys: %w", err)
	}
	for _, k := range []struct {
		name string
		make func() (crypto.PrivateKey, error)
	}{
		{"host_ed25519", func() (crypto.PrivateKey, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err }},
		{"host_rsa", func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }},
	} {
		s, err := hostKey(filepath.Join(dir, k.name), k.make)
		if err != nil {
			return nil, fmt.Errorf("SSH host key %s: %w", k.name, err)
		}
		keys = append(keys, s)
	}
	return keys, nil
}

// hostKey reads a key, or makes it. One that can't be read is not replaced: clients would
// take the array for another one.
func hostKey(path string, generate func() (crypto.PrivateKey, error)) (ssh.Signer, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return ssh.ParsePrivateKey(b)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := generate()
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "perdure")
	if err != nil {
		return nil, err
	}
	if err := writeOnce(path, pem.EncodeToMemory(block)); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

// writeOnce makes a file durable, whole or not at all.
func writeOnce(path string, b []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
