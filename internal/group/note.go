// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/json"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// noteType says what an entry of the log is about.
type noteType uint8

const (
	noteOwner noteType = iota + 1
	noteReservation
	noteRepeat
	noteSnapshot
	noteSize
	notePoint
)

// note is an entry of the log: what hosts can see of the group beside its data.
// Entries are few and small, so they are written as JSON.
type note struct {
	Type    noteType             `json:"type"`
	Owner   array.Side           `json:"owner"`
	Volume  array.VolumeID       `json:"volume,omitempty"`
	State   []byte               `json:"state,omitempty"`
	Notices []reservation.Notice `json:"notices,omitempty"`
	Repeat  *repeat              `json:"repeat,omitempty"`
	// Size is what Volume grows to.
	Size int64 `json:"size,omitempty"`
	// Snapshots are made of volumes as they are at the entry's place.
	Snapshots []Snapshot `json:"snapshots,omitempty"`
	// Point says that the snapshots are a periodic group's own.
	Point *pointMark `json:"point,omitempty"`
}

func encodeNote(n note) []byte {
	b, err := json.Marshal(n)
	if err != nil {
		panic(fmt.Sprintf("encode entry: %v", err)) // plain fields only: can't be
	}
	return b
}

func noteCost(n note) int64 { return journal.Cost(len(encodeNote(n))) }

// applyNote installs a committed entry. It is durable before the journal may
// release it, because destaging counts only what was applied.
func (g *Group) applyNote(r journal.Record) error {
	var n note
	if err := json.Unmarshal(r.Payload, &n); err != nil {
		return fmt.Errorf("decode entry %v: %w", r.Pos, err)
	}
	if g.gone[n.Volume] {
		g.tellApplied = true
		g.advance(r)
		return nil
	}
	switch n.Type {
	case noteOwner:
		g.notifyPaths()
	case noteReservation:
		if err := g.setReservations(n.Volume, n.State); err != nil {
			return err
		}
		u := g.units[n.Volume]
		u.reserving, g.tellApplied = false, true
		for _, x := range n.Notices {
			u.tell(scsi.NoticeOf(x))
		}
	case noteRepeat:
		if n.Repeat == nil {
			return fmt.Errorf("entry %v lacks its command", r.Pos)
		}
		g.keepRepeat(n, r)
	case noteSize:
		if err := g.applySize(n.Volume, n.Size); err != nil {
			return err
		}
	case noteSnapshot:
		g.applySnapshots(r, n.Snapshots)
	case notePoint:
		if err := g.applyPoint(r, n); err != nil {
			return err
		}
	default:
		return fmt.Errorf("entry %v is of unknown type %d", r.Pos, n.Type)
	}
	g.advance(r)
	return nil
}

// setReservations installs a state, durably first.
func (g *Group) setReservations(v array.VolumeID, b []byte) error {
	u := g.units[v]
	if u == nil {
		return fmt.Errorf("volume %v of a reservation is not here", v)
	}
	var st reservation.State
	if err := st.UnmarshalBinary(b); err != nil {
		return fmt.Errorf("decode reservations of %s: %w", u.id.Name, err)
	}
	if err := g.cfg.Keep.Put(g.cfg.ID, "reservations/"+v.String(), b); err != nil {
		return fmt.Errorf("store reservations of %s: %w", u.id.Name, err)
	}
	u.state.Store(&st)
	return nil
}

// placeReservation evaluates a PERSISTENT RESERVE OUT once, here at the owner, and
// logs the state it leads to.
func (g *Group) placeReservation(w *work) bool {
	u := w.unit
	if u.reserving {
		return false
	}
	next, notices, err := u.state.Load().Apply(*w.request)
	if err != nil {
		w.finish(err)
		return true
	}
	state, err := next.MarshalBinary()
	if err != nil {
		w.finish(fmt.Errorf("encode reservations: %w", err))
		return true
	}
	body := encodeNote(note{Type: noteReservation, Volume: u.id.Volume, State: state, Notices: notices})
	need := journal.Cost(len(body))
	if !g.cfg.Space.Reserve(need) {
		return false
	}
	pos, err := g.core.Place()
	if err != nil {
		g.cfg.Space.Unreserve(need)
		return false
	}
	u.reserving = true
	rec := journal.Record{Group: g.cfg.ID, Pos: pos, Kind: journal.Entry, Volume: u.id.Volume, Payload: body}
	g.add(&entry{pos: pos, rec: rec, work: w}, g.cfg.Self)
	return true
}

// advance lets places without data count as applied in the pool.
func (g *Group) advance(r journal.Record) { g.cfg.Pages.Advance(r.Group, r.Pos.Place) }
