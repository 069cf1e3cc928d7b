// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/pair"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/priority"
	"github.com/perdure/perdure/internal/settings"
	"github.com/perdure/perdure/internal/volume"
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
	// Nice is the daemon's nice value, unless it is lower already.
	Nice int `toml:"nice"`
	// WSAPI is the REST interface.
	WSAPI WSAPI `toml:"wsapi"`

	ISCSI   ISCSI   `toml:"iscsi"`
	Journal Journal `toml:"journal"`
	Memory  Memory  `toml:"memory"`
	Scrub   Scrub   `toml:"scrub"`
	CPGs    []CPG   `toml:"cpg"`
	// Links are for targets that are made by command.
	Links   Links   `toml:"links"`
	Target  Target  `toml:"target"`
	Witness Witness `toml:"witness"`
	SSH     SSH     `toml:"ssh"`
	// Forwards are receivers of events.
	Forwards []Forward `toml:"forward"`

	// Pages, if set, changes the options of every CPG, Groups those of every group: for
	// tests that break something.
	Pages  func(*volume.Options) `toml:"-"`
	Groups func(*group.Config)   `toml:"-"`
	// Exchange, if set, is what a request to the other array goes through: for tests that
	// lose one, or its answer.
	Exchange func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) `toml:"-"`
	// Clock says what time it is for people; nil: the machine's. It decides what expires
	// and which schedules are due, never who may serve.
	Clock func() time.Time `toml:"-"`
	// LoginCost is what a password takes to try; none: as much as is safe.
	LoginCost people.Cost `toml:"-"`
	// Timing is of heartbeats and leases, the same on both arrays; none: pair.DefaultTiming.
	Timing pair.Timing `toml:"-"`
}

// WSAPI is the REST interface, over HTTPS.
type WSAPI struct {
	// Listen is where; nowhere if it is empty.
	Listen []string `toml:"listen"`
	// Certificate and Key are files with the certificate, and its chain, that is shown;
	// empty: the array's identity, which clients know by its key alone.
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

// ISCSI is the front end.
type ISCSI struct {
	Name    string   `toml:"name"`
	Portals []string `toml:"portals"`
	// Allow says, for some of the portals, who may use them: addresses, networks,
	// initiator names.
	Allow map[string][]string `toml:"allow"`
	// Limits of the target; 0: by default.
	Sessions int `toml:"sessions"`
	Logins   int `toml:"logins"`
	// Limits of each host.
	HostSessions    int   `toml:"host_sessions"`
	HostConnections int   `toml:"host_connections"`
	HostCommands    int   `toml:"host_commands"`
	HostBuffersMiB  int64 `toml:"host_buffers_mib"`
	// Takeover are those of the portals whose addresses the daemon sets itself.
	Takeover []Movable `toml:"takeover"`
}

// Journal is the array's journal.
type Journal struct {
	// SizeMiB is the room of all segments; 0, with a Device: as much of it as by default.
	SizeMiB int64 `toml:"size_mib"`
	// Device is a block device, or a file of a given size, instead of a directory below
	// DataDir.
	Device string `toml:"device"`
}

// Memory bounds the buffers.
type Memory struct {
	// BuffersMiB holds data on its way; OverlayMiB what is not yet on pages, per CPG;
	// MapCacheMiB where reads found pages, per CPG; ReadCacheMiB what they read, per CPG,
	// nil for as much as by default, 0 for none.
	BuffersMiB   int64  `toml:"buffers_mib"`
	OverlayMiB   int64  `toml:"overlay_mib"`
	MapCacheMiB  int64  `toml:"map_cache_mib"`
	ReadCacheMiB *int64 `toml:"read_cache_mib"`
}

// readCacheMiB is what may be kept of what hosts read.
func (m Memory) readCacheMiB() int64 {
	if m.ReadCacheMiB == nil {
		return 256
	}
	return *m.ReadCacheMiB
}

// Scrub is how pages are looked at in the background.
type Scrub struct {
	// MiBPerSecond is how much is read of each CPG; 0: none is scrubbed.
	MiBPerSecond int64 `toml:"mib_per_second"`
}

// CPG is a common provisioning group: a pool of pages.
type CPG struct {
	Name string `toml:"name"`
	// Dir has the map, and the pages too if there is no Device: a block device, or a file
	// of a given size.
	Dir    string `toml:"dir"`
	Device string `toml:"device"`
	// LimitGiB is 0 if the Device is the limit.
	LimitGiB int64 `toml:"limit_gib"`
}

// Target is the other array. An array without one serves un-mirrored volumes only.
type Target struct {
	Name     string         `toml:"name"`
	SystemID array.SystemID `toml:"system_id"`
	Key      pki.Pin        `toml:"key"`
	Links    []Link         `toml:"link"`
	// ISCSIName is the other array's iscsi.name, Takeover its portals at which this array
	// stands in when it is gone.
	ISCSIName string    `toml:"iscsi_name"`
	Takeover  []Movable `toml:"takeover"`
}

// Link is one of the ways to the other array.
type Link struct {
	Name string `toml:"name"`
	// Listen is this array's host:port, Remote the other's.
	Listen string `toml:"listen"`
	Remote string `toml:"remote"`
	// Port is the number of this array's address, if the link was made by command.
	Port int `toml:"-"`
}

// Links are this array's addresses for links.
type Links struct {
	// Listen are host:port, which commands know as 0:0:1, 0:0:2, ...
	Listen []string `toml:"listen"`
}

// Witness is the quorum witness.
type Witness struct {
	Address string  `toml:"address"`
	Key     pki.Pin `toml:"key"`
}

// SSH is the command line over SSH.
type SSH struct {
	// Listen are host:port; none: there is no SSH.
	Listen []string `toml:"listen"`
}

// LoadConfig reads the file. Unknown keys and values that can't be meant are
// errors that name them.
func LoadConfig(path string) (Config, error) {
	c := Config{Scrub: Scrub{MiBPerSecond: 16}, Nice: priority.Daemons}
	md, err := toml.DecodeFile(path, &c)
	if err != nil {
		return c, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if u := md.Undecoded(); len(u) > 0 {
		return c, array.Errorf(array.Invalid, "configuration %s: unknown key %s", path, settings.Unknown(c, u[0]))
	}
	if err := c.zeros(md.IsDefined); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	c.fill()
	if err := c.check(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// The sizes of an array whose file says nothing of them, in MiB.
const (
	defaultJournalMiB  = 1024
	defaultBuffersMiB  = 512
	defaultOverlayMiB  = 256
	defaultMapCacheMiB = 32
)

func (c *Config) fill() {
	if c.Socket == "" {
		c.Socket = c.DataDir + "/perdured.sock"
	}
	if c.Journal.SizeMiB == 0 && c.Journal.Device == "" {
		c.Journal.SizeMiB = defaultJournalMiB
	}
	if c.Memory.BuffersMiB == 0 {
		c.Memory.BuffersMiB = defaultBuffersMiB
	}
	if c.Memory.OverlayMiB == 0 {
		c.Memory.OverlayMiB = defaultOverlayMiB
	}
	if c.Memory.MapCacheMiB == 0 {
		c.Memory.MapCacheMiB = defaultMapCacheMiB
	}
	if len(c.CPGs) == 0 {
		c.CPGs = []CPG{{Name: "cpg0", Dir: c.DataDir + "/cpg0", LimitGiB: 1024}}
	}
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
