// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
)

// request is what one array asks of the other.
type request struct {
	Take  *Description  `json:"take,omitempty"`
	Give  array.GroupID `json:"give,omitempty"`
	Check *Description  `json:"check,omitempty"`
	Drop  array.GroupID `json:"drop,omitempty"`
	// DropOf is the newest description of the group that Drop means; nil: any.
	DropOf *edition `json:"drop_of,omitempty"`
	// MayDrop asks what is in the way of that.
	MayDrop array.GroupID `json:"may_drop,omitempty"`
	// Left asks whether a volume that leaves its group has left it.
	Left    array.VolumeID `json:"left,omitempty"`
	Return  *returning     `json:"return,omitempty"`
	Command []string       `json:"command,omitempty"`
	// Number names a command, so that it can be GivenUp.
	Number uint64 `json:"number,omitempty"`
	// StepOf is the number of a command: how far is it?
	StepOf  uint64 `json:"step_of,omitempty"`
	GivenUp uint64 `json:"given_up,omitempty"`
	// By is who gives the command to the other array.
	By   *Caller            `json:"by,omitempty"`
	Host *hostChange        `json:"host,omitempty"`
	User *people.UserChange `json:"user,omitempty"`
	// Turn is when the Host or User, or the Users, were told.
	Turn *turn `json:"turn,omitempty"`
	// Unlock names a user who may try passwords again.
	Unlock string  `json:"unlock,omitempty"`
	Sets   []VVSet `json:"sets,omitempty"`
	// AloneIn asks for a volume of a set that the asked array alone has.
	AloneIn string `json:"alone_in,omitempty"`
	// Book are entries by themselves, or those of what is told with them.
	Book *book `json:"book,omitempty"`
	// Users are changed with the Book.
	Users []people.UserChange `json:"users,omitempty"`
	// Tied asks for all that belongs together with these objects.
	Tied  []objectKey   `json:"tied,omitempty"`
	LUNs  *lunQuestion  `json:"luns,omitempty"`
	Lacks *lackQuestion `json:"lacks,omitempty"`
	// Leaving: the asking array shuts down.
	Leaving bool `json:"leaving,omitempty"`
	// Initiators are those of the sessions that a leaving array has; Working asks which
	// initiators have a session here that works, and which have only others.
	Initiators []string `json:"initiators,omitempty"`
	Working    bool     `json:"working,omitempty"`
	// Service tells the State of Remote Copy, or asks for it.
	Service string   `json:"service,omitempty"`
	State   *service `json:"state,omitempty"`
	// Shares are those of limits for hosts.
	Shares *shareOffers `json:"shares,omitempty"`
}

// response answers it.
type response struct {
	Text       string   `json:"text,omitempty"`
	Initiators []string `json:"initiators,omitempty"`
	Idle       []string `json:"idle,omitempty"`
	// Bits are of the LUNs, or snapshots, that were asked for.
	Bits []byte `json:"bits,omitempty"`
	// Shares answer those that were offered.
	Shares []ruleShare `json:"shares,omitempty"`
	// Tied are the objects that were asked for.
	Tied []objectKey `json:"tied,omitempty"`
	// Step is how far the command is that was asked for, if it said so.
	Step  *progress.Step `json:"step,omitempty"`
	Error string         `json:"error,omitempty"`
	Kind  array.Kind     `json:"kind,omitempty"`
	// Stored: the Error is no refusal. What was asked is decided, and not all of it done.
	Stored bool `json:"stored,omitempty"`
	// Reason is the error's, if it has one.
	Reason array.Reason `json:"reason,omitempty"`
}

func (r response) err() error {
	if r.Error == "" {
		return nil
	}
	err := &array.Error{Kind: r.Kind, Text: r.Error, Reason: r.Reason}
	if r.Stored {
		return unanswered{unfinished{err}}
	}
	return err
}

const (
	// askWithin is how long the other array may take to answer, commandWithin for a
	// command that waits for the group's hosts or copies, and passedWithin for one that
	// somebody waits for there and can give up: it gives itself up where nothing moves.
	askWithin     = 20 * time.Second
	commandWithin = 11 * time.Minute
	passedWithin  = 30 * 24 * time.Hour
)

// unanswered is the error of a request that the other array may have carried out.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// unfinished is the error of a request whose outcome the array that was asked has stored, and that
// failed after that. To take it for a refusal would be to take back what is so there.
type unfinished struct{ error }

func (u unfinished) Unwrap() error { return u.error }

// finished marks what went wrong after the outcome was stored.
func finished(err error) error {
	if err == nil {
		return nil
	}
	return unfinished{err}
}

// ask sends a request to the other array.
func (n *Node) ask(ctx context.Context, q request) (string, error) {
	return n.askWithin(ctx, askWithin, q)
}

func (n *Node) askWithin(ctx context.Context, limit time.Duration, q request) (string, error) {
	r, err := n.answered(ctx, limit, q)
	return r.Text, err
}

// answered sends a request and returns all that was answered.
func (n *Node) answered(ctx context.Context, limit time.Duration, q request) (r response, err error) {
	p := n.other()
	if p == nil {
		return r, array.Errorf(array.Conflict, "this array has no target")
	}
	b, err := pack(q)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ask := func() ([]byte, error) { return p.Ask(ctx, b) }
	if x := n.cfg.Exchange; x != nil {
		ask = func() ([]byte, error) { return x(ctx, func() ([]byte, error) { return p.Ask(ctx, b) }) }
	}
	out, err := ask()
	if err != nil {
		return r, unanswered{err}
	}
	if err := unpack(out, &r); err != nil {
		return response{}, unanswered{array.Errorf(array.Internal, "the other array's answer can't be read: %v", err)}
	}
	return r, r.err()
}

func (n *Node) serveCall(body []byte) []byte {
	var q request
	var r response
	err := unpack(body, &q)
	switch {
	case err != nil:
		err = array.Errorf(array.Invalid, "the request can't be read: %v", err)
	case q.Take != nil:
		err = n.take(*q.Take, q.Book)
	case q.Check != nil:
		if err = n.checkDescription(*q.Check); err == nil {
			err = n.roomForAll(q.Check.VVs)
		}
	case q.Give != 0:
		r.Text, err = n.give(q.Give)
	case q.Return != nil:
		r.Text, err = n.giveUp(*q.Return)
	case q.Drop != 0:
		err = n.dropTold(q.Drop, q.DropOf)
	case q.MayDrop != 0:
		err = n.mayDrop(q.MayDrop)
	case q.Left != 0:
		r.Text, err = n.saysLeft(q.Left)
	case q.Host != nil:
		err = n.takeHost(*q.Host, q.Book, q.Turn)
	case len(q.Sets) > 0:
		err = n.takeVVSets(q.Sets, q.Book)
	case q.AloneIn != "":
		r.Text, err = n.aloneInSet(q.AloneIn)
	case q.Book != nil:
		err = n.takeBook(*q.Book, q.Turn, q.Users...)
	case len(q.Tied) > 0:
		r.Tied, err = n.tiedHere(q.Tied)
	case q.GivenUp != 0:
		n.giveUpCommand(q.GivenUp)
	case q.StepOf != 0:
		r.Step = n.stepOf(q.StepOf)
	case q.LUNs != nil:
		r.Bits, err = n.takenLUNs(*q.LUNs)
	case q.Service != "":
		var told service
		if q.State != nil {
			told = *q.State
		}
		r.Text, err = n.takeService(q.Service, told)
	case q.Lacks != nil:
		r.Bits, err = n.lacks(*q.Lacks)
	case q.Shares != nil:
		r.Shares, err = n.takeShares(*q.Shares)
	case q.Leaving:
		err = n.letGo(q.Initiators)
	case q.Working:
		r.Initiators = n.initiators(working)
		r.Idle = slices.DeleteFunc(n.initiators(anyOf), func(i string) bool { return slices.Contains(r.Initiators, i) })
	case len(q.Command) > 0:
		r.Text, err = n.carryOut(q)
	case q.Unlock != "":
		n.people.Unlock(q.Unlock, time.Now())
	case q.User != nil:
		err = n.takeUser(*q.User, q.Turn)
	}
	if err != nil {
		r.Error, r.Kind, r.Reason = err.Error(), array.KindOf(err), array.ReasonOf(err)
		r.Stored = len(q.Command) == 0 && errors.As(err, new(unfinished))
	}
	b, err := pack(r)
	if err != nil {
		b, _ = pack(response{Error: err.Error(), Kind: array.KindOf(err), Reason: array.ReasonOf(err)})
	}
	return b
}
