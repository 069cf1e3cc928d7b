// SPDX-License-Identifier: Apache-2.0

package far

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
)

const (
	frameAsk    = link.FirstType     // a request; Offset: its number
	frameAnswer = link.FirstType + 1 // and its answer
)

// Tie is the relation to an array that has far copies of this one's groups, or the other way
// round. Nothing in it depends on time: an array that does not answer is asked again.
type Tie struct {
	peer  *link.Peer
	calls *link.Calls

	mu sync.Mutex
	up int // connections
}

// OpenTie prepares a relation; Start begins it. Serve answers the other array's requests.
func OpenTie(cfg link.Config, serve func(Request) Answer, log *slog.Logger) (*Tie, error) {
	t := &Tie{}
	cfg.Handler = handler{t}
	p, err := link.Open(cfg)
	if err != nil {
		return nil, err
	}
	t.peer = p
	t.calls = link.NewCalls(p, link.Data(0), frameAsk, frameAnswer, func(body []byte) []byte {
		var a Answer
		q, err := Decode(body)
		if err != nil {
			a = Failed(err)
		} else {
			a = serve(q)
		}
		b, err := json.Marshal(a)
		if err != nil {
			log.Error("answer a far array", "err", err)
		}
		return b
	}, log)
	return t, nil
}

// Start begins to connect, if that is this side's part.
func (t *Tie) Start() { t.peer.Start() }

// Close ends the relation.
func (t *Tie) Close() {
	t.peer.Close()
	t.calls.Close()
}

// Peer returns the link, for the server and for status.
func (t *Tie) Peer() *link.Peer { return t.peer }

// Reachable reports whether there is a connection that carries requests.
func (t *Tie) Reachable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.up > 0
}

// Ask sends a request and waits for its answer.
func (t *Tie) Ask(ctx context.Context, q Request) (a Answer, err error) {
	b, err := q.Encode()
	if err != nil {
		return a, err
	}
	out, err := t.calls.Ask(ctx, b)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(out, &a); err != nil {
		return Answer{}, array.Errorf(array.Internal, "the far array's answer can't be read: %v", err)
	}
	return a, a.err()
}

// handler takes the link's events.
type handler struct{ t *Tie }

func (h handler) Up(c *link.Conn) {
	if c.Control() {
		return
	}
	h.t.mu.Lock()
	defer h.t.mu.Unlock()
	h.t.up++
}

// Down: an answer may have been lost with the connection, and is not waited for.
func (h handler) Down(c *link.Conn, _ error) {
	if c.Control() {
		return
	}
	h.t.mu.Lock()
	h.t.up--
	h.t.mu.Unlock()
	h.t.calls.Lost()
}

func (h handler) Frame(_ *link.Conn, f link.Frame) { h.t.calls.Frame(f) }
