// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// Save writes the identity into dir, the key readable for the owner only. Each
// file is replaced at once and durably, the key first: a crash in between leaves
// a key whose certificate can be made again, never a certificate without a key.
func (id *Identity) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(id.tls.PrivateKey)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	if err := replace(dir, keyFile, pem.EncodeToMemory(&pem.Block{Type: keyPEM, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	if err := replace(dir, certFile, pem.EncodeToMemory(&pem.Block{Type: certificatePEM, Bytes: id.tls.Certificate[0]}), 0o644); err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	return nil
}

func replace(dir, name string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // without effect once renamed
	_, err = f.Write(text)
	for _, step := range []func() error{func() error { return f.Chmod(mode) }, f.Sync, f.Close} {
		if e := step(); err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
