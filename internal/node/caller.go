// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/table"
)

// Caller is who gives a command, from which address, and over what.
type Caller struct {
	User string `json:"user"`
	people.Grants
	// Domain is the one that the caller's session is in; empty: all that the caller may see.
	Domain string `json:"domain,omitempty"`
	From   string `json:"from"`
	Over   string `json:"over"`
	// Part: it is given to carry out another command, which the audit log has.
	Part bool `json:"part,omitempty"`
	// Itself: an array gives it, and no user.
	Itself bool `json:"itself,omitempty"`
	// session is its key, empty if there is none.
	session string
}

// CallerOf is one who has logged in.
func CallerOf(s people.Session, over string) Caller {
	return Caller{User: s.User, Grants: s.Grants, Domain: s.Domain, From: s.From, Over: over, session: s.Key}
}

// itselfName is who carries out what nobody asked for at that moment.
const itselfName = "system"

// Asked is a command as a face passes it on.
type Asked struct {
	By    Caller
	Words []string
	Style table.Style
	// Tell is told how far a long command is, if it is carried out here; nil if nobody
	// wants to know.
	Tell func(progress.Step)
	// begun is where the number of a task that goes on by itself is left.
	begun *uint64
}

// People are the users of the array.
func (n *Node) People() *people.Book { return n.people }

// itself is a command that the array gives to itself.
func (n *Node) itself(words ...string) Asked {
	return Asked{By: Caller{User: itselfName, Grants: people.Grants{Role: people.Super}, From: n.cfg.Name, Over: "itself", Itself: true}, Words: words}
}

// part is one that it gives to itself to carry out what somebody else asked for.
func (n *Node) part(words ...string) Asked {
	q := n.itself(words...)
	q.By.Part = true
	return q
}

// asked is a command that the other array passes on.
func (n *Node) asked(q request) Asked {
	by := Caller{User: itselfName, Grants: people.Grants{Role: people.Super}, Itself: true}
	if q.By != nil {
		by = *q.By
	}
	by.Over = overArray(n.to().Name)
	return Asked{By: by, Words: q.Command}
}

// Run carries a command of the array's owner out and returns its text.
func (n *Node) Run(ctx context.Context, words []string) (string, error) {
	return n.RunTelling(ctx, words, nil)
}

// RunTelling does so and tells meanwhile how far a long command is.
func (n *Node) RunTelling(ctx context.Context, words []string, tell func(progress.Step)) (string, error) {
	return n.Do(ctx, Asked{By: CallerOf(people.LocalSession(time.Now()), "socket"), Words: words, Tell: tell})
}

// Do carries a command out and returns its text. A command on a group is passed on to
// the array that serves it.
func (n *Node) Do(ctx context.Context, q Asked) (string, error) {
	if len(q.Words) == 0 {
		q.Words = []string{"help"}
	}
	c := find(q.Words[0])
	if c == nil || c.of == nil || q.permitted(c) != nil || !n.elsewhere(c.of(n, q.Words)) {
		return n.runHere(ctx, q)
	}
	return n.audited(q, c, func() (string, error) {
		return n.pass(ctx, q)
	})
}

// needs is the right that the words take.
func (c *command) needs(words []string) people.Right {
	if c.rightOf != nil {
		return c.rightOf(words)
	}
	return c.right
}

// permitted refuses a command that its caller may not give.
func (q Asked) permitted(c *command) error {
	right := c.needs(q.Words[1:])
	if !q.By.May(right) {
		return array.Errorf(array.Denied, "%s: user %s has the role %s, which lacks the right %q; 'showrole' lists them", c.name, q.By.User, q.By.Text(), right)
	}
	if _, open := namings()[c.name]; !open && !q.By.Role.May(right) {
		return array.Errorf(array.Denied, "%s concerns the whole array: user %s has the role %s, and none with the right %q in domain all", c.name, q.By.User, q.By.Text(), right)
	}
	return nil
}

// mayIn refuses what is seen in a domain, and may not be changed there.
func (a *args) mayIn(domain string) error {
	right := a.cmd.right
	if a.by.MayIn(domain, right) {
		return nil
	}
	if domain == "" {
		return array.Errorf(array.Denied, "%s concerns the whole array: user %s has the role %s, and none with the right %q in domain all", a.cmd.name, a.by.User, a.by.Text(), right)
	}
	return array.Errorf(array.Denied, "%s: user %s has the role %s, and none with the right %q in domain %s", a.cmd.name, a.by.User, a.by.Text(), right, domain)
}
