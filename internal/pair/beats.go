// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"sync"
	"time"
)

// BeatEdges are the upper ends of the ranges in which round trips of heartbeats are counted;
// what takes longer is in a range of its own.
func BeatEdges() []time.Duration {
	return []time.Duration{
		500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
		20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	}
}

// Beats is how long the requests for leases took there and back on a link, since this array
// has the target.
type Beats struct {
	Count          uint64
	Last, Min, Max time.Duration
	Sum            time.Duration
	// Ranges count them, one more than there are edges.
	Ranges []uint64
}

// maxBeatLinks bounds the links that are remembered.
const maxBeatLinks = 64

type beats struct {
	mu   sync.Mutex
	link map[string]*Beats
}

// measured takes a round trip. One that the other array made up is no time.
func (b *beats) measured(link string, nanos int64) {
	took := time.Duration(nanos)
	if took <= 0 || took > time.Minute {
		return
	}
	edges := BeatEdges()
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.link[link]
	if x == nil {
		if len(b.link) >= maxBeatLinks {
			return
		}
		if b.link == nil {
			b.link = map[string]*Beats{}
		}
		x = &Beats{Min: took, Ranges: make([]uint64, len(edges)+1)}
		b.link[link] = x
	}
	x.Count, x.Sum, x.Last, x.Min, x.Max = x.Count+1, x.Sum+took, took, min(x.Min, took), max(x.Max, took)
	i := 0
	for i < len(edges) && took > edges[i] {
		i++
	}
	x.Ranges[i]++
}

// Beats returns those of a link.
func (p *Pair) Beats(link string) Beats {
	p.beats.mu.Lock()
	defer p.beats.mu.Unlock()
	x := p.beats.link[link]
	if x == nil {
		return Beats{Ranges: make([]uint64, len(BeatEdges())+1)}
	}
	out := *x
	out.Ranges = append([]uint64(nil), x.Ranges...)
	return out
}
