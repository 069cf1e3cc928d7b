// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// Remote Copy as a whole may be stopped by a person, on either array. What the other one
// missed it hears when it returns: of two states the newer counts, on both arrays the same.

func serviceCommands() []command {
	always := func([]string) bool { return true }
	return []command{
		{name: "startrcopy", right: people.Change, usage: "startrcopy", about: "lets groups be started again, after stoprcopy; it starts none", free: always, run: startRCopy},
		{name: "stoprcopy", right: people.Change, usage: "stoprcopy -f [-stopgroups]", about: "stops Remote Copy on both arrays, with -stopgroups all groups first: hosts go on with one copy of each, which nothing protects, until startrcopy and startrcopygroup", free: always, run: stopRCopy},
		{name: "controldrrcopygroup", right: people.Change, usage: "controldrrcopygroup sync|recovery -f [-target <target>] [-nowaitonsync] [-nosyncbeforerecovery] [-nofailoveronlinkdown] [-nostart] [-waittime <n>[s|m]] <group>", about: "brings a group in sync, or lets the array that is asked serve it: by a switchover, or a failover if the other array does not answer", forms: controlForms(), free: always, run: controlGroup},
	}
}

// What is stored of it: whether it is stopped, how often that was changed on the pair, and
// whether this array has groups to stop for it, which it served while it heard nothing.
const (
	serviceKey        = "remote copy stopped"
	serviceVersionKey = "remote copy changes"
	serviceObeyKey    = "remote copy groups to stop"
)

// service is the state of Remote Copy. Of two with the same version, the one that stopped it
// counts.
type service struct {
	Version uint64 `json:"version"`
	Stopped bool   `json:"stopped,omitempty"`
	// Groups: all groups are to be stopped, too.
	Groups bool `json:"groups,omitempty"`
}

func (s service) over(o service) bool {
	return s.Version > o.Version || s.Version == o.Version && s.Stopped && !o.Stopped
}

// serviceNow is the state as this array knows it.
func (n *Node) serviceNow() (s service) {
	if err := n.store.View(func(t *store.Tx) error {
		stopped, _, err := tables.count.Get(t, serviceKey)
		if err != nil {
			return err
		}
		s.Stopped = stopped != 0
		s.Groups = stopped > 1
		s.Version, _, err = tables.count.Get(t, serviceVersionKey)
		return err
	}); err != nil {
		n.eventOnce("read whether Remote Copy is stopped: " + err.Error())
	}
	return s
}

// RemoteCopyStarted reports whether a person has not stopped Remote Copy on this array.
func (n *Node) RemoteCopyStarted() bool { return !n.serviceNow().Stopped }

// noteService stores a state, and tells people of a change.
func (n *Node) noteService(s service, by string, obey bool) error {
	was, word := n.serviceNow(), "started"
	value, toStop := uint64(0), uint64(0)
	if s.Stopped {
		word, value = "stopped", 1
		if s.Groups {
			value = 2
		}
		if s.Groups && obey {
			toStop = 1
		}
	}
	if err := n.store.Update(func(t *store.Tx) error {
		return errors.Join(tables.count.Put(t, serviceKey, value), tables.count.Put(t, serviceVersionKey, s.Version), tables.count.Put(t, serviceObeyKey, toStop))
	}); err != nil {
		return fmt.Errorf("store that Remote Copy is %s: %w", word, err)
	}
	if was.Stopped != s.Stopped {
		n.event("Remote Copy was " + word + " by " + by)
	}
	return nil
}

// The words that travel about the service.
const (
	serviceAsk  = "ask"
	serviceTell = "tell"
	// serviceStop and serviceStart answer.
	serviceStop  = "stop"
	serviceStart = "start"
)

// takeService answers the other array.
func (n *Node) takeService(word string, told service) (string, error) {
	n.servicing.Lock()
	defer n.servicing.Unlock()
	if word == serviceTell && told.over(n.serviceNow()) {
		if err := n.noteService(told, "a command to array "+n.to().Name, true); err != nil {
			return "", err
		}
	}
	if n.RemoteCopyStarted() {
		return serviceStart, nil
	}
	return serviceStop, nil
}

// tellService tells the other array how it is here, which it may have missed.
func (n *Node) tellService(ctx context.Context) error {
	s := n.serviceNow()
	if s.Version == 0 {
		return nil // nobody ever stopped it
	}
	_, err := n.ask(ctx, request{Service: serviceTell, State: &s})
	return err
}

// obeyService stops the groups that this array serves, for a command that it missed, or that
// ended with this array before it was done.
func (n *Node) obeyService(ctx context.Context) {
	var toStop uint64
	if n.stopping.Load() { // the command does it
		return
	}
	if err := n.store.View(func(t *store.Tx) (err error) { toStop, _, err = tables.count.Get(t, serviceObeyKey); return err }); err != nil || toStop == 0 {
		return
	}
	obeyed := true
	for _, r := range n.shared() {
		i, err := infoNow(r)
		if err != nil || !i.Serving && !i.Stopped && !n.elsewhere(&r) {
			obeyed = false // nobody serves it at this moment, or it is not known who does
			continue
		}
		if i.Serving && !i.Stopped {
			if _, err := n.Do(ctx, n.itself("stoprcopygroup", "-f", r.rec.Name)); err != nil {
				n.eventOnce("stop group " + r.rec.Name + ", since Remote Copy was stopped while the arrays did not reach each other: " + err.Error())
				return
			}
		}
	}
	if !obeyed {
		return // it is tried again
	}
	if err := n.store.Update(func(t *store.Tx) error { return tables.count.Put(t, serviceObeyKey, 0) }); err != nil {
		n.eventOnce("store that all groups are stopped: " + err.Error())
	}
}

// serviceStarted refuses what begins replication while it is stopped on either array.
func (n *Node) serviceStarted(ctx context.Context) error {
	stopped := func(name string) error {
		return array.Errorf(array.Conflict, "Remote Copy is stopped on array %s: 'startrcopy' first", name)
	}
	if !n.RemoteCopyStarted() {
		return stopped(n.cfg.Name)
	}
	if !n.reachable() {
		return nil
	}
	there, err := n.ask(ctx, request{Service: serviceAsk})
	if err == nil && there == serviceStop {
		return stopped(n.to().Name)
	}
	return nil // one that can't be asked replicates nothing
}

// replicates reports whether a command begins replication, or moves a group.
func replicates(words []string) bool {
	switch words[0] {
	case "creatercopygroup", "protectvvset", "startrcopygroup", "syncrcopy", "controldrrcopygroup":
		return true
	case "setrcopygroup":
		return len(words) > 1 && slices.Contains([]string{"switchover", "restore", "reverse", "recover", "mode"}, words[1])
	}
	return false
}

func startRCopy(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(0, 0); err != nil {
		return err
	}
	return n.changeService(ctx, a, service{})
}

// changeService stores a new state here, and lets the other array know, and people if it has
// to hear of it later.
func (n *Node) changeService(ctx context.Context, a *args, s service) error {
	n.servicing.Lock()
	s.Version = n.serviceNow().Version + 1
	err := n.noteService(s, "user "+a.by.User, false)
	n.servicing.Unlock()
	if err != nil || !n.paired() {
		return err
	}
	if err := n.tellService(ctx); err != nil {
		a.printf("%s is done on array %s; array %s does not answer, and hears of it when it returns\n", a.cmd.name, n.cfg.Name, n.to().Name)
	}
	return nil
}

func stopRCopy(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	groups, remove := a.flags.Bool("stopgroups", false, ""), a.flags.Bool("clear", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	if *remove {
		return array.Errorf(array.Invalid, "stoprcopy -clear: groups and targets are removed one by one, since their copies go with them: 'removercopygroup', 'removercopytarget'")
	}
	var started []string
	for _, r := range n.shared() {
		i, err := infoNow(r)
		if err != nil {
			return err
		}
		switch {
		case i.Stopped:
		case !n.reachable() && i.View.Role == arb.Out:
			// The other array serves it without this one, and stops it when it hears of this.
		default:
			started = append(started, r.rec.Name)
		}
	}
	if len(started) > 0 && !*groups {
		return array.Errorf(array.Conflict, "groups are started: %s; say -stopgroups, and each goes on with one copy, on the array that serves it, which nothing protects", strings.Join(started, ", "))
	}
	if err := sure("stoprcopy leaves %s with one current copy each, which nothing protects", counted(len(started), "group")); err != nil {
		return err
	}
	if len(started) > 0 {
		if err := n.stopGroups(ctx, a, started); err != nil {
			return err
		}
	}
	return n.changeService(ctx, a, service{Stopped: true, Groups: *groups})
}

// stopGroups stops groups, all or none. That Remote Copy is stopped is stored first: if this
// array dies in the middle, its next start stops the others, and the other array hears of it.
func (n *Node) stopGroups(ctx context.Context, a *args, names []string) error {
	if !n.stopping.CompareAndSwap(false, true) {
		return array.Errorf(array.Busy, "stoprcopy is given already: wait for that")
	}
	defer n.stopping.Store(false)
	note := func(s service) error {
		n.servicing.Lock()
		defer n.servicing.Unlock()
		s.Version = n.serviceNow().Version + 1
		return n.noteService(s, "user "+a.by.User, true)
	}
	if err := note(service{Stopped: true, Groups: true}); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := n.Do(ctx, Asked{By: a.by, Words: []string{"stoprcopygroup", "-f", name}}); err != nil {
			return n.startsAgain(context.WithoutCancel(ctx), a, names, fmt.Errorf("stop the groups: %w; Remote Copy goes on", err), note)
		}
	}
	return nil
}

// startsAgain takes back that Remote Copy is stopped, and that groups are, for why. If this array
// dies meanwhile it goes on at its next start.
func (n *Node) startsAgain(ctx context.Context, a *args, names []string, why error, note func(service) error) error {
	steps := [][]string{{"startrcopy"}}
	for _, name := range names {
		steps = append(steps, []string{"startrcopygroup", name})
	}
	p := a.pledged(steps, nil)
	p.Each = true // a group that is gone, or may not start, keeps no other one stopped
	err := n.store.Update(p.put)
	if err != nil {
		p = nil
	}
	why = errors.Join(why, err) // without a pledge it is taken back all the same
	err = note(service{})
	if n.paired() {
		_ = n.tellService(ctx) // which it may have heard of; else it hears of it when it answers
	}
	if err = errors.Join(err, n.startAgain(ctx, a, names)); err != nil {
		n.leaveTo(p, err)
		return errors.Join(why, err)
	}
	return errors.Join(why, n.released(p))
}

// startAgain starts those of the groups that were stopped, for nothing.
func (n *Node) startAgain(ctx context.Context, a *args, names []string) error {
	var errs []error
	for _, name := range names {
		r, err := n.findGroup(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if i, err := infoNow(*r); err == nil && !i.Stopped {
			continue
		}
		if _, err := n.Do(ctx, Asked{By: a.by, Words: []string{"startrcopygroup", name}}); err != nil {
			errs = append(errs, fmt.Errorf("group %s stays stopped: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
