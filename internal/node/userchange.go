// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// Users are made and changed on both arrays by one command, as hosts are.

// changeUsers carries a change out here and at the other array, or, if that refuses it,
// nowhere.
func (n *Node) changeUsers(ctx context.Context, c people.UserChange) error {
	n.telling.Lock()
	defer n.telling.Unlock()
	tell, err := n.people.Make(c, func(t *store.Tx) error { return newDomains(t, c) })
	if err != nil || tell == nil || !n.reachable() {
		return err
	}
	err = n.tellUser(ctx, *tell)
	if err == nil || errors.As(err, new(unanswered)) {
		return nil // it hears of it when it answers
	}
	if e := n.store.Update(func(t *store.Tx) error { return n.people.TakeBackIn(t, c) }); e != nil {
		return fmt.Errorf("take back a change the other array refused: %w", errors.Join(e, err))
	}
	n.people.Made(c.Back())
	return err
}

// newDomains refuses a change that puts a user in a domain that was removed meanwhile.
func newDomains(t *store.Tx, c people.UserChange) error {
	if c.Now == nil {
		return nil
	}
	for _, p := range c.Now.Domains {
		if c.Was != nil && c.Was.In(p.Domain) {
			continue
		}
		if _, err := (&bookOf{t: t}).mustHave(p.Domain); err != nil {
			return err
		}
	}
	return nil
}

// takeUser carries out a change that the other array tells of.
func (n *Node) takeUser(c people.UserChange, at *turn) error {
	return n.people.Take(c, n.cfg.Name, func(t *store.Tx) error { return orElse(n.usersTold.take(at), n.mendBook(t, c)) })
}

// tellUser tells the other array of a change, which it does not have to be told again.
func (n *Node) tellUser(ctx context.Context, c people.UserChange) error {
	if _, err := n.ask(ctx, request{User: &c, Turn: n.nextTurn()}); err != nil {
		return err
	}
	return n.people.Told(c)
}

// tellUsers tells the other array of all changes it has not heard of. refused is what it
// said of those it does not take.
func (n *Node) tellUsers(ctx context.Context, refused map[string]string) {
	if !n.telling.TryLock() { // the command is telling it
		return
	}
	defer n.telling.Unlock()
	all, err := n.people.Untold()
	if err != nil {
		n.eventOnce("look for changes of users: " + err.Error())
	}
	for _, c := range all {
		now, err := n.people.StillUntold(c.Name) // the other array may have removed him meanwhile
		if err == nil && now == nil {
			continue
		}
		if err == nil {
			err = n.tellUser(ctx, *now)
		}
		if errors.As(err, new(unanswered)) {
			return
		}
		key, text := "user "+c.Name, ""
		if err != nil {
			text = err.Error()
		}
		if text != "" && refused[key] != text {
			n.warn(fmt.Sprintf("user %s was changed here while the other array did not answer, which does not take it: %v", c.Name, err))
		}
		refused[key] = text
	}
}
