// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/perdure/perdure/internal/array"
)

// The most that can be meant: above, a number of units would not fit as bytes.
const (
	maxMiB = 16 << 20 // 16 TiB
	maxGiB = 4 << 20  // 4 PiB
)

// bad is an error that names a key, its value and what would be right.
func bad(key string, value any, want string, args ...any) error {
	return array.Errorf(array.Invalid, "%s is %q: %s", key, fmt.Sprint(value), fmt.Sprintf(want, args...))
}

// check finds what can't be meant.
func (c *Config) check() error {
	for _, f := range []func() error{c.checkSelf, c.checkWSAPI, c.checkSSH, c.checkISCSI, c.checkMemory, c.checkCPGs, c.checkDevices, c.checkTarget, c.checkLinks, c.checkListen, c.checkTakeover, c.checkWitness, c.checkForwards} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// The least sizes that an array works with, in MiB.
const (
	minJournalMiB  = 64
	minBuffersMiB  = 32
	minOverlayMiB  = 16
	minMapCacheMiB = 1
)

// zeros refuses a size of 0 that the file has: who wrote it did not mean the default.
func (c *Config) zeros(isThere func(key ...string) bool) error {
	for _, n := range []struct {
		table, key      string
		value           int64
		from, otherwise int64
	}{
		{"journal", "size_mib", c.Journal.SizeMiB, minJournalMiB, defaultJournalMiB},
		{"memory", "buffers_mib", c.Memory.BuffersMiB, minBuffersMiB, defaultBuffersMiB},
		{"memory", "overlay_mib", c.Memory.OverlayMiB, minOverlayMiB, defaultOverlayMiB},
		{"memory", "map_cache_mib", c.Memory.MapCacheMiB, minMapCacheMiB, defaultMapCacheMiB},
	} {
		if n.value == 0 && isThere(n.table, n.key) {
			return bad(n.table+"."+n.key, n.value, "want a number of MiB from %d to %d, or leave it out for %d", n.from, maxMiB, n.otherwise)
		}
	}
	return nil
}

// machineMiB is the memory of this machine; without a limit if it can't be told.
func machineMiB() int64 {
	var s syscall.Sysinfo_t
	if err := syscall.Sysinfo(&s); err != nil || s.Totalram == 0 {
		return math.MaxInt64
	}
	return int64(s.Totalram/(1<<10)) * int64(max(1, s.Unit)) >> 10
}

// maxTargetLinks bounds the links to the other array.
const maxTargetLinks = 4

const nameWanted = "want 1 to 31 letters, digits, '.', '_' or '-', neither '.' nor '-' first"

func (c *Config) checkSelf() error {
	switch {
	case !validName(c.Name):
		return bad("name", c.Name, nameWanted)
	case c.SystemID == 0:
		return bad("system_id", c.SystemID, "want a number from 1, different on every array")
	case c.DataDir == "":
		return bad("data_dir", "", "want a directory")
	case !isQualified(c.ISCSI.Name):
		return bad("iscsi.name", c.ISCSI.Name, "want an iSCSI qualified name of at most 223 bytes, iqn.yyyy-mm.reverse.domain:string")
	case len(c.ISCSI.Portals) == 0 || len(c.ISCSI.Portals) > 16:
		return bad("iscsi.portals", c.ISCSI.Portals, "want 1 to 16 addresses host:port")
	}
	seen := map[string]bool{}
	for _, a := range c.ISCSI.Portals {
		if err := hostPort("iscsi.portals", a); err != nil {
			return err
		}
		if seen[a] {
			return bad("iscsi.portals", a, "it is there twice")
		}
		seen[a] = true
	}
	return nil
}

// isQualified reports whether a name is an iSCSI qualified name, as far as initiators look
// at it: RFC 3720 3.2.6.
func isQualified(name string) bool {
	rest, is := strings.CutPrefix(name, "iqn.")
	if !is || len(name) > 223 || len(rest) < len("yyyy-mm.x") || rest[4] != '-' || rest[7] != '.' {
		return false
	}
	return !strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func (c *Config) checkWSAPI() error {
	w := &c.WSAPI
	switch {
	case (w.Certificate == "") != (w.Key == ""):
		return bad("wsapi.certificate", w.Certificate, "want wsapi.certificate and wsapi.key, or neither")
	case w.Certificate != "" && len(w.Listen) == 0:
		return bad("wsapi.listen", "", "there is a certificate: want addresses host:port")
	}
	return addresses("wsapi.listen", w.Listen)
}

func (c *Config) checkSSH() error { return addresses("ssh.listen", c.SSH.Listen) }

// addresses refuses lists of addresses to listen at that can't be meant.
func addresses(key string, listen []string) error {
	if len(listen) > 16 {
		return bad(key, listen, "want at most 16 addresses host:port")
	}
	seen := map[string]bool{}
	for _, a := range listen {
		if err := hostPort(key, a); err != nil {
			return err
		}
		if seen[a] {
			return bad(key, a, "it is there twice")
		}
		seen[a] = true
	}
	return nil
}

func (c *Config) checkMemory() error {
	if c.Nice < -20 || c.Nice > 0 {
		return bad("nice", c.Nice, "want -20 to -1, or 0 to leave it as it is")
	}
	if n := c.Scrub.MiBPerSecond; n < 0 || n > maxMiB {
		return bad("scrub.mib_per_second", n, "want a number of MiB a second from 1 to %d, or 0 for none", maxMiB)
	}
	machine := machineMiB()
	for _, n := range []struct {
		key         string
		value, from int64
		open        bool // 0 leaves it open
	}{
		{"journal.size_mib", c.Journal.SizeMiB, minJournalMiB, c.Journal.Device != ""},
		{"memory.buffers_mib", c.Memory.BuffersMiB, minBuffersMiB, false},
		{"memory.overlay_mib", c.Memory.OverlayMiB, minOverlayMiB, false},
		{"memory.map_cache_mib", c.Memory.MapCacheMiB, minMapCacheMiB, false},
		{"memory.read_cache_mib", c.Memory.readCacheMiB(), 0, false},
	} {
		if n.open && n.value == 0 {
			continue
		}
		if n.value < n.from || n.value > maxMiB {
			return bad(n.key, n.value, "want a number of MiB from %d to %d", n.from, maxMiB)
		}
		if strings.HasPrefix(n.key, "memory.") && n.value > machine {
			return bad(n.key, n.value, "this machine has %d MiB of memory: want less than that", machine)
		}
	}
	return nil
}

func (c *Config) checkCPGs() error {
	names, dirs := map[string]bool{}, map[string]string{}
	for _, p := range c.CPGs {
		dir := filepath.Clean(p.Dir)
		switch {
		case !validName(p.Name):
			return bad("cpg.name", p.Name, nameWanted)
		case names[p.Name]:
			return bad("cpg.name", p.Name, "it is there twice: every CPG has a name of its own")
		case p.Dir == "":
			return bad("cpg.dir", "", "want a directory for CPG %s", p.Name)
		case c.uses(dir) != "":
			return bad("cpg.dir", p.Dir, "the array keeps its %s there: want another directory for CPG %s", c.uses(dir), p.Name)
		case dirs[dir] != "":
			return bad("cpg.dir", p.Dir, "CPG %s is there already: want another directory for CPG %s", dirs[dir], p.Name)
		case p.LimitGiB == 0 && p.Device != "":
		case p.LimitGiB == 0:
			return array.Errorf(array.Invalid, "CPG %s has no cpg.limit_gib: want how many GiB it may have, from 1 to %d", p.Name, maxGiB)
		case p.LimitGiB < 1 || p.LimitGiB > maxGiB:
			return bad("cpg.limit_gib", p.LimitGiB, "want a number of GiB from 1 to %d for CPG %s", maxGiB, p.Name)
		}
		names[p.Name], dirs[dir] = true, p.Name
	}
	return nil
}

// uses says what of its own the array has in a directory, or around it.
func (c *Config) uses(dir string) string {
	for _, own := range []string{"journal", "identity", "ssh", certificateDir} {
		if at := filepath.Join(c.DataDir, own); dir == at || strings.HasPrefix(dir, at+"/") {
			return own
		}
	}
	return ""
}

// alone reports whether nothing is said of another array.
func (t *Target) alone() bool { return t.SystemID == 0 && len(t.Links) == 0 && t.Name == "" }

func (c *Config) checkTarget() error {
	t := &c.Target
	switch {
	case t.alone():
		return nil
	case t.SystemID == 0:
		return bad("target.system_id", t.SystemID, "want the other array's, a number from 1")
	case t.SystemID == c.SystemID:
		return bad("target.system_id", t.SystemID, "it is this array's own: the two must differ")
	case !validName(t.Name):
		return bad("target.name", t.Name, nameWanted)
	case t.Name == c.Name:
		return bad("target.name", t.Name, "it is this array's own: the two must differ")
	case t.Key.IsZero():
		return bad("target.key", "", "want the other array's key, sha256: and 64 hexadecimal digits")
	case len(t.Links) == 0 || len(t.Links) > maxTargetLinks:
		return array.Errorf(array.Invalid, "target.link: want 1 to %d links, have %d", maxTargetLinks, len(t.Links))
	}
	return nil
}

func (c *Config) checkLinks() error {
	listens, names, ways := map[string]bool{}, map[string]bool{}, map[[2]string]string{}
	for _, l := range c.Target.Links {
		listens[l.Listen] = true
	}
	for _, l := range c.Target.Links {
		switch {
		case !validName(l.Name):
			return bad("target.link.name", l.Name, nameWanted)
		case names[l.Name]:
			return bad("target.link.name", l.Name, "it is there twice: every link has a name of its own")
		}
		if err := hostPort("target.link.listen", l.Listen); err != nil {
			return err
		}
		if err := hostPort("target.link.remote", l.Remote); err != nil {
			return err
		}
		way := [2]string{l.Listen, l.Remote}
		switch host, _, _ := net.SplitHostPort(l.Remote); {
		case listens[l.Remote]:
			return bad("target.link.remote", l.Remote, "this array listens there itself: link %s leads to the other array", l.Name)
		case nowhere(host):
			return bad("target.link.remote", l.Remote, "want host:port of the other array for link %s", l.Name)
		case ways[way] != "":
			return bad("target.link.remote", l.Remote, "links %s and %s are the same: want another way or one link", ways[way], l.Name)
		}
		names[l.Name], ways[way] = true, l.Name
	}
	return nil
}

// checkListen finds what is wrong with the addresses for links that commands make.
func (c *Config) checkListen() error {
	switch {
	case len(c.Links.Listen) > maxTargetLinks:
		return bad("links.listen", c.Links.Listen, "want at most %d addresses host:port", maxTargetLinks)
	case len(c.Links.Listen) > 0 && !c.Target.alone():
		return bad("links.listen", c.Links.Listen, "there is a [target], whose links have addresses of their own: want one of the two")
	}
	return addresses("links.listen", c.Links.Listen)
}

// nowhere reports whether a host names no machine.
func nowhere(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func (c *Config) checkWitness() error {
	w := &c.Witness
	switch {
	case w.Address == "" && w.Key.IsZero():
		return nil
	case c.Target.alone():
		return bad("witness.address", w.Address, "there is no target: a witness arbitrates between two arrays")
	case w.Address == "":
		return bad("witness.address", "", "there is a witness.key: want the witness's host:port, or neither")
	case w.Key.IsZero():
		return bad("witness.key", "", "want the witness's key, sha256: and 64 hexadecimal digits")
	case w.Key == c.Target.Key:
		return bad("witness.key", w.Key, "it is the same as target.key: the witness is a third")
	}
	return hostPort("witness.address", w.Address)
}

func hostPort(key, v string) error {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return bad(key, v, "want host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return bad(key, v, "want host:port, the port a number from 1 to 65535")
	}
	return nil
}
