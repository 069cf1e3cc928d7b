// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/priority"
	"github.com/perdure/perdure/internal/settings"
	"github.com/perdure/perdure/internal/witness"
)

const defaultListen = ":8843"

// config is the configuration file.
type config struct {
	State            string   `toml:"state"`
	Listen           []string `toml:"listen"`
	RegistersPerPair int      `toml:"registers_per_pair"`
	// Nice is the daemon's nice value, unless it is lower already; 0 leaves it.
	Nice   int          `toml:"nice"`
	Arrays []arrayTable `toml:"array"`
}

type arrayTable struct {
	Name string  `toml:"name"`
	Key  pki.Pin `toml:"key"`
}

// loadConfig reads and checks a configuration file. A key that it doesn't know is
// an error: a misspelt limit would otherwise be no limit.
func loadConfig(path string) (*config, error) {
	c := config{Nice: priority.Daemons}
	meta, err := toml.DecodeFile(path, &c)
	if err != nil {
		var at toml.ParseError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("read %s, line %d: %s", path, at.Position.Line, at.Message)
		}
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, k := range unknown {
			names[i] = settings.Unknown(c, k)
		}
		return nil, fmt.Errorf("read %s: unknown settings: %s", path, strings.Join(names, "; "))
	}
	if err := c.check(path); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &c, nil
}

// check fills in defaults and says what can't be meant.
func (c *config) check(path string) error {
	if c.State == "" {
		return errors.New("state: name the directory for the witness's key and registers")
	}
	if !filepath.IsAbs(c.State) {
		c.State = filepath.Join(filepath.Dir(path), c.State)
	}
	if len(c.Listen) == 0 {
		c.Listen = []string{defaultListen}
	}
	if len(c.Listen) > 16 {
		return fmt.Errorf("listen: %d addresses, at most 16", len(c.Listen))
	}
	for _, a := range c.Listen {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("listen: %q: want host:port or :port", a)
		}
	}
	if c.RegistersPerPair < 0 || c.RegistersPerPair > 1<<20 {
		return fmt.Errorf("registers_per_pair: %d, want 1 to %d, or 0 for %d", c.RegistersPerPair, 1<<20, witness.DefaultPerPair)
	}
	if c.Nice < -20 || c.Nice > 0 {
		return fmt.Errorf("nice: %d, want -20 to -1, or 0 to leave it as it is", c.Nice)
	}
	names := map[string]bool{}
	for _, a := range c.Arrays {
		if names[a.Name] {
			return fmt.Errorf("array: two are named %q", a.Name)
		}
		names[a.Name] = true
	}
	return nil
}

func (c *config) clients() []witness.ClientKey {
	out := make([]witness.ClientKey, len(c.Arrays))
	for i, a := range c.Arrays {
		out[i] = witness.ClientKey{Name: a.Name, Key: a.Key}
	}
	return out
}

// template is what init writes.
const template = `# Configuration of perdure-witness. Unknown settings are errors.

# Where the witness keeps its key and the registers: a local disk, not shared
# with either array. Never copy it back from a backup while arrays use it; if it
# is lost, start with an empty one.
state = %q

# Where to listen; the arrays must reach it, nobody else needs to.
listen = [%q]

# How many groups (registers) two arrays may have together; 0 means %d.
# registers_per_pair = 0

# The daemon's nice value, -20 to -1; 0 leaves it as it is.
# nice = -10

# The arrays that are served, by the fingerprint of their key. After a change
# send SIGHUP: no restart is needed, and a restart makes every group arm anew.
#
# [[array]]
# name = "alpha"
# key  = "sha256:..."
`
