// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/store"
)

// A command of several steps, of which each by itself is whole, is pledged: what is to be done
// is stored before the first step and forgotten after the last, so that the next start of an
// array that dies in between does the rest. What can't be done then is taken back. Until then
// there is an alert.

const (
	// maxPledges bounds the commands under way that are pledged.
	maxPledges = 1024
	// pledgesEvery is how often it is tried to keep those of an earlier start, pledgesAtOnce how
	// many at the same time: a step may wait for a copy.
	pledgesEvery  = time.Second
	pledgesAtOnce = 16
)

// pledge is what is stored of a command of several steps.
type pledge struct {
	ID uint64 `json:"id"`
	// By gave the command, which is Text for people.
	By   Caller `json:"by"`
	Text string `json:"text"`
	// Steps are commands of which each may have been carried out; Undo takes them back.
	Steps [][]string `json:"steps,omitempty"`
	Undo  [][]string `json:"undo,omitempty"`
	// Back: it is being taken back.
	Back bool `json:"back,omitempty"`
	// Each: a step that can't be done keeps no other from being done. Refused are those that can
	// never be.
	Each    bool     `json:"each,omitempty"`
	Refused []string `json:"refused,omitempty"`
	// told: the command said what came of it.
	told bool
}

// pledges are those that no command under way will keep.
type pledges struct {
	mu  sync.Mutex
	all []*openPledge
}

// openPledge is one, and why it is not kept yet.
type openPledge struct {
	pledge
	why error
	// busy: it is being tried.
	busy bool
}

// put stores a new pledge.
func (p *pledge) put(t *store.Tx) error {
	count := 0
	if err := tables.pledges.EachKey(t, func(string) bool { count++; return count < maxPledges }); err != nil {
		return err
	}
	if count >= maxPledges {
		return array.Errorf(array.Busy, "%d commands of several steps are under way, the most there may be", count)
	}
	id, _, err := tables.count.Get(t, "pledges")
	if err != nil {
		return err
	}
	p.ID = id + 1
	return errors.Join(tables.count.Put(t, "pledges", p.ID), tables.pledges.Put(t, store.Key(p.ID), *p))
}

// pledge stores what a command is about to do.
func (n *Node) pledge(a *args, steps, undo [][]string) (*pledge, error) {
	p := a.pledged(steps, undo)
	if err := n.store.Update(p.put); err != nil {
		return nil, fmt.Errorf("store what %s is to do: %w", a.cmd.name, err)
	}
	return p, nil
}

// pledged is one that the caller stores.
func (a *args) pledged(steps, undo [][]string) *pledge {
	return &pledge{By: a.by, Text: wordsText(append([]string{a.cmd.name}, a.words...)), Steps: steps, Undo: undo}
}

// released forgets a pledge that its command has kept, or of which nothing is left. What can't be
// forgotten now must not be done again by a later start: the array goes on to try.
func (n *Node) released(p *pledge) error {
	if p == nil {
		return nil
	}
	err := n.forget(p)
	if err != nil {
		done := *p
		done.Steps, done.Undo, done.told = nil, nil, true
		n.leaveTo(&done, err)
	}
	return err
}

func (n *Node) forget(p *pledge) error {
	if err := n.store.Update(func(t *store.Tx) error { return tables.pledges.Delete(t, store.Key(p.ID)) }); err != nil {
		return fmt.Errorf("store that it is done: %w", err)
	}
	return nil
}

// leaveTo leaves a pledge that the command could not keep to the array.
func (n *Node) leaveTo(p *pledge, why error) {
	if p == nil {
		return
	}
	n.pledges.mu.Lock()
	defer n.pledges.mu.Unlock()
	n.pledges.all = append(n.pledges.all, &openPledge{pledge: *p, why: why})
}

// takesBack stores that the steps of a pledge are to be taken back.
func (n *Node) takesBack(p *pledge) error {
	now := *p
	now.Steps, now.Undo, now.Back = p.Undo, nil, true
	if err := n.store.Update(func(t *store.Tx) error { return tables.pledges.Put(t, store.Key(p.ID), now) }); err != nil {
		return fmt.Errorf("store that it is taken back: %w", err)
	}
	*p = now
	return nil
}

// carriedOut gives the steps of a pledge, one after the other.
func (n *Node) carriedOut(ctx context.Context, p *pledge, over string) error {
	var waits []error
	for left := p.Steps; len(left) > 0; left = left[1:] {
		words := left[0]
		q := Asked{By: p.By, Words: words}
		if over != "" {
			q.By.Over = over
		}
		_, err := n.Do(ctx, q)
		switch {
		case err == nil || wasDone(words[0], err):
		case !p.Each || ctx.Err() != nil:
			return err
		case passing(err):
			waits = append(waits, fmt.Errorf("%s: %w", wordsText(words), err))
			continue
		default:
			p.Refused = append(slices.Clip(p.Refused), wordsText(words)+": "+err.Error())
		}
		if over == "" {
			continue
		}
		// What a person does about it from now on is not undone by doing it again.
		p.Steps = append(slices.Clone(p.Steps[:len(waits)]), left[1:]...)
		if err := n.store.Update(func(t *store.Tx) error { return tables.pledges.Put(t, store.Key(p.ID), *p) }); err != nil {
			return fmt.Errorf("store what is left to do: %w", err)
		}
	}
	return errors.Join(waits...)
}

// keep carries out a pledge for the command that made it, and takes it back if a step is refused.
func (n *Node) keep(ctx context.Context, p *pledge) error {
	err := n.carriedOut(ctx, p, "")
	if err == nil {
		return n.released(p)
	}
	ctx = context.WithoutCancel(ctx)
	if e := n.takesBack(p); e != nil {
		n.leaveTo(p, e) // which tries the steps again, and then this
		return errors.Join(err, e)
	}
	if e := n.carriedOut(ctx, p, ""); e != nil {
		n.leaveTo(p, e)
		return fmt.Errorf("%w; what was done before is taken back as soon as that can be: %w", err, e)
	}
	return errors.Join(err, n.released(p))
}

// wasDone reports whether a step is refused because nothing of it is left to do.
func wasDone(command string, err error) bool {
	var done []array.Reason
	switch command {
	case "setvv":
		done = []array.Reason{array.MemberTwice, array.NoMember, array.NoVolume}
	case "controldrrcopygroup":
		done = []array.Reason{array.NoGroup, array.NotServed}
	case "startrcopygroup":
		done = []array.Reason{array.NoGroup}
	case "removevvset":
		done = []array.Reason{array.NoVolumeSet}
	case "admitrcopyvv", "dismissrcopyvv", "removercopygroup":
		done = []array.Reason{array.NoGroup, array.NoVolumeSet, array.NotInGroup, array.NoVolume}
	}
	return slices.Contains(done, array.ReasonOf(err))
}

// loadPledges reads those of earlier starts. No command is carried out yet.
func (n *Node) loadPledges() error {
	return n.store.View(func(t *store.Tx) error {
		return tables.pledges.Each(t, func(_ string, p pledge) error {
			n.pledges.all = append(n.pledges.all, &openPledge{pledge: p})
			return nil
		})
	})
}

// watchPledges keeps those of an earlier start, and those that commands had to leave. One that waits
// does not hold up the others.
func (n *Node) watchPledges(ctx context.Context) {
	var trying sync.WaitGroup
	defer trying.Wait()
	for pause(ctx, pledgesEvery) {
		for _, p := range n.pledges.next() {
			trying.Go(func() {
				now, why := n.keepNow(ctx, p.pledge)
				n.pledges.tried(p, now, why)
			})
		}
	}
}

// next are those to be tried now.
func (l *pledges) next() (now []*openPledge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := pledgesAtOnce
	for _, p := range l.all {
		if p.busy {
			room--
		}
	}
	for _, p := range l.all {
		if !p.busy && len(now) < room {
			p.busy = true
			now = append(now, p)
		}
	}
	return now
}

// keepNow tries to keep a pledge. It returns what is left of it, nil if nothing is.
func (n *Node) keepNow(ctx context.Context, p pledge) (*pledge, error) {
	err := n.carriedOut(ctx, &p, overTask)
	switch {
	case err == nil:
	case passing(err) && (p.Each || array.ReasonOf(err) != array.InOtherGroup): // a person put it there
		return &p, err
	case len(p.Undo) > 0:
		if e := n.takesBack(&p); e != nil {
			err = e
		}
		return &p, err
	default:
		p.Refused = append(slices.Clip(p.Refused), err.Error())
	}
	if err := n.forget(&p); err != nil {
		p.Steps = nil
		return &p, err
	}
	switch {
	case p.told:
	case len(p.Refused) > 0:
		n.alarm(fmt.Sprintf("what user %s asked for was interrupted, a part of it is done, and the rest is refused: %s: %s", p.By.User, p.Text, strings.Join(p.Refused, "; ")))
	default:
		became := "done"
		if p.Back {
			became = "taken back"
		}
		n.event(fmt.Sprintf("what user %s asked for, and was not done when it was interrupted, is %s: %s", p.By.User, became, p.Text))
	}
	return nil, nil
}

// tried takes what came of a try.
func (l *pledges) tried(p *openPledge, now *pledge, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.all, p)
	l.all = slices.Delete(l.all, i, i+1)
	if now != nil { // the others come first
		l.all = append(l.all, &openPledge{pledge: *now, why: why})
	}
}

// pledgeConditions are those of commands that are not done.
func (n *Node) pledgeConditions() (all []holding) {
	n.pledges.mu.Lock()
	defer n.pledges.mu.Unlock()
	for _, p := range n.pledges.all {
		text := fmt.Sprintf("a command of user %s was interrupted, and is not done or taken back yet: %s", p.By.User, p.Text)
		if p.why != nil {
			text += ": " + strings.TrimSpace(p.why.Error())
		}
		all = append(all, holding{Condition: event.Condition{Kind: kindPledge, Object: fmt.Sprint(p.ID)}, severity: event.Minor, patience: patience, text: text})
	}
	return all
}
