// SPDX-License-Identifier: Apache-2.0

package ramunit

import (
	"sync"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// Disk is the memory behind the units of both arrays.
type Disk struct {
	identity scsi.Identity

	mu       sync.Mutex
	size     int64
	pages    map[int64][]byte // by page number; absent ones are unmapped
	res      *reservation.State
	groups   []scsi.PortGroup
	watchers map[int]func(scsi.Notice)
	lastID   int
	holding  bool
	placed   bool // held ops have their place: they can't be dropped
	held     []*heldOp
	resets   []func()      // wait until nothing is held
	arrived  chan struct{} // a token for every op that was held
	stores   int           // mutations that took effect
	acked    int           // of them COMPARE AND WRITEs whose host has the status
}

// heldOp is an op that waits for Resume.
type heldOp struct {
	op   *scsi.Op
	run  func() error
	done func(error)
}

// New returns a disk of size bytes named name, with one port group whose ports
// are the relative ids given.
func New(name string, id array.VolumeID, size int64, ports ...uint16) *Disk {
	if len(ports) == 0 {
		ports = []uint16{1}
	}
	return &Disk{
		identity: scsi.Identity{WWN: array.MakeWWN(id), Serial: array.MakeWWN(id).String()[16:], Name: name, Volume: id},
		size:     size,
		pages:    make(map[int64][]byte),
		res:      &reservation.State{},
		groups:   []scsi.PortGroup{{ID: 1, State: scsi.Optimized, Preferred: true, Ports: ports}},
		watchers: make(map[int]func(scsi.Notice)),
		arrived:  make(chan struct{}, 1024),
	}
}

// SetReadOnly makes the disk refuse writes. Only before it is used.
func (d *Disk) SetReadOnly() { d.identity.ReadOnly = true }

// SetGroups replaces the port groups, and tells the hosts.
func (d *Disk) SetGroups(groups ...scsi.PortGroup) {
	d.mu.Lock()
	d.groups = groups
	d.mu.Unlock()
	d.Notify(scsi.Notice{Kind: scsi.PathsChanged})
}

// Grow sets a larger size, and tells the hosts.
func (d *Disk) Grow(size int64) {
	d.mu.Lock()
	d.size = size
	d.mu.Unlock()
	d.Notify(scsi.Notice{Kind: scsi.CapacityChanged})
}

// Stores returns how many mutations took effect.
func (d *Disk) Stores() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stores
}

// Acknowledged returns how many hosts acknowledged the status of a COMPARE AND WRITE.
func (d *Disk) Acknowledged() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acked
}

// Hold makes ops wait for Resume. The channel gets a token for each that waits.
// If placed is set they can't be cancelled any more, as if they had their place.
func (d *Disk) Hold(placed bool) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holding, d.placed = true, placed
	return d.arrived
}

// Resume runs what waits, in order.
func (d *Disk) Resume() {
	d.mu.Lock()
	d.holding, d.placed = false, false
	held := d.held
	d.held = nil
	resets := d.resets
	d.resets = nil
	errs := make([]error, len(held))
	for i, h := range held {
		errs[i] = h.run()
	}
	d.mu.Unlock()
	for i, h := range held {
		h.done(errs[i])
	}
	for _, f := range resets {
		f()
	}
}

// whenQuiet calls f when no op is held.
func (d *Disk) whenQuiet(f func()) {
	d.mu.Lock()
	if len(d.held) > 0 {
		d.resets = append(d.resets, f)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	f()
}

// Notify sends a notice to the watchers of both arrays.
func (d *Disk) Notify(n scsi.Notice) {
	d.mu.Lock()
	var fs []func(scsi.Notice)
	for _, f := range d.watchers {
		fs = append(fs, f)
	}
	d.mu.Unlock()
	for _, f := range fs {
		f(n)
	}
}

// do runs an op under the lock, or holds it.
func (d *Disk) do(op *scsi.Op, run func() error, done func(error)) {
	d.mu.Lock()
	if d.holding {
		d.held = append(d.held, &heldOp{op, run, done})
		d.mu.Unlock()
		d.arrived <- struct{}{}
		return
	}
	err := run()
	d.mu.Unlock()
	done(err)
}

// drop takes those held ops off for which hit is true and ends them as aborted.
func (d *Disk) drop(hit func(*scsi.Op) bool) {
	d.mu.Lock()
	if d.placed {
		d.mu.Unlock()
		return
	}
	var keep, gone []*heldOp
	for _, h := range d.held {
		if hit(h.op) {
			gone = append(gone, h)
		} else {
			keep = append(keep, h)
		}
	}
	d.held = keep
	d.mu.Unlock()
	for _, h := range gone {
		h.done(array.Errorf(array.Aborted, "dropped before its place"))
	}
}

// read copies from off into p. Callers hold mu.
func (d *Disk) read(p []byte, off int64) {
	for len(p) > 0 {
		in := int(off % block.Page)
		n := min(len(p), block.Page-in)
		if page := d.pages[off/block.Page]; page != nil {
			copy(p[:n], page[in:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+int64(n)
	}
}

// write copies p to off. Callers hold mu.
func (d *Disk) write(p []byte, off int64) {
	for len(p) > 0 {
		in := int(off % block.Page)
		page := d.pages[off/block.Page]
		if page == nil {
			page = make([]byte, block.Page)
			d.pages[off/block.Page] = page
		}
		n := copy(page[in:], p)
		p, off = p[n:], off+int64(n)
	}
}

// zero clears a range; whole pages are given back. Callers hold mu.
func (d *Disk) zero(off, n int64) {
	for n > 0 {
		in := off % block.Page
		k := min(n, block.Page-in)
		if k == block.Page {
			delete(d.pages, off/block.Page)
		} else if page := d.pages[off/block.Page]; page != nil {
			clear(page[in : in+k])
		}
		off, n = off+k, n-k
	}
}
