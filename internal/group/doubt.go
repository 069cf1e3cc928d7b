// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// A disk that was found to be of the past stays doubted over restarts, each of which
// looks in order to the witness, until the group has met the other array's and lacks
// nothing, or is left out and copied anew.

// Doubted: whether this array's disk may be of the past. That it may be is durable when
// Doubted returns.
func (g *Group) Doubted(doubted bool) error {
	var err error
	if e := g.ask(func() {
		if doubted && !g.distrusted {
			if err = g.cfg.Keep.Put(g.cfg.ID, "doubted", []byte{1}); err != nil {
				g.fail(fmt.Errorf("store that the disk may be of the past: %w", err))
				return
			}
			g.distrusted = true
		}
		var out arb.Output
		g.m.Doubted(nonce(), doubted || g.distrusted, &out)
		g.carry(&out)
	}); e != nil {
		return e
	}
	return err
}

// loadDoubt begins with what is not known yet, or was found before.
func (g *Group) loadDoubt() error {
	b, err := g.cfg.Keep.Get(g.cfg.ID, "doubted")
	if err != nil {
		return fmt.Errorf("read whether the disk may be of the past: %w", err)
	}
	g.distrusted = len(b) > 0
	if g.cfg.Doubted || g.distrusted {
		g.m.Doubted(nonce(), true, new(arb.Output)) // puts nothing out: a start knows nothing yet
	}
	return nil
}

// settleDoubt forgets what was resolved.
func (g *Group) settleDoubt() {
	if !g.distrusted || g.m.Inputs().Doubted {
		return
	}
	if err := g.cfg.Keep.Put(g.cfg.ID, "doubted", nil); err != nil {
		g.cfg.Logger.Warn("store that the disk is of the present", "group", g.cfg.Name, "err", err)
		return // doubted again after a restart, until it met the other array
	}
	g.distrusted = false
}
