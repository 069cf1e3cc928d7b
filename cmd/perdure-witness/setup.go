// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/witness"
)

const certificateName = "perdure-witness"

type initCmd struct {
	Config string `help:"Configuration file to create." short:"c" type:"path" default:"${config}"`
	State  string `help:"Directory for the key and the registers." type:"path" default:"/var/lib/perdure-witness"`
	Listen string `help:"Address to listen on." default:":8843"`
}

// Run creates what is missing and changes nothing that exists.
func (i *initCmd) Run(s *session) error {
	f, err := create(i.Config)
	switch {
	case err == nil:
		_, err = fmt.Fprintf(f, template, i.State, i.Listen, witness.DefaultPerPair)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		fmt.Fprintf(s.out, "configuration %s created\n", i.Config)
	case errors.Is(err, fs.ErrExist):
		fmt.Fprintf(s.out, "configuration %s kept as it is\n", i.Config)
	default:
		return fmt.Errorf("create configuration: %w", err)
	}
	c, err := loadConfig(i.Config)
	if err != nil {
		return err
	}
	id, err := pki.LoadOrCreate(c.State, certificateName, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "key %v in %s\n", id.Pin(), c.State)
	return nil
}

func create(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

type checkCmd struct {
	Config string `help:"Configuration file." short:"c" type:"path" default:"${config}"`
}

// Run reads the configuration as run does.
func (c *checkCmd) Run(s *session) error {
	conf, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	if _, err := witness.NewServer(witness.ServerConfig{Clients: conf.clients()}); err != nil {
		return fmt.Errorf("read %s: %w", c.Config, err)
	}
	fmt.Fprintf(s.out, "%s is good: %d arrays\n", c.Config, len(conf.Arrays))
	return nil
}

type keyCmd struct {
	Config string `help:"Configuration file." short:"c" type:"path" default:"${config}"`
}

// Run prints the fingerprint alone, for scripts.
func (k *keyCmd) Run(s *session) error {
	_, id, err := load(k.Config)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, id.Pin())
	return nil
}

type renewCmd struct {
	Config string `help:"Configuration file." short:"c" type:"path" default:"${config}"`
}

// Run replaces the certificate. The arrays notice nothing: they know the key.
func (r *renewCmd) Run(s *session) error {
	c, id, err := load(r.Config)
	if err != nil {
		return err
	}
	renewed, err := id.Renew(time.Now())
	if err != nil {
		return err
	}
	if err := renewed.Save(c.State); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "certificate valid until %s, key %v as before\n", renewed.Certificate().NotAfter.Format(time.DateOnly), renewed.Pin())
	return nil
}

func load(path string) (*config, *pki.Identity, error) {
	c, err := loadConfig(path)
	if err != nil {
		return nil, nil, err
	}
	id, err := pki.Load(c.State)
	return c, id, err
}
