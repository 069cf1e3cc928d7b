// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// Pages may lie on a device, or on one file of a given size in its place: Options.Pages.
// Its last page is not for volumes: a label there, four times, has the id that the map
// also has, so that a map is never used with the pages of another one, whatever the
// device is called after the next start of the machine.

const (
	labelMagic   = "PDPAGES1"
	labelVersion = 1
	labelSize    = vfs.Align
)

// deviceRecord is what the map knows of its device, under deviceKey in its meta bucket.
type deviceRecord struct {
	ID [16]byte
	// Label is where the label is. It moves when the device has grown.
	Label int64
	// Begun says that the label is on its way: nothing was written before it.
	Begun bool `json:",omitempty"`
}

const deviceKey = "device"

func encodeLabel(id [16]byte) []byte {
	page := vfs.NewBuffer(block.Page)
	b := page[:labelSize]
	copy(b, labelMagic)
	binary.LittleEndian.PutUint32(b[8:], labelVersion)
	copy(b[16:32], id[:])
	binary.LittleEndian.PutUint32(b[60:], block.Checksum(b[:60]))
	for at := labelSize; at < len(page); at += labelSize {
		copy(page[at:], b)
	}
	return page
}

func decodeLabel(b []byte) (id [16]byte, err error) {
	switch {
	case len(b) < labelSize || string(b[:len(labelMagic)]) != labelMagic:
		return id, array.Errorf(array.Conflict, "no label of a CPG is on it")
	case binary.LittleEndian.Uint32(b[60:]) != block.Checksum(b[:60]):
		return id, array.Errorf(array.Medium, "its label fails its checksum")
	case binary.LittleEndian.Uint32(b[8:]) != labelVersion:
		return id, array.Errorf(array.Invalid, "its label has format version %d, this program knows %d", binary.LittleEndian.Uint32(b[8:]), labelVersion)
	}
	return [16]byte(b[16:32]), nil
}

// deviceOf returns what the map knows of a device, nil if its pages are in its directory.
func deviceOf(tx *bolt.Tx) (*deviceRecord, error) {
	b := tx.Bucket([]byte(metaBucket)).Get([]byte(deviceKey))
	if b == nil {
		return nil, nil
	}
	r := new(deviceRecord)
	if err := json.Unmarshal(b, r); err != nil || r.Label < 0 || r.Label%block.Page != 0 {
		return nil, array.Errorf(array.Medium, "the map's record of its device is damaged: %q", b)
	}
	return r, nil
}

func putDevice(tx *bolt.Tx, r deviceRecord) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(metaBucket)).Put([]byte(deviceKey), b)
}

// matchDevice makes sure that map and pages belong together, before anything is written
// to either's pages. name is the device's, empty for a file in the pool's directory.
func (p *Pool) matchDevice(name string) error {
	var known *deviceRecord
	err := p.db.View(func(tx *bolt.Tx) (err error) {
		known, err = deviceOf(tx)
		return err
	})
	switch {
	case err != nil:
		return err
	case name == "" && known != nil:
		return array.Errorf(array.Conflict, "the map's pages lie on a device, of id %x: the configuration names none", known.ID)
	case name == "":
		return nil
	}
	end := p.fileSize/block.Page*block.Page - block.Page // of the pages, where the label begins
	if end <= 0 {
		return array.Errorf(array.Invalid, "%s has %d bytes: too small for pages", name, p.fileSize)
	}
	if known == nil || known.Begun {
		err = p.claimDevice(name, known, end)
	} else {
		err = p.checkDevice(name, known, end)
	}
	if err != nil {
		return err
	}
	// What is left to do is to take a file's blocks; a device has its own.
	p.fileSize, p.units.limit = end, min(p.units.limit, end/unitSize)
	err = p.pages.Allocate(p.units.limit * unitSize)
	if errors.Is(err, syscall.ENOSPC) {
		return &array.Error{Kind: array.Full, Text: fmt.Sprintf("no room for all %d bytes of %s", p.units.limit*unitSize, name), Err: err}
	}
	return err
}

// claimDevice makes a blank device the map's own: first the map knows the id, then the
// label is written, then the map knows that it is there.
func (p *Pool) claimDevice(name string, begun *deviceRecord, end int64) error {
	if p.units.used > 0 {
		return array.Errorf(array.Conflict, "the map has %d units of pages, which lie in its directory and not on %s", p.units.used, name)
	}
	if begun == nil {
		if id, err := p.readLabel(end); err == nil {
			return vfs.NotBlank(name, fmt.Sprintf("the pages of a CPG whose map is another one, of id %x", id))
		}
	}
	if err := vfs.CheckBlank(p.pages, name); err != nil {
		return err
	}
	r := deviceRecord{Label: end, Begun: true}
	if _, err := rand.Read(r.ID[:]); err != nil {
		return err
	}
	if err := p.db.Update(func(tx *bolt.Tx) error { return putDevice(tx, r) }); err != nil {
		return err
	}
	return p.writeLabel(r)
}

// writeLabel puts the label where r says, and then lets the map look for it there.
func (p *Pool) writeLabel(r deviceRecord) error {
	_, err := p.pages.WriteAt(encodeLabel(r.ID), r.Label)
	if err == nil {
		err = p.pages.Sync()
	}
	if err != nil {
		return fmt.Errorf("write label: %w", err)
	}
	r.Begun = false
	return p.db.Update(func(tx *bolt.Tx) error { return putDevice(tx, r) })
}

// checkDevice refuses a device that isn't the map's, or lost its end, and takes the room
// of one that has grown.
func (p *Pool) checkDevice(name string, known *deviceRecord, end int64) error {
	if err := p.matchLabel(name, known); err != nil {
		return err
	}
	if known.Label < end {
		return p.writeLabel(deviceRecord{ID: known.ID, Label: end})
	}
	return nil
}

// matchLabel compares the device's label with the map.
func (p *Pool) matchLabel(name string, known *deviceRecord) error {
	if p.fileSize < known.Label+block.Page {
		return array.Errorf(array.Conflict, "%s has %d bytes, but the pages of this CPG end at %d: it is another device, or was made smaller", name, p.fileSize, known.Label+block.Page)
	}
	id, err := p.readLabel(known.Label)
	if err != nil {
		return &array.Error{Kind: array.KindOf(err), Text: fmt.Sprintf("%s does not hold the pages of this CPG, whose id is %x", name, known.ID), Err: err}
	}
	if id != known.ID {
		return array.Errorf(array.Conflict, "%s holds the pages of another CPG: its id is %x, that of this map is %x", name, id, known.ID)
	}
	return nil
}

func (p *Pool) readLabel(at int64) (id [16]byte, err error) {
	b := vfs.NewBuffer(block.Page)
	if _, err := p.pages.ReadAt(b, at); err != nil {
		return id, fmt.Errorf("read label: %w", err)
	}
	for one := range slices.Chunk(b, labelSize) {
		if id, err = decodeLabel(one); err == nil {
			return id, nil
		}
	}
	return id, err
}

// inspectDevice is matchDevice for whoever may not write.
func (p *Pool) inspectDevice(name string) error {
	return p.db.View(func(tx *bolt.Tx) error {
		known, err := deviceOf(tx)
		switch {
		case err != nil:
			return err
		case known == nil && name != "":
			return array.Errorf(array.Medium, "the map knows of no device: its pages lie in its directory, or it was never used with %s", name)
		case known == nil || known.Begun:
			return nil
		case name == "":
			return array.Errorf(array.Medium, "the map's pages lie on a device, of id %x: the configuration names none", known.ID)
		}
		if err := p.matchLabel(name, known); err != nil {
			return &array.Error{Kind: array.Medium, Text: "the device does not fit the map", Err: err}
		}
		p.fileSize = known.Label
		return nil
	})
}

// openPages opens the page file: in the pool's directory, or the device or file that
// was named. That one must be there, and is this process's alone.
func (p *Pool) openPages(fs vfs.FS, own, named string, flags vfs.Flag) (err error) {
	name := own
	if named != "" {
		name = named
		flags = flags&^vfs.Create | vfs.Lock
	}
	if p.pages, err = fs.Open(name, flags); err != nil {
		return err
	}
	p.fileSize, err = p.pages.Size()
	p.units.end = p.fileSize / unitSize
	return err
}
