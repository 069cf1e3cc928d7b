// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

// minDevice is the smallest device or file that a journal or a CPG's pages may be on.
const minDevice = 64 << 20

// checkDevices looks at the devices that the journal and the CPGs are to be on: whether
// they are there, large enough, and each of them used once, by whatever path.
func (c *Config) checkDevices() error {
	used := map[vfs.DeviceID]string{}
	for _, p := range c.CPGs {
		if d, err := vfs.Examine(filepath.Join(p.Dir, "pages")); err == nil && p.Device == "" {
			used[d.ID] = "CPG " + p.Name
		}
	}
	if err := checkDevice(used, "journal.device", "the journal", c.Journal.Device); err != nil {
		return err
	}
	if d := c.Journal.Device; d != "" && c.Journal.SizeMiB != 0 {
		dev, err := vfs.Examine(d)
		if err != nil {
			return err
		}
		if dev.Size < c.Journal.SizeMiB<<20 {
			return bad("journal.size_mib", c.Journal.SizeMiB, "%s has %d MiB: want at most that, or no size for up to %d", d, dev.Size>>20, defaultJournalMiB)
		}
	}
	for _, p := range c.CPGs {
		if err := checkDevice(used, "cpg.device", "CPG "+p.Name, p.Device); err != nil {
			return err
		}
	}
	return nil
}

func checkDevice(used map[vfs.DeviceID]string, key, user, path string) error {
	if path == "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		return bad(key, path, "want the path of a block device or a file, from / on, for %s", user)
	}
	d, err := vfs.Examine(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad(key, path, "it is not there: want a block device, or a file made with 'truncate' or 'fallocate', for %s", user)
	case err != nil:
		return bad(key, path, "%s can't be on it: %v", user, err)
	case used[d.ID] != "":
		return bad(key, path, "%s is there already: want another one for %s", used[d.ID], user)
	case d.Size < minDevice:
		return bad(key, path, "it has %d bytes: want at least %d for %s", d.Size, minDevice, user)
	}
	used[d.ID] = user
	return nil
}

// limit returns how many bytes of pages a CPG may have; its device's end is one more
// limit.
func (p *CPG) limit() int64 {
	if p.LimitGiB == 0 {
		return math.MaxInt64
	}
	return p.LimitGiB << 30
}

// journalFiles returns where the journal lies and its limit. The device, if it is on one,
// must be closed after the journal.
func (c *Config) journalFiles(flags vfs.Flag) (files vfs.FS, device *vfs.Partitioned, limit int64, err error) {
	limit = c.Journal.SizeMiB << 20
	if c.Journal.Device == "" {
		return vfs.NewOS(filepath.Join(c.DataDir, "journal")), nil, limit, nil
	}
	d, err := vfs.Examine(c.Journal.Device)
	if err != nil {
		return nil, nil, 0, err
	}
	if limit == 0 {
		limit = defaultJournalMiB << 20
	}
	device, err = vfs.OpenPartitioned(vfs.NewOS("/"), c.Journal.Device, flags)
	return device, device, min(limit, d.Size-vfs.Overhead), err
}

func (n *Node) openJournal() error {
	if n.cfg.Journal.Device == "" {
		if err := os.MkdirAll(filepath.Join(n.cfg.DataDir, "journal"), 0o700); err != nil {
			return err
		}
	} else if err := n.cfg.noJournalLeft(); err != nil {
		return err
	}
	files, device, limit, err := n.cfg.journalFiles(0)
	if err != nil {
		return err
	}
	n.jnlDevice = device
	n.jnl, err = journal.Open(files, ".", journal.Options{
		Limit: limit, Durable: n.durable, Places: volume.Pools(slices.Collect(maps.Values(n.cpgs))),
		Failed: func(err error) { n.journalFailed(err) },
		Cut: func(records int) {
			n.warn(fmt.Sprintf("the last flush of the journal is left out: data of %d large writes are not where it says; after a power cut nobody was told that they were written, otherwise the disk lost them", records))
		},
		// A device's files were overwritten with zeros when they were made.
		NoPrefill: device != nil,
	})
	return err
}

// noJournalLeft refuses a device while there is a journal in the directory: records that
// are nowhere else may be in it, and a new journal would not have them.
func (c *Config) noJournalLeft() error {
	old := filepath.Join(c.DataDir, "journal")
	_, err := os.Stat(filepath.Join(old, "format"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return array.Errorf(array.Conflict, "journal.device is %q, but there is a journal in %s: this array may have acknowledged writes that are only there. "+
		"If the other array serves all groups, move the directory away: this one is filled again", c.Journal.Device, old)
}

// closeJournal closes the journal, and then its device.
func (n *Node) closeJournal() {
	if n.jnl != nil {
		_ = n.jnl.Close()
	}
	if n.jnlDevice != nil {
		_ = n.jnlDevice.Close()
	}
}

// inspectJournal reads the journal, wherever it lies.
func (c *inspection) inspectJournal() error {
	files, device, _, err := c.cfg.journalFiles(vfs.ReadOnly)
	if k := array.KindOf(err); err != nil && (k == array.Medium || k == array.Invalid) {
		c.report("journal: " + err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspect the journal: %w", err)
	}
	if device != nil {
		defer device.Close()
	}
	pools := c.openToRead()
	defer func() {
		for _, p := range pools {
			_ = p.CloseToRead()
		}
	}()
	logs, err := journal.Inspect(files, ".", pools, func(text string) { c.report("journal: " + text) })
	for _, l := range logs {
		c.logs[l.Group] = l
	}
	return err
}
