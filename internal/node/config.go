// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"net"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// Config is the array's configuration file.
type Config struct {
	// Name is the array's name for people; SystemID differs between all arrays.
	Name     string         `toml:"name"`
	SystemID array.SystemID `toml:"system_id"`
	// DataDir holds the journal, the store and the identity.
	DataDir string `toml:"data_dir"`
	// Socket is where commands are taken; empty: DataDir/perdured.sock.
	Socket string `toml:"socket"`

	ISCSI   ISCSI   `toml:"iscsi"`
	Journal Journal `toml:"journal"`
	Memory  Memory  `toml:"memory"`
	CPGs    []CPG   `toml:"cpg"`
	Target  Target  `toml:"target"`
	Witness Witness `toml:"witness"`
}

// ISCSI is the front end.
type ISCSI struct {
	Name    string   `toml:"name"`
	Portals []string `toml:"portals"`
}

// Journal is the array's journal.
type Journal struct {
	// SizeMiB is the room of all segments.
	SizeMiB int64 `toml:"size_mib"`
}

// Memory bounds the buffers.
type Memory struct {
	// BuffersMiB holds data on its way; OverlayMiB what is not yet on pages, per CPG.
	BuffersMiB int64 `toml:"buffers_mib"`
	OverlayMiB int64 `toml:"overlay_mib"`
}

// CPG is a common provisioning group: a pool of pages in a directory.
type CPG struct {
	Name     string `toml:"name"`
	Dir      string `toml:"dir"`
	LimitGiB int64  `toml:"limit_gib"`
}

// Target is the other array. An array without one serves un-mirrored volumes only.
type Target struct {
	Name     string         `toml:"name"`
	SystemID array.SystemID `toml:"system_id"`
	Key      pki.Pin        `toml:"key"`
	Links    []Link         `toml:"link"`
}

// Link is one of the ways to the other array.
type Link struct {
	Name string `toml:"name"`
	// Listen is this array's host:port, Remote the other's.
	Listen string `toml:"listen"`
	Remote string `toml:"remote"`
}

// Witness is the quorum witness.
type Witness struct {
	Address string  `toml:"address"`
	Key     pki.Pin `toml:"key"`
}

// LoadConfig reads the file. Unknown keys and values that can't be meant are
// errors that name them.
func LoadConfig(path string) (Config, error) {
	var c Config
	md, err := toml.DecodeFile(path, &c)
	if err != nil {
		return c, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if u := md.Undecoded(); len(u) > 0 {
		return c, array.Errorf(array.Invalid, "configuration %s: unknown key %s", path, u[0])
	}
	c.fill()
	if err := c.check(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

func (c *Config) fill() {
	if c.Socket == "" {
		c.Socket = c.DataDir + "/perdured.sock"
	}
	if c.Journal.SizeMiB == 0 {
		c.Journal.SizeMiB = 1024
	}
	if c.Memory.BuffersMiB == 0 {
		c.Memory.BuffersMiB = 512
	}
	if c.Memory.OverlayMiB == 0 {
		c.Memory.OverlayMiB = 256
	}
	if len(c.CPGs) == 0 {
		c.CPGs = []CPG{{Name: "cpg0", Dir: c.DataDir + "/cpg0", LimitGiB: 1024}}
	}
}

func (c *Config) check() error {
	bad := func(key, value, want string) error {
		return array.Errorf(array.Invalid, "%s is %q: %s", key, value, want)
	}
	switch {
	case !validName(c.Name):
		return bad("name", c.Name, "want 1 to 31 letters, digits, '.', '_' or '-'")
	case c.SystemID == 0:
		return bad("system_id", "0", "want a number from 1, different on every array")
	case c.DataDir == "":
		return bad("data_dir", "", "want a directory")
	case !strings.HasPrefix(c.ISCSI.Name, "iqn."):
		return bad("iscsi.name", c.ISCSI.Name, "want an iSCSI qualified name, iqn.yyyy-mm.reverse.domain:string")
	case len(c.ISCSI.Portals) == 0 || len(c.ISCSI.Portals) > 16:
		return bad("iscsi.portals", fmt.Sprint(c.ISCSI.Portals), "want 1 to 16 addresses host:port")
	case c.Journal.SizeMiB < 64:
		return bad("journal.size_mib", fmt.Sprint(c.Journal.SizeMiB), "want at least 64")
	case c.Memory.BuffersMiB < 32 || c.Memory.OverlayMiB < 16:
		return bad("memory", fmt.Sprintf("%d, %d", c.Memory.BuffersMiB, c.Memory.OverlayMiB), "want at least 32 MiB of buffers and 16 of overlay")
	}
	for _, a := range c.ISCSI.Portals {
		if err := hostPort("iscsi.portals", a); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for _, p := range c.CPGs {
		if !validName(p.Name) || names[p.Name] || p.Dir == "" || p.LimitGiB < 1 {
			return bad("cpg", p.Name, "want a name of its own, a dir, and limit_gib from 1")
		}
		names[p.Name] = true
	}
	return c.checkTarget()
}

func (c *Config) checkTarget() error {
	t := c.Target
	if t.SystemID == 0 && len(t.Links) == 0 && t.Name == "" {
		if c.Witness.Address != "" {
			return array.Errorf(array.Invalid, "witness.address is set without a target: a witness arbitrates between two arrays")
		}
		return nil
	}
	switch {
	case t.SystemID == c.SystemID:
		return array.Errorf(array.Invalid, "target.system_id is %d, which is this array's own: the two must differ", t.SystemID)
	case t.SystemID == 0 || !validName(t.Name) || t.Key.IsZero():
		return array.Errorf(array.Invalid, "target: want name, system_id and key of the other array")
	case len(t.Links) == 0 || len(t.Links) > 4:
		return array.Errorf(array.Invalid, "target.link: want 1 to 4 links, have %d", len(t.Links))
	}
	for _, l := range t.Links {
		if !validName(l.Name) {
			return array.Errorf(array.Invalid, "target.link.name is %q: want 1 to 31 letters, digits, '.', '_' or '-'", l.Name)
		}
		if err := hostPort("target.link.listen", l.Listen); err != nil {
			return err
		}
		if err := hostPort("target.link.remote", l.Remote); err != nil {
			return err
		}
		if l.Listen == l.Remote {
			return array.Errorf(array.Invalid, "target.link %s: listen and remote are both %s: a link leads to the other array", l.Name, l.Listen)
		}
	}
	if c.Witness.Address != "" {
		if c.Witness.Key.IsZero() {
			return array.Errorf(array.Invalid, "witness.key is missing: want the witness's key")
		}
		return hostPort("witness.address", c.Witness.Address)
	}
	return nil
}

func hostPort(key, v string) error {
	if _, _, err := net.SplitHostPort(v); err != nil {
		return array.Errorf(array.Invalid, "%s is %q: want host:port", key, v)
	}
	return nil
}

// validName: what the incumbent allows for objects.
func validName(s string) bool {
	if len(s) == 0 || len(s) > 31 || s[0] == '-' || s[0] == '.' {
		return false
	}
	for _, r := range s {
		if r > 127 || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return false
		}
	}
	return true
}
