// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

// maxPortals bounds the paths of a host: the ISID has room for so many.
const maxPortals = 64

// A Portal is one way to an array.
type Portal struct {
	// Array and Network are names for people.
	Array, Network string
	// Target is the array's iSCSI name, Addr where it listens.
	Target, Addr string
}

// Options describe a host. Zero durations and numbers get defaults.
type Options struct {
	// Name is the host's iSCSI name.
	Name    string
	Portals []Portal
	// Dial connects and logs in; initiator.Dial by default.
	Dial func(initiator.Config) (*initiator.Conn, error)
	// Check is the time between two looks at a path, and before a lost one is tried
	// again: 100 ms. Silent is how long an answer to a look may take: 1 s.
	Check, Silent time.Duration
	// Command is how long a command may take before its path counts as lost: 30 s,
	// which is Linux's.
	Command time.Duration
	// Queue is how long a command waits without a usable path, and Queued how many
	// may: 2 minutes, 4096.
	Queue  time.Duration
	Queued int
	// Changed, if set, is called when a path's state changes. It must not block.
	Changed func(p Portal, wwn string, from, to State)
}

// A Host has disks.
type Host struct {
	opt   Options
	meter Meter
	stats stats

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	disks map[string]*Disk
	found chan struct{} // closed and replaced when a disk appears
}

// stats count what the host had to do to hide failures.
type stats struct {
	elsewhere, busy, attentions, queued, logins, lost atomic.Uint64
}

// Stats is what the host had to do to hide failures.
type Stats struct {
	// Elsewhere counts commands sent again on another path, Busy and Attentions
	// those sent again on the same, Queued those that found no path for a while.
	Elsewhere, Busy, Attentions, Queued uint64
	// Logins counts connections made, Lost those that ended.
	Logins, Lost uint64
}

// Open starts the paths. It does not wait for any.
func Open(o Options) (*Host, error) {
	switch {
	case o.Name == "":
		return nil, errors.New("open host: no iSCSI name")
	case len(o.Portals) == 0 || len(o.Portals) > maxPortals:
		return nil, fmt.Errorf("open host: %d portals, want 1 to %d", len(o.Portals), maxPortals)
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Check, 100*time.Millisecond)
	def(&o.Silent, time.Second)
	def(&o.Command, 30*time.Second)
	def(&o.Queue, 2*time.Minute)
	if o.Queued <= 0 {
		o.Queued = 4096
	}
	if o.Dial == nil {
		o.Dial = initiator.Dial
	}
	h := &Host{opt: o, disks: map[string]*Disk{}, found: make(chan struct{})}
	h.ctx, h.stop = context.WithCancel(context.Background())
	for i, portal := range o.Portals {
		p := &path{host: h, portal: portal, index: i, look: make(chan struct{}, 1)}
		h.wg.Go(p.run)
	}
	return h, nil
}

// Close ends all connections. Commands under way fail.
func (h *Host) Close() {
	h.stop()
	h.wg.Wait()
}

// Stats returns the counts so far.
func (h *Host) Stats() Stats {
	s := &h.stats
	return Stats{
		Elsewhere: s.elsewhere.Load(), Busy: s.busy.Load(), Attentions: s.attentions.Load(), Queued: s.queued.Load(),
		Logins: s.logins.Load(), Lost: s.lost.Load(),
	}
}

// Meter returns what measures this host's commands.
func (h *Host) Meter() *Meter { return &h.meter }

// Disks returns the disks found so far, by WWN.
func (h *Host) Disks() []*Disk {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := slices.Sorted(maps.Keys(h.disks))
	out := make([]*Disk, len(keys))
	for i, k := range keys {
		out[i] = h.disks[k]
	}
	return out
}

// Wait returns when there are n disks.
func (h *Host) Wait(ctx context.Context, n int) ([]*Disk, error) {
	for {
		h.mu.Lock()
		found := h.found
		have := len(h.disks)
		h.mu.Unlock()
		if have >= n {
			return h.Disks(), nil
		}
		select {
		case <-found:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %d disks, have %d: %w", n, have, ctx.Err())
		}
	}
}

// disk returns the disk of that WWN, making it at the first path.
func (h *Host) disk(wwn string) *Disk {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.disks[wwn]
	if d == nil {
		d = &Disk{WWN: wwn, host: h, changed: make(chan struct{})}
		h.disks[wwn] = d
		close(h.found)
		h.found = make(chan struct{})
	}
	return d
}
