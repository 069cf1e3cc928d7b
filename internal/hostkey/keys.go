// SPDX-License-Identifier: Apache-2.0

package hostkey

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
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// rsaBits is the length of the RSA key, for clients that know no other.
const rsaBits = 3072

// kinds are the keys that an array has, one of each.
var kinds = [...]struct {
	file string
	make func() (crypto.PrivateKey, error)
}{
	{"host_ed25519", func() (crypto.PrivateKey, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err }},
	{"host_rsa", func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }},
}

// nextSuffix is what the files of keys to come end with.
const nextSuffix = ".next"

// Keys are an array's.
type Keys struct {
	dir string

	making sync.Mutex // held by those who change the keys; making one takes long

	mu      sync.Mutex
	current [len(kinds)]ssh.Signer
	next    [len(kinds)]ssh.Signer // nil: that of now stays
}

// Open reads the keys in dir, or makes them.
func Open(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the SSH host keys: %w", err)
	}
	k := &Keys{dir: dir}
	for i, kind := range kinds {
		s, err := read(k.path(i, ""))
		if errors.Is(err, fs.ErrNotExist) {
			s, err = create(k.path(i, ""), kind.make)
		}
		if err != nil {
			return nil, fmt.Errorf("SSH host key %s: %w", kind.file, err)
		}
		k.current[i] = s
		if s, err = read(k.path(i, nextSuffix)); err == nil {
			k.next[i] = s
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("SSH host key %s: %w", kind.file+nextSuffix, err)
		}
	}
	return k, nil
}

func (k *Keys) path(i int, suffix string) string {
	return filepath.Join(k.dir, kinds[i].file+suffix)
}

// Current returns the keys that prove the array now.
func (k *Keys) Current() []ssh.Signer {
	now, _ := k.all()
	return now
}

// Next returns those to come, if any were made.
func (k *Keys) Next() []ssh.Signer {
	_, next := k.all()
	return next
}

// all returns both, of one moment.
func (k *Keys) all() (now, next []ssh.Signer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.next {
		if s != nil {
			next = append(next, s)
		}
	}
	return slices.Clone(k.current[:]), next
}

// Prepare makes the keys to come, in place of those made before.
func (k *Keys) Prepare() error {
	k.making.Lock()
	defer k.making.Unlock()
	for i, kind := range kinds {
		s, err := create(k.path(i, nextSuffix), kind.make)
		if err != nil {
			return fmt.Errorf("make SSH host key %s: %w", kind.file+nextSuffix, err)
		}
		k.mu.Lock()
		k.next[i] = s
		k.mu.Unlock()
	}
	return nil
}

// Turn puts the keys to come in the place of those of now, which are gone. After an error some are
// in their place.
func (k *Keys) Turn() error {
	return k.endNext("turn to", func(i int) error {
		return os.Rename(k.path(i, nextSuffix), k.path(i, ""))
	}, func(i int) { k.current[i] = k.next[i] })
}

// Drop gives up the keys to come.
func (k *Keys) Drop() error {
	return k.endNext("give up", func(i int) error {
		err := os.Remove(k.path(i, nextSuffix))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}, func(int) {})
}

// endNext ends that keys are to come: each by its file, and what becomes of it.
func (k *Keys) endNext(what string, file func(i int) error, then func(i int)) error {
	k.making.Lock()
	defer k.making.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, s := range k.next {
		if s == nil {
			continue
		}
		if err := file(i); err != nil {
			return fmt.Errorf("%s SSH host key %s: %w", what, kinds[i].file+nextSuffix, err)
		}
		then(i)
		k.next[i] = nil
	}
	return syncFolder(k.dir)
}

func read(path string) (ssh.Signer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(b)
}

func create(path string, generate func() (crypto.PrivateKey, error)) (ssh.Signer, error) {
	key, err := generate()
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "perdure")
	if err != nil {
		return nil, err
	}
	if err := write(path, pem.EncodeToMemory(block)); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

// write makes a file durable, whole or not at all.
func write(path string, b []byte) error {
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
	return syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
