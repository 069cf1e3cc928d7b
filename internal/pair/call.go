// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
)

// maxCalls bounds the management requests under way.
const maxCalls = 64

// Ask sends a management request to the other array and waits for the answer.
func (p *Pair) Ask(ctx context.Context, body []byte) ([]byte, error) {
	id := p.callID.Add(1)
	ch := make(chan []byte, 1)
	p.mu.Lock()
	full := len(p.calls) >= maxCalls
	if !full {
		p.calls[id] = ch
	}
	p.mu.Unlock()
	if full {
		return nil, array.Errorf(array.Busy, "too many commands wait for the other array")
	}
	defer func() {
		p.mu.Lock()
		delete(p.calls, id)
		p.mu.Unlock()
	}()
	if err := p.peer.Send(link.Frame{Type: frameCall, Offset: int64(id), Payload: body}, link.Control()); err != nil {
		return nil, &array.Error{Kind: array.Unavailable, Text: "the other array can't be asked", Err: err}
	}
	select {
	case b, ok := <-ch:
		if !ok {
			return nil, array.Errorf(array.Unavailable, "the other array was lost before it answered")
		}
		return b, nil
	case <-ctx.Done():
		return nil, &array.Error{Kind: array.Unavailable, Text: "the other array did not answer", Err: ctx.Err()}
	}
}

// serveCall answers in a goroutine of its own: commands may take long.
func (p *Pair) serveCall(f link.Frame) {
	select {
	case p.serving <- struct{}{}:
	default:
		p.cfg.Logger.Warn("the other array asks too much at once; its request is left without an answer", "most", cap(p.serving))
		return
	}
	body := append([]byte(nil), f.Payload...)
	go func() {
		defer func() { <-p.serving }()
		var out []byte
		if p.cfg.Call != nil {
			out = p.cfg.Call(body)
		}
		if err := p.peer.Send(link.Frame{Type: frameReply, Offset: f.Offset, Payload: out}, link.Control()); err != nil {
			p.cfg.Logger.Warn("answer the other array", "err", fmt.Errorf("send: %w", err))
		}
	}()
}

func (p *Pair) takeReply(f link.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch := p.calls[uint64(f.Offset)]
	if ch != nil {
		delete(p.calls, uint64(f.Offset))
		ch <- append([]byte(nil), f.Payload...) // has room for one
	}
}
