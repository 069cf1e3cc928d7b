// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"time"

	"github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/iscsi"
)

// leaveWithin bounds how long an orderly shutdown may wait for the other array.
const (
	leaveWithin = 5 * time.Second
	// leaveGroupWithin is how long one group may take to become fit to be handed over.
	leaveGroupWithin = 500 * time.Millisecond
	// hostsMoveWithin is how long hosts are still answered after the last group went: a
	// refused command sends a host to the other array at once, a session that ends makes
	// Linux hold its commands for seconds first.
	hostsMoveWithin = time.Second
)

// TakeNoCommands refuses commands that change anything from now on: the array is about to leave.
func (n *Node) TakeNoCommands() { n.shuttingDown.Store(true) }

// Leave prepares an orderly shutdown: groups that are served here and in sync are
// handed to the other array, and then it is told to go on alone, so that hosts see
// a switchover and not a failure. What can't be handed over stays as it is. From now on nobody's
// commands change anything here: one might bring back what was handed over.
func (n *Node) Leave() error {
	n.TakeNoCommands()
	if !n.reachable() {
		return nil
	}
	n.awaitHosts()
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	var errs []error
	groups := n.shared()
	for _, r := range groups {
		errs = append(errs, r.g.Leaving())
	}
	for _, r := range groups {
		short, cancel := context.WithTimeout(ctx, leaveGroupWithin)
		if i, err := settled(short, r); err == nil && i.Serving && i.Synced {
			if err := switchOver(short, r.g); err != nil {
				errs = append(errs, err)
			}
		}
		cancel()
	}
	ctx, cancel = context.WithTimeout(context.Background(), leaveWithin) // whatever that took
	defer cancel()
	if _, err := n.ask(ctx, request{Leaving: true, Initiators: n.initiators(func(iscsi.SessionInfo) bool { return true })}); err != nil {
		errs = append(errs, err)
	}
	// Nothing is served here any more. Hosts learn it by their next commands; then they
	// need not wait for the process's end.
	if len(n.target.Sessions()) > 0 {
		time.Sleep(hostsMoveWithin)
	}
	n.target.DropAll(errors.New("the array shuts down"))
	return errors.Join(errs...)
}

// settled waits for a group of both arrays that nobody serves this moment, such as one whose other
// array just became a member.
func settled(ctx context.Context, r running) (group.Info, error) {
	for {
		i, err := r.g.Info()
		soon := i.Record.Members == array.Both && (i.View.Role == arbitration.Held || i.View.Role == arbitration.Paired && i.Owner == i.Self && !i.Serving)
		if err != nil || !soon || !pause(ctx, 10*time.Millisecond) {
			return i, err
		}
	}
}

// letGo: the other array leaves.
func (n *Node) letGo(initiators []string) error {
	n.hostsBack.expect(initiators)
	n.event("array " + n.to().Name + " shuts down")
	n.looks.left(n.other().System().Start)
	var errs []error
	groups := n.shared()
	for _, r := range groups {
		if err := r.g.LetGo(); err != nil {
			errs = append(errs, err)
		}
	}
	// The leaving array's votes are needed, so it waits for this answer.
	until := time.Now().Add(leaveWithin / 2)
	for _, r := range groups {
		for {
			i, err := r.g.Info()
			if err != nil || i.View.Role != arbitration.Paired || time.Now().After(until) {
				break
			}
			time.Sleep(10 * time.Millisecond)
			if err := r.g.LetGo(); err != nil {
				break
			}
		}
	}
	return errors.Join(errs...)
}
