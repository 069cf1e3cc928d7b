// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// Remote Copy as a whole may be stopped by a person. Each array notes it: one that was told
// while the other did not answer refuses for both when they meet.

func serviceCommands() []command {
	always := func([]string) bool { return true }
	return []command{
		{name: "startrcopy", right: people.Change, usage: "startrcopy", about: "lets groups be started again, after stoprcopy; it starts none", free: always, run: startRCopy},
		{name: "stoprcopy", right: people.Change, usage: "stoprcopy -f [-stopgroups]", about: "stops Remote Copy on both arrays, with -stopgroups all groups first: hosts go on with one copy of each, which nothing protects, until startrcopy and startrcopygroup", free: always, run: stopRCopy},
		{name: "controldrrcopygroup", right: people.Change, usage: "controldrrcopygroup sync|recovery -f [-target <target>] [-nowaitonsync] [-nosyncbeforerecovery] [-nofailoveronlinkdown] [-nostart] [-waittime <n>[s|m]] <group>", about: "brings a group in sync, or lets the array that is asked serve it: by a switchover, or a failover if the other array does not answer", forms: controlForms(), free: always, run: controlGroup},
	}
}

const serviceKey = "remote copy stopped"

// RemoteCopyStarted reports whether a person has not stopped Remote Copy on this array.
func (n *Node) RemoteCopyStarted() bool {
	var stopped uint64
	if err := n.store.View(func(t *store.Tx) (err error) { stopped, _, err = tables.count.Get(t, serviceKey); return err }); err != nil {
		n.eventOnce("read whether Remote Copy is stopped: " + err.Error())
	}
	return stopped == 0
}

// noteService stores whether it is stopped, and tells people of a change.
func (n *Node) noteService(stopped bool, by string) error {
	if n.RemoteCopyStarted() == !stopped {
		return nil
	}
	value, word := uint64(0), "started"
	if stopped {
		value, word = 1, "stopped"
	}
	if err := n.store.Update(func(t *store.Tx) error { return tables.count.Put(t, serviceKey, value) }); err != nil {
		return fmt.Errorf("store that Remote Copy is %s: %w", word, err)
	}
	n.event("Remote Copy was " + word + " by " + by)
	return nil
}

// The words that travel about the service.
const (
	serviceAsk   = "ask"
	serviceStop  = "stop"
	serviceStart = "start"
)

// takeService answers the other array.
func (n *Node) takeService(word string) (string, error) {
	switch word {
	case serviceStop, serviceStart:
		return "", n.noteService(word == serviceStop, "a command to array "+n.to().Name)
	}
	if n.RemoteCopyStarted() {
		return serviceStart, nil
	}
	return serviceStop, nil
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
	if err := n.noteService(false, "user "+a.by.User); err != nil {
		return err
	}
	n.tellService(ctx, a, serviceStart)
	return nil
}

// tellService lets the other array know, and people if it could not be told.
func (n *Node) tellService(ctx context.Context, a *args, word string) {
	if !n.paired() {
		return
	}
	if _, err := n.ask(ctx, request{Service: word}); err != nil {
		a.printf("%s is done on array %s; array %s could not be told: %v. Give it there too\n", a.cmd.name, n.cfg.Name, n.to().Name, err)
	}
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
		if !i.Stopped {
			started = append(started, r.rec.Name)
		}
	}
	if len(started) > 0 && !*groups {
		return array.Errorf(array.Conflict, "groups are started: %s; say -stopgroups, and each goes on with one copy, on the array that serves it, which nothing protects", strings.Join(started, ", "))
	}
	if err := sure("stoprcopy leaves %d groups with one current copy each, which nothing protects", len(started)); err != nil {
		return err
	}
	var errs []error
	for _, name := range started {
		_, err := n.Do(ctx, Asked{By: a.by, Words: []string{"stoprcopygroup", "-f", name}})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop the groups: %w; Remote Copy goes on", err)
	}
	if err := n.noteService(true, "user "+a.by.User); err != nil {
		return err
	}
	n.tellService(ctx, a, serviceStop)
	return nil
}
