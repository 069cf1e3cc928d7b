// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/pair"
)

// The kinds of conditions that last.
const (
	kindSilence     = string(pair.Silence)
	kindStuck       = string(pair.Stuck)
	kindWitness     = string(pair.WitnessLost)
	kindLink        = "link"
	kindSlow        = "slow link"
	kindGroup       = "group"
	kindPeriod      = "period"
	kindUnopened    = "unopened"
	kindCPG         = "cpg"
	kindAllocation  = "allocation"
	kindPage        = "page"
	kindCopies      = "copies"
	kindCertificate = "certificate"
	kindTarget      = "target"
	kindService     = "remote copy"
	kindJoins       = "admission"
	kindPledge      = "interrupted"
)

// raise tells that a condition lasts, or matters more now, once; over that it has ended, and
// reports whether it lasted.
func (n *Node) raise(c event.Condition, s event.Severity, text string) {
	if n.alerts.Raise(c, s, text, time.Now()) {
		n.log.Info("alert", "severity", string(s), "text", text)
	}
}

func (n *Node) over(c event.Condition, text string) bool {
	lasted := n.alerts.End(c, text, time.Now())
	if lasted {
		n.log.Info("alert ended", "text", text)
	}
	return lasted
}

// lasts takes what the relation to the other array tells.
func (n *Node) lasts(c pair.Condition, lasts bool, text string) {
	x, severity := event.Condition{Kind: string(c)}, event.Major
	if c == pair.Silence && lasts {
		if severity = n.asPlanned(event.Major); severity == event.Informational {
			text = "the other array, " + n.to().Name + ", was shut down in order"
		}
	}
	switch {
	case lasts:
		n.raise(x, severity, text)
	case !n.over(x, text) && c != pair.Stuck:
		n.event(text)
	}
}

// looks is what the watch of the conditions remembers.
type looks struct {
	mu sync.Mutex
	// planned is the other array's process that said that it leaves; before, that its last
	// one did so, if none was heard since this array's start.
	planned array.StartID
	before  bool
	// turn is held while a look is taken; held and gone count looks in a row that found a condition, or did not any more.
	turn sync.Mutex
	held map[heldSo]int
	gone map[event.Condition]int
}

// heldSo is a condition that matters so much.
type heldSo struct {
	event.Condition
	severity event.Severity
}

// begin takes what is known from before this start.
func (l *looks) begin(alerts []event.Alert) {
	l.held, l.gone = map[heldSo]int{}, map[event.Condition]int{}
	for _, x := range alerts {
		l.before = l.before || x.Kind == kindSilence && x.Ended.IsZero() && x.Severity == event.Informational
	}
}

// left remembers that the other array leaves in order.
func (l *looks) left(start array.StartID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.planned = start
}

// asPlanned is how much it matters that the other array is not there: little, if it was
// shut down in order.
func (n *Node) asPlanned(s event.Severity) event.Severity {
	p := n.other()
	if p == nil {
		return s
	}
	heard := p.System().Start
	l := &n.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	none := array.StartID{}
	if heard == none && l.before || heard != none && heard == l.planned && !p.Reachable() {
		return event.Informational
	}
	return s
}

// unrepaired takes what a group says of a damaged page.
func (n *Node) unrepaired(v array.VolumeID, page int64, text string) {
	c := event.Condition{Kind: kindPage, Object: fmt.Sprintf("%d/%d", v, page)}
	if text == "" {
		n.over(c, "page "+c.Object+" is as it was written again")
		return
	}
	n.raise(c, event.Major, text)
}

// Alerts returns the conditions that last, and those that ended, the oldest first.
func (n *Node) Alerts() []event.Alert { return n.alerts.All() }

// Alert returns one of them.
func (n *Node) Alert(id event.AlertID) (event.Alert, error) { return n.alerts.Find(id) }
