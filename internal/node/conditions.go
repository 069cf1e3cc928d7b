// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/volume"
)

// Conditions are derived from how things stand, look by look, so that alerts that were open
// before a restart go on or end by what is so now. Some are told at once by whoever finds
// them, too.

const (
	lookEvery = time.Second
	// patience is how many looks a group must be less than it should: a hand-over or a return
	// is no trouble. patienceAtStart is how many the other array and the witness may take to
	// answer, and how long nothing is said to have ended.
	patience        = 3
	patienceAtStart = 10
	// goneFor is how many looks end a condition.
	goneFor = 2
	// pagesEvery is how often damaged pages are read again, certificatesEvery how often
	// certificates are looked at, in looks: files change, and people want to see that they did.
	pagesEvery        = 60
	certificatesEvery = 10
)

// holding is a condition that holds now; patience is for how many looks it is no alert.
type holding struct {
	event.Condition
	severity event.Severity
	text     string
	patience int
}

// derived are the kinds that end when a look does not find them.
func derived() []string {
	return []string{kindSilence, kindWitness, kindStuck, kindGroup, kindPeriod, kindCPG, kindUnopened, kindTarget, kindService, kindPledge, kindJoins}
}

// watchConditions looks until ctx ends.
func (n *Node) watchConditions(ctx context.Context) {
	for turn := 0; ctx.Err() == nil; turn++ {
		n.lookAt(n.conditions(), turn)
		n.finishPrivate()
		if turn%pagesEvery == pagesEvery-1 {
			n.lookAtPages(ctx)
			n.lookAtCopies()
		}
		if turn%certificatesEvery == 0 {
			n.lookAtCertificates()
		}
		pause(ctx, lookEvery)
	}
}

// lookAt brings the alerts in line with what a look found.
func (n *Node) lookAt(now []holding, turn int) {
	l, here := &n.looks, map[event.Condition]bool{}
	l.turn.Lock()
	defer l.turn.Unlock()
	all, held := n.alerts.All(), map[heldSo]int{}
	for _, f := range now {
		here[f.Condition] = true
		delete(l.gone, f.Condition)
		so := heldSo{f.Condition, f.severity}
		held[so] = l.held[so] + 1
		told := slices.ContainsFunc(all, func(x event.Alert) bool {
			return x.Ended.IsZero() && x.Condition == f.Condition && x.Severity == f.severity
		})
		if told || held[so] > f.patience {
			n.raise(f.Condition, f.severity, f.text)
		}
	}
	l.held = held
	for _, x := range all {
		ofLink := (x.Kind == kindLink || x.Kind == kindSlow) && n.other() == nil
		if !x.Ended.IsZero() || here[x.Condition] || !ofLink && !slices.Contains(derived(), x.Kind) {
			continue
		}
		if l.gone[x.Condition]++; l.gone[x.Condition] >= goneFor && (turn >= patienceAtStart || n.inSync(x.Condition)) {
			delete(l.gone, x.Condition)
			n.over(x.Condition, endedText(x.Condition))
		}
	}
}

// inSync reports whether a condition is one of a group that is known to be whole on both arrays: of others
// nobody knows at first, before the other array and the witness have answered.
func (n *Node) inSync(c event.Condition) bool {
	if c.Kind != kindGroup {
		return false
	}
	r, err := n.findGroup(c.Object)
	if err != nil || r.rec.Private {
		return false
	}
	i, err := infoNow(*r)
	return err == nil && i.Synced && i.Contact
}

// endedText says that a condition has ended.
func endedText(c event.Condition) string {
	switch c.Kind {
	case kindSilence:
		return "the other array answers"
	case kindWitness:
		return "the quorum witness answers, or is not used any more"
	case kindService:
		return "Remote Copy is started"
	case kindPledge:
		return "the interrupted command is done, or taken back"
	case kindJoins:
		return "volume " + c.Object + " is copied again, or neither joins nor leaves a group any more"
	case kindStuck:
		return "this array's journal goes on"
	case kindCPG:
		return "CPG " + c.Object + " is less full than 75 percent again"
	case kindUnopened:
		return c.Object + " is open, or gone"
	case kindLink, kindSlow:
		return "there is no link " + c.Object + " any more"
	case kindTarget:
		return "target " + c.Object + " answers, or is none any more"
	case kindPeriod:
		return "group " + c.Object + ": the period is kept again"
	}
	return "group " + c.Object + " is served, and in sync or stopped by a person, or is gone"
}

// conditions returns what holds now.
func (n *Node) conditions() (all []holding) {
	if n.broken.Load() {
		all = append(all, holding{Condition: event.Condition{Kind: kindStuck}, severity: event.Major, text: "the journal failed: see the log, and the disk it lies on"})
	}
	if p := n.other(); p != nil {
		all = append(all, n.relationConditions()...)
		if p.IsStuck() && !n.broken.Load() {
			all = append(all, holding{Condition: event.Condition{Kind: kindStuck}, severity: event.Major, text: "this array's journal is stuck; it gives up its lease"})
		}
	}
	for _, t := range n.fars() {
		if !t.tie.Reachable() {
			all = append(all, holding{
				Condition: event.Condition{Kind: kindTarget, Object: t.Name}, severity: event.Minor, patience: patienceAtStart,
				text: "target " + t.Name + " does not answer: periodic copies to and from it get older",
			})
		}
	}
	all = append(all, n.pledgeConditions()...)
	all = append(all, n.promotionConditions()...)
	for name, p := range n.cpgs {
		if at := p.Level(); at > 0 {
			all = append(all, cpgLevelIs(name, at))
		}
	}
	for _, u := range n.leftOut() {
		all = append(all, holding{Condition: event.Condition{Kind: kindUnopened, Object: u.rec.Name}, severity: event.Major, text: u.err().Error()})
	}
	all = append(all, n.strandedConditions()...)
	for _, r := range n.shared() {
		if n.paired() { // else it is a copy of another array's, or was
			all = append(all, n.groupConditions(r)...)
		}
		all = append(all, n.farConditions(r)...)
	}
	return all
}

// farConditions are those of copies outside the pair, where the group is served.
func (n *Node) farConditions(r running) (all []holding) {
	for _, f := range r.rec.Far {
		if f.Parted && !f.Copy && n.unfinished(r.rec.ID) {
			all = append(all, holding{
				Condition: event.Condition{Kind: kindGroup, Object: r.rec.Name}, severity: event.Major, patience: patienceAtStart,
				text: fmt.Sprintf("group %s is not what its last point was yet, and no host can use it: 'setrcopygroup failover -f %s' finishes that", r.rec.Name, r.rec.Name),
			})
		}
		if f.Stopped || f.Parted && !f.Origin {
			continue // as a person wants it
		}
		s, text := n.farRuns.state(f.key(r.rec.ID)), ""
		switch name := n.farName(f); {
		case f.Parted:
			text = fmt.Sprintf("group %s: its copy on target %s went on by itself: 'setrcopygroup recover %s' there lets this group follow, 'dismissrcopytarget' ends the relation", r.rec.Name, name, f.Remote)
		case s.late && f.Copy:
			text = fmt.Sprintf("group %s is a copy that is older than it should be: of %s", r.rec.Name, farTime(f.Done))
		case s.late:
			text = fmt.Sprintf("group %s: the copy on target %s is older than it should be, of %s: %s", r.rec.Name, name, farTime(f.Done), cmp.Or(s.trouble, "sending takes longer"))
		case s.trouble != "" && f.Done == nil:
			text = fmt.Sprintf("group %s: target %s has no copy yet: %s", r.rec.Name, name, s.trouble)
		default:
			continue
		}
		all = append(all, holding{
			Condition: event.Condition{Kind: kindPeriod, Object: fmt.Sprintf("%s to %s", r.rec.Name, n.farName(f))}, severity: event.Major, patience: patience, text: text,
		})
	}
	return all
}

func (n *Node) relationConditions() (all []holding) {
	p := n.other()
	if !p.Reachable() {
		c := event.Condition{Kind: kindSilence}
		text := "the other array, " + n.to().Name + ", does not answer"
		for _, x := range n.alerts.All() {
			if x.Condition == c && x.Ended.IsZero() {
				text = x.Text
			}
		}
		all = append(all, holding{Condition: c, severity: n.asPlanned(event.Major), text: text, patience: patienceAtStart})
	}
	if r := n.rel.Load(); r.stopped && r.witness.Address != "" {
		all = append(all, holding{
			Condition: event.Condition{Kind: kindWitness}, severity: event.Minor, patience: patience,
			text: "the quorum witness was stopped by a command: when an array is lost, the other goes on by itself with the groups that it serves, and takes over none, until 'setrcopytarget witness start " + n.to().Name + "'",
		})
	}
	if s := n.serviceNow(); s.Stopped {
		all = append(all, holding{
			Condition: event.Condition{Kind: kindService}, severity: event.Minor, patience: patience,
			text: "Remote Copy was stopped by a command: nothing protects the groups that are stopped, and none can be started, until 'startrcopy' and 'startrcopygroup'",
		})
	}
	if w := p.WitnessStatus(); n.witnessStarted() && !w.Reached {
		all = append(all, holding{
			Condition: event.Condition{Kind: kindWitness}, severity: event.Major, patience: patienceAtStart,
			text: "the quorum witness can't be reached: " + w.Error,
		})
	}
	return all
}

func (n *Node) groupConditions(r running) (all []holding) {
	refused := r.whyRefused()
	if r.g.Whole() && refused == "" {
		return nil // as nearly all are nearly always, for which none has to be woken
	}
	i, err := infoNow(r)
	if err != nil || i.Stopped && !i.Split && i.Rival == "" {
		return nil // it is closing, or a person stopped it
	}
	c := event.Condition{Kind: kindGroup, Object: r.rec.Name}
	tell := func(s event.Severity, format string, v ...any) {
		all = append(all, holding{Condition: c, severity: s, patience: patience, text: "group " + r.rec.Name + " " + fmt.Sprintf(format, v...)})
	}
	switch p := i.Period; {
	case i.Split:
		tell(event.Major, "is not served by this array: %s", i.Reason)
	case i.Rival != "":
		tell(event.Major, "is not protected: %s", i.Rival)
	case refused != "":
		tell(event.Major, "is not what it is on the other array, which goes on without what was changed since, if it has to, and is not filled: %s", refused)
	case i.View.Role.String() == "held":
		tell(event.Major, "is not served by this array, which has a current copy: %s", i.Reason)
	case p.Period > 0 && i.Contact && (p.Late || p.Trouble != ""):
		all = append(all, holding{
			Condition: event.Condition{Kind: kindPeriod, Object: r.rec.Name}, severity: event.Major, patience: patience,
			text: strings.TrimSuffix("group "+r.rec.Name+": the other array's copy is older than it should be: "+p.Trouble+p.Awaits, ": "),
		})
	case p.Period > 0 && i.Contact:
	case !i.Synced && i.Syncing && i.Contact:
		tell(event.Minor, "is not protected yet: the other array is being filled")
	case !i.Synced && i.View.Role.String() == "out":
		tell(n.asPlanned(event.Major), "is served by the other array alone: the copy of this array is not current")
	case !i.Synced:
		tell(n.asPlanned(event.Major), "is not protected: only this array has a current copy")
	}
	return all
}

// lookAtPages ends the alerts of damaged pages that can be read again, or are gone.
func (n *Node) lookAtPages(ctx context.Context) {
	for _, x := range n.alerts.All() {
		var v array.VolumeID
		var page int64
		if x.Kind != kindPage || !x.Ended.IsZero() || ctx.Err() != nil {
			continue
		}
		if _, err := fmt.Sscanf(x.Object, "%d/%d", &v, &page); err != nil {
			continue
		}
		if !n.stillDamaged(v, page) {
			n.over(x.Condition, "it is no longer so: "+x.Text)
		}
	}
}

// stillDamaged reads a page.
func (n *Node) stillDamaged(v array.VolumeID, page int64) bool {
	for _, p := range n.cpgs {
		if x := p.Volume(v); x != nil {
			_, err := x.Stored(page, make([]byte, block.Page))
			return errors.As(err, new(*volume.Bad))
		}
	}
	return false
}
