// SPDX-License-Identifier: Apache-2.0

package qos

import "time"

const (
	// offerHolds is how long an array may use a share without being told anew.
	offerHolds = 5 * time.Second
	// missed is how long offers may stay without an answer until the other array is offered
	// no more than it has anyway; lapsed is when it has no more, for certain: all it was
	// told before has ended, and so have the commands that waited then.
	missed = 3 * time.Second
	lapsed = missed + offerHolds + 4*time.Second
)

// Divider divides a rule's limits between the two arrays, on the one of them that says how.
// It lowers what it uses itself before it offers more to the other array, and uses more only
// when the other one has said that it uses less. An array that serves nothing under the rule
// has all of it, which nobody uses: its first commands after a switchover would wait for
// seconds under the least share. The zero value is at the begin of a contact.
type Divider struct {
	begun    bool
	both     bool    // both serve, by what was known in the turn before
	target   float64 // what this array is to have
	given    float64 // the most that the other may use
	offered  float64
	theirs   Need
	unheard  time.Time // since when offers are without an answer
	answered bool
}

// Offer says how much the other array is to be offered. l is this array's.
func (d *Divider) Offer(now time.Time, l *Limiter, mine Need) float64 {
	if !d.begun {
		// What the other was told before is not known.
		*d = Divider{begun: true, target: 0.5, given: 1, theirs: Need{Serves: true}, answered: true}
	}
	if d.answered {
		d.unheard, d.answered = now, false
	}
	silent, most := now.Sub(d.unheard), 1.0
	if silent > missed {
		// What it wants is not known any more. One that serves nothing, by its last word, does not
		// take from who does.
		d.theirs = Need{Serves: d.theirs.Serves}
		if mine.Serves { // else it takes nothing from anybody
			most = Floor
		}
	}
	if silent > lapsed {
		d.given = Floor
	}
	d.target = divide(mine, d.theirs, d.target)
	was := d.both
	d.both = mine.Serves && d.theirs.Serves
	switch {
	case !d.both:
		l.SetShare(now, 1)
		d.offered = most
	case !was:
		// Both have all, and one may have ceased to serve since: its answer tells.
		d.offered = min(most, 1-d.target)
	default:
		l.SetShare(now, min(l.Share(), d.target))
		d.offered = max(0, min(most, 1-d.target, 1-l.Held(now)))
		l.SetShare(now, min(d.target, 1-max(d.given, d.offered)))
	}
	d.given = max(d.given, d.offered)
	return d.offered
}

// Answered takes the other array's answer to the newest offer: under which share its
// commands begin from now on at most, and what its hosts want.
func (d *Divider) Answered(now time.Time, l *Limiter, held float64, theirs Need) {
	if !d.begun {
		return
	}
	d.theirs, d.answered = theirs.within(), true
	d.given = max(d.offered, bounded(held, 1))
	if d.both = d.both && d.theirs.Serves; d.both {
		l.SetShare(now, min(d.target, 1-d.given))
	} else {
		l.SetShare(now, 1)
	}
}

// Follower is the other array's part for a rule. The zero value is at the begin of a contact.
type Follower struct {
	told time.Time
	all  bool // it was offered all: one of the two served nothing under the rule
}

// Take takes an offer. It returns under which share commands begin from now on at most.
func (f *Follower) Take(now time.Time, l *Limiter, offer float64) (held float64) {
	f.told, f.all = now, offer >= 1
	l.SetShare(now, bounded(offer, 1))
	return l.Held(now)
}

// Tick looks whether what this array was told still holds; so does what it had when the
// contact began.
func (f *Follower) Tick(now time.Time, l *Limiter) {
	if f.told.IsZero() {
		f.told = now
	}
	if !f.all && now.Sub(f.told) > offerHolds {
		l.SetShare(now, Floor)
	}
}
