// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/table"
)

// Each array counts wrong passwords by itself: what is guessed at one says nothing of who asks
// the other one. A person lifts a lockout at both.

func (n *Node) lockedOut(user, from string, until time.Time, all bool) {
	if all {
		from = "all addresses"
	}
	if !n.lockouts.fresh(user+" "+from, time.Now()) {
		return
	}
	n.warn(fmt.Sprintf("user %s is locked out at array %s until %s, from %s, after wrong passwords: 'setuser -unlock %s' lifts that", user, n.cfg.Name, showTime(until), from, user))
}

// unlockUser lets a user try again at both arrays.
func (n *Node) unlockUser(ctx context.Context, a *args, name string) error {
	was, err := n.people.User(name)
	if err != nil {
		return err
	}
	if err := a.mayGive(was.Role); err != nil {
		return err
	}
	n.people.Unlock(name, time.Now())
	if !n.paired() {
		return nil
	}
	if _, err := n.ask(ctx, request{Unlock: name}); err != nil {
		a.printf("user %s is locked out no more at array %s; array %s was not told: %v\n", name, n.cfg.Name, n.to().Name, err)
	}
	return nil
}

// showLockouts lists who is locked out at this array.
func (n *Node) showLockouts(a *args) {
	t := table.New("Username", "IP_Addr", "Until")
	for _, l := range n.people.Lockouts(time.Now()) {
		if l.From == "" {
			l.From = "all"
		}
		t.Row(l.User, l.From, showTime(l.Until))
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
}
