// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/link"
)

// A link is measured with data that the other array takes, sums up and throws away. It goes
// over one of the link's data connections, beside what hosts write.

const (
	// MaxProbe is the largest piece, ProbesOut how many are on their way at a time.
	MaxProbe  = 256 << 10
	ProbesOut = 16
	// probeLast is how long the last answers are waited for, probeAgain how long when a
	// queue is full.
	probeLast  = 3 * time.Second
	probeAgain = time.Millisecond
	// mostProbes bounds the round trips that are kept.
	mostProbes = 1 << 20
)

// Probed is what a measurement found.
type Probed struct {
	// Pieces were sent; of Heard of them, with so many Bytes, an answer came; Damaged are
	// those of which the answer says that something else came.
	Pieces, Heard, Damaged int64
	Bytes                  int64
	Took                   time.Duration
	// Trips are the round trips, sorted.
	Trips []time.Duration
}

type probes struct {
	mu sync.Mutex
	// now is the one under way.
	now *probe
}

type probe struct {
	id    [8]byte
	heard chan link.Frame
}

// answerProbe says what came. It is left out if there is no room for the answer.
func answerProbe(c *link.Conn, f link.Frame) {
	_ = c.Send(link.Frame{Type: frameHeard, Offset: f.Offset, Tag: f.Tag, Length: int64(len(f.Payload)), Commit: array.Place(block.Checksum(f.Payload))})
}

func (p *probes) heard(f link.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.now; x != nil && [8]byte(f.Tag[:8]) == x.id {
		select {
		case x.heard <- f:
		default: // more than was asked for
		}
	}
}

// begin makes a place for a measurement; there is one at a time.
func (p *probes) begin() (*probe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		return nil, array.Errorf(array.Busy, "a link is being measured already")
	}
	p.now = &probe{heard: make(chan link.Frame, ProbesOut)}
	_, _ = rand.Read(p.now.id[:])
	return p.now, nil
}

func (p *probes) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = nil
}

// Probe sends pieces of data over a link for a time and measures what comes of it.
func (p *Pair) Probe(ctx context.Context, name string, size int, long time.Duration) (r Probed, err error) {
	x, err := p.probes.begin()
	if err != nil {
		return r, err
	}
	defer p.probes.end()
	payload := make([]byte, size)
	_, _ = rand.Read(payload)
	f := link.Frame{Type: frameProbe, Payload: payload}
	copy(f.Tag[:8], x.id[:])
	binary.BigEndian.PutUint64(f.Tag[8:], uint64(size))
	sum, out := array.Place(block.Checksum(payload)), map[int64]int64{}
	began := p.clock.Now()
	until := time.NewTimer(long)
	defer until.Stop()
	sending := true
	for sending || len(out) > 0 {
		var again <-chan time.Time
		for sending && len(out) < ProbesOut && again == nil {
			f.Offset = r.Pieces
			switch err := p.peer.Send(f, link.DataOn(name)); {
			case errors.Is(err, link.ErrFull):
				again = time.After(probeAgain)
			case err != nil:
				return r, &array.Error{Kind: array.Unavailable, Text: "link " + name + " is down", Err: err}
			default:
				out[r.Pieces] = p.clock.Now()
				r.Pieces++
			}
		}
		select {
		case a := <-x.heard:
			sent, is := out[a.Offset]
			if !is {
				continue
			}
			delete(out, a.Offset)
			now := p.clock.Now()
			r.Heard, r.Took = r.Heard+1, time.Duration(now-began)
			r.Bytes += int64(size)
			if a.Length != int64(size) || a.Commit != sum {
				r.Damaged++
			}
			if len(r.Trips) < mostProbes {
				r.Trips = append(r.Trips, time.Duration(now-sent))
			}
		case <-again:
		case <-until.C:
			if !sending {
				slices.Sort(r.Trips)
				return r, nil // the rest is lost
			}
			sending = false
			until.Reset(probeLast)
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
	slices.Sort(r.Trips)
	return r, nil
}
