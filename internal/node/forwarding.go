// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/forward"
	"github.com/perdure/perdure/internal/store"
)

// Forward is a receiver of events.
type Forward struct {
	// To is syslog+udp://, syslog+tcp://, syslog+tls://, snmp+trap:// or snmp+inform://HOST:PORT,
	// or a webhook's address.
	To string `toml:"to"`
	// Severity is the least that is sent; empty: all.
	Severity event.Severity `toml:"severity"`
	// CA is a file with the certificates that the receiver's must be signed by, Token one
	// with a webhook's token.
	CA    string `toml:"ca"`
	Token string `toml:"token"`
	// Community is a file with that of SNMP version 2c; the others are for version 3, the
	// passwords in files.
	Community       string `toml:"community"`
	User            string `toml:"user"`
	Auth            string `toml:"auth"`
	AuthPassword    string `toml:"auth_password"`
	Privacy         string `toml:"privacy"`
	PrivacyPassword string `toml:"privacy_password"`
}

// maxForwards bounds the receivers.
const maxForwards = 8

func (c *Config) receiver(f Forward) forward.Receiver {
	return forward.Receiver{To: f.To, Array: c.Name, CA: f.CA, Token: f.Token, SNMP: forward.SNMP{
		Community: f.Community, User: f.User, Auth: f.Auth, AuthPassword: f.AuthPassword, Privacy: f.Privacy, PrivacyPassword: f.PrivacyPassword,
	}}
}

// snmpEngine is what receivers of SNMP version 3 know this array by: its key does not
// change, and its starts are counted.
func (n *Node) snmpEngine() forward.Engine {
	const most = 1<<31 - 1 // RFC 3414 2.2.2
	pin, since := n.ident.Pin(), boottime.Nano()
	return forward.Engine{
		ID: forward.EngineID([8]byte(pin[:8])), Boots: uint32(min(n.start.Count, most)),
		Up: func() time.Duration { return time.Duration(boottime.Nano() - since) },
	}
}

func (c *Config) checkForwards() error {
	if len(c.Forwards) > maxForwards {
		return array.Errorf(array.Invalid, "forward: want at most %d receivers of events, have %d", maxForwards, len(c.Forwards))
	}
	seen := map[string]bool{}
	for _, f := range c.Forwards {
		if err := c.receiver(f).Check(); err != nil {
			return fmt.Errorf("forward.to: %w", err)
		}
		switch {
		case seen[f.To]:
			return bad("forward.to", f.To, "it is there twice")
		case f.Severity != "" && !slices.Contains(event.Severities(), f.Severity):
			return bad("forward.severity", string(f.Severity), "want Informational, Minor or Major")
		}
		seen[f.To] = true
	}
	return nil
}

// openForwards begins to send events to their receivers. A new receiver gets what happens
// from now on, one that was there before what it lacks.
func (n *Node) openForwards(ctx context.Context) error {
	for _, c := range n.cfg.Forwards {
		r := n.cfg.receiver(c)
		r.Engine = n.snmpEngine()
		f, err := forward.New(r)
		if err != nil {
			// No reason to leave hosts without their volumes.
			n.alarm(fmt.Sprintf("events are not forwarded to forward.to %s: %v", c.To, err))
			continue
		}
		if c.Severity != "" {
			f.Least = c.Severity
		}
		f.Source = n
		if f.Last, err = n.forwarded(c.To); err != nil {
			return err
		}
		f.Sent = func(last uint64) {
			if err := n.noteForwarded(c.To, last); err != nil {
				n.log.Warn("remember which events were forwarded", "err", err)
			}
		}
		f.Told = func(text string, wrong bool) {
			if wrong {
				n.warn(text)
				return
			}
			n.event(text)
		}
		n.wg.Go(func() { f.Run(ctx) })
	}
	return nil
}

// forwarded is the last event that was sent to a receiver; to a new one, the newest.
func (n *Node) forwarded(to string) (last uint64, err error) {
	known := false
	if err := n.store.View(func(t *store.Tx) (err error) {
		last, known, err = tables.count.Get(t, "forwarded "+to)
		return err
	}); err != nil || known {
		return last, err
	}
	if all := n.EventsAfter(0); len(all) > 0 {
		last = all[len(all)-1].ID
	}
	return last, n.noteForwarded(to, last)
}

func (n *Node) noteForwarded(to string, last uint64) error {
	return n.store.Update(func(t *store.Tx) error { return tables.count.Put(t, "forwarded "+to, last) })
}
