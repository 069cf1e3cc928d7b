// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"context"

	"golang.org/x/crypto/ssh"

	"github.com/perdure/perdure/internal/hostkey"
)

// asking is what a connection asks beside its channels: proofs of host keys. A client asks as soon
// as it is offered them, which is before its command; it is answered first, for a command that ends
// ends many a client, which then has learnt nothing.
type asking struct {
	keys     *hostkey.Keys
	conn     *ssh.ServerConn
	requests <-chan *ssh.Request
	// settle is for those who wait until all that came was answered.
	settle chan chan struct{}
	ended  chan struct{}
	proofs int // how often it was asked for proofs
}

// mostProofs is how often a connection may ask for proofs, which take their time; a client does once.
const mostProofs = 4

// offer tells a client who has logged in of the host keys.
func (s *Server) offer(c *ssh.ServerConn, requests <-chan *ssh.Request) *asking {
	_, _, _ = c.SendRequest(hostkey.Offer, false, s.cfg.Keys.Offered()) // a connection that broke ends by itself
	return &asking{keys: s.cfg.Keys, conn: c, requests: requests, settle: make(chan chan struct{}), ended: make(chan struct{})}
}

// serve answers until the connection ends.
func (a *asking) serve() {
	defer close(a.ended)
	for {
		select {
		case r, open := <-a.requests:
			if !open {
				return
			}
			a.answer(r)
		case settled := <-a.settle:
			a.answerAll()
			close(settled)
		}
	}
}

// answerAll answers what came already.
func (a *asking) answerAll() {
	for {
		select {
		case r, open := <-a.requests:
			if !open {
				return
			}
			a.answer(r)
		default:
			return
		}
	}
}

// settled waits until what came before is answered.
func (a *asking) settled(ctx context.Context) {
	done := make(chan struct{})
	select {
	case a.settle <- done:
	case <-a.ended:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// answer proves the keys that are asked for. Other requests of a connection are refused.
func (a *asking) answer(r *ssh.Request) {
	if !r.WantReply {
		return
	}
	var proofs []byte
	ok := r.Type == hostkey.Prove && a.proofs < mostProofs
	if ok {
		a.proofs++
		var err error
		proofs, err = a.keys.Proofs(r.Payload, a.conn.SessionID(), a.provedBy())
		ok = err == nil
	}
	_ = r.Reply(ok, proofs)
}

// provedBy is the algorithm by which the array proved itself on this connection.
func (a *asking) provedBy() string {
	if m, ok := a.conn.Conn.(ssh.AlgorithmsConnMetadata); ok {
		return m.Algorithms().HostKey
	}
	return ""
}
