// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/json"
	"fmt"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/replication"
	"github.com/perdure/perdure/internal/reservation"
)

// load reads the stored record and votes, and builds the description of the log
// from what was stored and what the journal holds beyond.
func (g *Group) load(found arb.Record) error {
	b, err := g.cfg.Keep.Get(g.cfg.ID, "membership")
	if err != nil {
		return fmt.Errorf("read membership: %w", err)
	}
	st := arb.Stored{Current: found}
	if b != nil {
		if st, err = arb.ParseStored(b); err != nil {
			return fmt.Errorf("read membership: %w", err)
		}
	} else if err := g.cfg.Keep.Put(g.cfg.ID, "membership", st.Marshal()); err != nil {
		return fmt.Errorf("store membership: %w", err)
	}
	g.m = arb.New(arb.Config{Self: g.cfg.Self, AutoFailover: g.cfg.Policy.AutoFailover, WitnessStarted: g.cfg.Policy.WitnessStarted, Prefer: g.cfg.Policy.Prefer}, st)
	if err := g.loadDoubt(); err != nil {
		return err
	}
	keep, err := g.loadPoints()
	if err != nil {
		return err
	}
	if keep && st.Current.Members.Has(g.cfg.Self) {
		// A person forced this copy, as of its last point: the pages of the next one go.
		if err := g.dropShadow(); err != nil {
			return err
		}
		keep = false
	}
	g.out.Store(!st.Current.Members.Has(g.cfg.Self))
	if !keep && g.cfg.Copy != nil && g.cfg.Copy.Resyncing(g.cfg.ID) {
		if err := g.dropCopy(); err != nil {
			return err
		}
	}
	if base, _, held := g.cfg.Log.Bounds(g.cfg.ID); held && base.Place > g.cfg.Pages.Destaged(g.cfg.ID) {
		return fmt.Errorf("the journal begins after place %d, but only what was written up to place %d is on pages: a CPG was changed or is damaged", base.Place, g.cfg.Pages.Destaged(g.cfg.ID))
	}
	segs, err := g.loadSegments()
	if err != nil {
		return err
	}
	g.applied = g.cfg.Pages.Destaged(g.cfg.ID)
	g.core = replication.New(g.cfg.Self, segs, min(g.applied, lastOf(segs)))
	g.core.OnPages(g.cfg.Pages.Furthest(g.cfg.ID))
	return nil
}

func lastOf(s []replication.Segment) array.Place {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].Last
}

// loadSegments returns the stored segments, corrected by the journal: it may end
// earlier than was handed to it, or hold more.
func (g *Group) loadSegments() ([]replication.Segment, error) {
	b, err := g.cfg.Keep.Get(g.cfg.ID, "segments")
	if err != nil {
		return nil, fmt.Errorf("read the log's description: %w", err)
	}
	segs, ok := decodeSegments(b)
	if !ok {
		return nil, fmt.Errorf("read the log's description: %d bytes are not a list of segments", len(b))
	}
	base, last, ok := g.cfg.Log.Bounds(g.cfg.ID)
	if !ok {
		if err := g.cfg.Log.SetBase(g.cfg.ID, array.Position{}); err != nil {
			return nil, fmt.Errorf("begin the group's journal: %w", err)
		}
		return nil, nil
	}
	segs = replication.CutSegments(segs, base.Place)
	owner := array.Side(0)
	if n := len(segs); n > 0 {
		owner = segs[n-1].Owner
	}
	if base.Place > lastOf(segs) {
		segs = replication.Extend(segs, base, owner) // stored when its term began
	}
	err = g.cfg.Log.Scan(g.cfg.ID, base.Place+1, func(r journal.Record) error {
		if r.Kind == journal.Entry {
			var n note
			switch err := json.Unmarshal(r.Payload, &n); {
			case err != nil:
			case n.Type == noteOwner:
				owner = n.Owner
			case n.Type == noteRepeat && n.Repeat != nil:
				g.repeatsOf(n.Volume).keep(*n.Repeat, r.Pos, owner, g.cfg.Self, g.cfg.Now())
			}
		} else {
			g.repeats[r.Volume].touched(r)
		}
		segs = replication.Extend(segs, r.Pos, owner)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	if lastOf(segs) != last.Place {
		return nil, fmt.Errorf("the journal ends at place %d, its description at %d", last.Place, lastOf(segs))
	}
	return segs, nil
}

// saveSegments stores the description; the journal corrects its end at start.
func (g *Group) saveSegments() {
	if err := g.cfg.Keep.Put(g.cfg.ID, "segments", encodeSegments(g.core.Segments())); err != nil {
		g.fail(fmt.Errorf("store the log's description: %w", err))
	}
}

func (g *Group) loadReservations(v array.VolumeID) (*reservation.State, error) {
	st := new(reservation.State)
	b, err := g.cfg.Keep.Get(g.cfg.ID, "reservations/"+v.String())
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	if b == nil {
		return st, nil
	}
	if err := st.UnmarshalBinary(b); err != nil {
		return nil, fmt.Errorf("read reservations of volume %v: %w", v, err)
	}
	return st, nil
}

// dropCopy returns to the last consistent state after a copy that a restart broke.
func (g *Group) dropCopy() error {
	if err := g.cfg.Copy.AbortResync(g.cfg.ID); err != nil {
		return fmt.Errorf("drop an unfinished copy: %w", err)
	}
	b, err := g.cfg.Keep.Get(g.cfg.ID, "segments")
	if err != nil {
		return fmt.Errorf("read the log's description: %w", err)
	}
	segs, _ := decodeSegments(b)
	at := g.cfg.Pages.Destaged(g.cfg.ID)
	segs = replication.CutSegments(segs, at)
	pos := array.Position{}
	if n := len(segs); n > 0 {
		pos = array.Position{Epoch: segs[n-1].Epoch, Term: segs[n-1].Term, Place: at}
	}
	if err := g.cfg.Log.SetBase(g.cfg.ID, pos); err != nil {
		return fmt.Errorf("begin the journal at place %d: %w", at, err)
	}
	return nil
}
