// SPDX-License-Identifier: Apache-2.0

package far

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// A Kind says what a request asks for.
type Kind string

// The kinds of requests.
const (
	// Check asks whether a copy of the volumes could be made.
	Check Kind = "check"
	// Begin asks the copy to take a point, and where to go on.
	Begin Kind = "begin"
	// Sums are the checksums of all pages that it has in a range, of which the copy says
	// which it lacks; it empties the rest of the range.
	Sums Kind = "sums"
	// Pages are pages of it.
	Pages Kind = "pages"
	// End says that all have come: the copy stands at the point from then on.
	End Kind = "end"
	// Look asks whether the copy follows.
	Look Kind = "look"
	// Drop removes the copy.
	Drop Kind = "drop"
	// Leave lets the copy go on without its source.
	Leave Kind = "leave"
	// Follow makes the asked group, a former source, the copy of the asking one.
	Follow Kind = "follow"
	// Lead makes the asked group, a copy that stands at the asking one's last point, the source.
	Lead Kind = "lead"
	// Serves asks an array of the source whether the group is served: then Have is not 0.
	Serves Kind = "serves"
)

// VolumeID is a volume of the source; its copy has another identity.
type VolumeID = array.VolumeID

// Volume is one of a point.
type Volume struct {
	ID   VolumeID `json:"id"`
	Name string   `json:"name"` // that the copy has, or is to get
	// Source is what the source calls it.
	Source string `json:"source,omitempty"`
	CPG    string `json:"cpg,omitempty"`
	Size   int64  `json:"size"`
	// Like says how pages are stored, as the receiver's own words; only for new copies.
	Like json.RawMessage `json:"like,omitempty"`
}

// Page is one page of Pages or Sums. Its bytes follow the others' in the request, unless all
// are zero, or it has a checksum instead.
type Page struct {
	Number int64  `json:"n"`
	Zero   bool   `json:"zero,omitempty"`
	Sum    []byte `json:"sum,omitempty"`
}

// sumOf is what two arrays compare a page by: half of its SHA-256.
func sumOf(page []byte) []byte {
	s := sha256.Sum256(page)
	return s[:16]
}

// Cursor is a place in a transfer: all pages before it are on the copy. Volumes come in the
// order of their ids.
type Cursor struct {
	Volume VolumeID `json:"volume"`
	Page   int64    `json:"page"`
}

// Lacks reports whether a page may not be on the copy.
func (c Cursor) Lacks(v VolumeID, page int64) bool {
	return c.Volume < v || c.Volume == v && c.Page <= page
}

// Request is what the source asks.
type Request struct {
	Kind Kind `json:"kind"`
	// Group is the source's, Name its name, Systems the arrays that may serve it.
	Group   array.GroupID    `json:"group"`
	Name    string           `json:"name,omitempty"`
	Systems []array.SystemID `json:"systems,omitempty"`
	Period  int64            `json:"period,omitempty"` // in seconds
	// Epoch and Term are those in which the source serves.
	Epoch array.Epoch `json:"epoch,omitempty"`
	Term  array.Term  `json:"term,omitempty"`
	// Tag names the point, of Time; Base the one that differences are to, 0 for everything.
	Tag     uint64   `json:"tag,omitempty"`
	Time    int64    `json:"time,omitempty"` // nanoseconds
	Base    uint64   `json:"base,omitempty"`
	Volumes []Volume `json:"volumes,omitempty"`
	// Run, of Pages and End, is as Begin was answered.
	Run    uint64   `json:"run,omitempty"`
	Volume VolumeID `json:"volume,omitempty"`
	Pages  []Page   `json:"pages,omitempty"`
	Done   Cursor   `json:"done,omitzero"`
	// From and To are the range of Sums, in pages.
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
	// Of, in Follow, are the asking group's volumes by those of the asked one.
	Of map[VolumeID]VolumeID `json:"of,omitempty"`
	// Data are the pages' bytes.
	Data []byte `json:"-"`
}

// Answer is the copy's.
type Answer struct {
	Error  string       `json:"error,omitempty"`
	Kind   array.Kind   `json:"kind,omitempty"`
	Reason array.Reason `json:"reason,omitempty"`
	// Have is the point at which the copy stands, 0 for none; Run, not 0, that pages of the
	// asked one may come, from From on.
	Have uint64 `json:"have,omitempty"`
	Run  uint64 `json:"run,omitempty"`
	From Cursor `json:"from,omitzero"`
	// Lacks are the pages of Sums that are not what they should be.
	Lacks []int64 `json:"lacks,omitempty"`
	// Group is the copy's name, ID its id, Systems the arrays that may serve it, Of the
	// source's volumes by their copies.
	Group   string                `json:"group,omitempty"`
	ID      array.GroupID         `json:"id,omitempty"`
	Systems []array.SystemID      `json:"systems,omitempty"`
	Of      map[VolumeID]VolumeID `json:"of,omitempty"`
}

// Failed is the answer that tells of an error.
func Failed(err error) Answer {
	return Answer{Error: err.Error(), Kind: array.KindOf(err), Reason: array.ReasonOf(err)}
}

func (a Answer) err() error {
	if a.Error == "" {
		return nil
	}
	return &array.Error{Kind: a.Kind, Text: a.Error, Reason: a.Reason}
}

const (
	// MaxVolumes bounds those of a point.
	MaxVolumes = 4096
	// maxSystems bounds the arrays that may serve a group.
	maxSystems = 8
	// maxPages bounds those of one request.
	maxPages = 32
	// maxHead bounds a request without its data.
	maxHead = 1 << 20
)

// Encode puts a request into one frame.
func (q Request) Encode() ([]byte, error) {
	head, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode a request to the far copy: %w", err)
	}
	if len(head)+len(q.Data)+4 > block.MaxBuffer {
		return nil, array.Errorf(array.Full, "a request to the far copy takes %d bytes, at most %d can be sent: split the group", len(head)+len(q.Data), block.MaxBuffer)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(head)+len(q.Data)), uint32(len(head)))
	return append(append(b, head...), q.Data...), nil
}

// Decode is the way back. What it returns keeps its limits; whether it makes sense is for the
// copy to say.
func Decode(b []byte) (q Request, err error) {
	if len(b) < 4 {
		return q, array.Errorf(array.Invalid, "a request of the far source has %d bytes", len(b))
	}
	n := int(binary.BigEndian.Uint32(b))
	if n > maxHead || n > len(b)-4 {
		return q, array.Errorf(array.Invalid, "a request of the far source says that its head has %d bytes, of %d", n, len(b)-4)
	}
	if err := json.Unmarshal(b[4:4+n], &q); err != nil {
		return q, array.Errorf(array.Invalid, "a request of the far source can't be read: %v", err)
	}
	q.Data = b[4+n:]
	switch {
	case len(q.Volumes) > MaxVolumes || len(q.Of) > MaxVolumes:
		return q, array.Errorf(array.Invalid, "a request of the far source has %d volumes: want at most %d", max(len(q.Volumes), len(q.Of)), MaxVolumes)
	case len(q.Systems) > maxSystems:
		return q, array.Errorf(array.Invalid, "a request of the far source names %d arrays: want at most %d", len(q.Systems), maxSystems)
	case len(q.Pages) > maxPages:
		return q, array.Errorf(array.Invalid, "a request of the far source has %d pages: want at most %d", len(q.Pages), maxPages)
	}
	return q, q.checkPages()
}

// checkPages refuses pages that are not in order, or not the ones whose bytes there are. The
// last page of a volume is sent whole.
func (q *Request) checkPages() error {
	want := 0
	for i, p := range q.Pages {
		if p.Number < 0 || i > 0 && p.Number <= q.Pages[i-1].Number {
			return array.Errorf(array.Invalid, "a request of the far source has page %d out of order", p.Number)
		}
		if !p.Zero && q.Kind != Sums {
			want += block.Page
		}
	}
	if want != len(q.Data) {
		return array.Errorf(array.Invalid, "a request of the far source has %d bytes of pages: want %d", len(q.Data), want)
	}
	return nil
}
