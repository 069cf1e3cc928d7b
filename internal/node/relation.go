// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/pair"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/witness"
)

// relation is what this array has to do with another one. It is replaced, never changed:
// a target, its links and the witness come from the configuration file or by command, and
// commands may come at any time.
type relation struct {
	// side is this array's. It stays when the target goes.
	side    array.Side
	target  Target
	witness Witness
	// byCommand: the target was made by command, not by the configuration file.
	byCommand bool
	// stopped: a person stopped the witness.
	stopped bool
	// ties carry it, nil if there is no target, or not yet.
	ties *ties
}

// ties are the running parts of a relation.
type ties struct {
	pair *pair.Pair
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// joined is what commands made of a relation, as it is stored.
type joined struct {
	Target         *Target  `json:"target,omitempty"`
	Witness        *Witness `json:"witness,omitempty"`
	WitnessStopped bool     `json:"witness_stopped,omitempty"`
}

// relationKey is where it is stored.
const relationKey = "target"

// to is the other array, the zero Target if there is none.
func (n *Node) to() Target { return n.rel.Load().target }

// witnessStarted reports whether there is a witness to be used.
func (n *Node) witnessStarted() bool {
	r := n.rel.Load()
	return r.witness.Address != "" && !r.stopped
}

// other is the relation's running part, nil if there is none.
func (n *Node) other() *pair.Pair {
	if r := n.rel.Load(); r.ties != nil {
		return r.ties.pair
	}
	return nil
}

// reachable reports whether there is another array that answers.
func (n *Node) reachable() bool {
	p := n.other()
	return p != nil && p.Reachable()
}

func (n *Node) paired() bool { return n.to().SystemID != 0 }

// side is this array's side of its pair.
func (n *Node) side() array.Side { return n.rel.Load().side }

// loadRelation takes the target and the witness from the configuration file, or else what
// commands made of them.
func (n *Node) loadRelation() error {
	r := &relation{target: n.cfg.Target, witness: n.cfg.Witness}
	err := n.store.View(func(t *store.Tx) error {
		j, _, err := tables.relation.Get(t, relationKey)
		if err != nil {
			return err
		}
		r.stopped = j.WitnessStopped
		if j.Target != nil && !n.cfg.Target.alone() {
			return array.Errorf(array.Conflict, "[target] is in the configuration file, and array %s has the target %s by command already: take [target] and [witness] out, or remove it with removercopytarget before", n.cfg.Name, j.Target.Name)
		}
		if j.Target != nil {
			r.target, r.byCommand = *j.Target, true
			if j.Witness != nil {
				r.witness = *j.Witness
			}
		}
		side, known, err := tables.count.Get(t, "side")
		switch {
		case err != nil:
			return err
		case r.target.SystemID != 0:
			r.side = array.SideOf(n.cfg.SystemID, r.target.SystemID)
		case known:
			r.side = array.Side(side)
		}
		return nil
	})
	n.rel.Store(r)
	return err
}

// openRelation prepares the relation's running part.
func (n *Node) openRelation() error {
	n.door.server = link.NewServer(n.linkSelf(), n.ident)
	n.door.server.Refused = n.refused
	if err := n.openFars(); err != nil {
		return err
	}
	if !n.paired() {
		return nil
	}
	r := *n.rel.Load()
	t, err := n.tie(r)
	if err != nil {
		return err
	}
	r.ties = t
	n.rel.Store(&r)
	return nil
}

func (n *Node) tie(r relation) (*ties, error) {
	lc := link.Config{Self: n.linkSelf(), Identity: n.ident, Key: r.target.Key, System: r.target.SystemID}
	for _, l := range r.target.Links {
		lc.Links = append(lc.Links, link.LinkConfig{Name: l.Name, Remote: l.Remote})
	}
	pc := pair.Config{
		Link: lc, Timing: cmp.Or(n.cfg.Timing, pair.DefaultTiming()), Pool: n.pool, Logger: n.log, Event: n.event, Alarm: n.alarm, Lasts: n.lasts,
		Owners: witness.Owners{n.ident.Pin(), r.target.Key},
		Oldest: n.oldestWrite,
		Call:   n.serveCall, RaiseStarts: n.raiseStarts, StandsIn: n.standsIn,
	}
	if r.witness.Address != "" && !r.stopped {
		pc.Witness = n.witnessClient(r.witness)
	}
	p, err := pair.Open(pc)
	if err != nil {
		return nil, err
	}
	return &ties{pair: p, stop: func() {}}, n.door.server.Add(p.Peer())
}

func (n *Node) witnessClient(w Witness) *witness.Client {
	return witness.NewClient(witness.ClientConfig{Address: w.Address, Identity: n.ident, Witness: w.Key, Timeout: 1800 * time.Millisecond})
}

// portOfLink is an address for links, by its number on this array.
type portOfLink struct {
	Link
	port int
}

// link returns one of the links, by its name.
func (t Target) link(name string) portOfLink {
	for k, l := range t.Links {
		if l.Name == name {
			return portOfLink{l, cmp.Or(l.Port, k+1)}
		}
	}
	return portOfLink{}
}

// linkPorts are this array's addresses for links: those of the links in the configuration
// file, or those that it keeps for commands.
func (n *Node) linkPorts() (all []portOfLink) {
	for _, l := range n.cfg.Target.Links {
		all = append(all, n.cfg.Target.link(l.Name))
	}
	for k, at := range n.cfg.Links.Listen {
		all = append(all, portOfLink{Link{Name: linkName(k + 1), Listen: at}, k + 1})
	}
	return all
}

// linkName is that of the link between the ports of a number.
func linkName(port int) string { return fmt.Sprintf("link%d", port) }

// beginRelation lets other arrays in.
func (n *Node) beginRelation(ctx context.Context) error {
	r := n.rel.Load()
	if r.ties == nil && len(n.fars()) == 0 {
		return nil
	}
	if err := n.openLinkDoor(ctx); err != nil {
		return err
	}
	if r.ties != nil {
		n.live(ctx, r)
	}
	for _, f := range n.fars() {
		f.tie.Start()
	}
	return nil
}

// live starts all that goes on while there is a target.
func (n *Node) live(ctx context.Context, r *relation) {
	ctx, r.ties.stop = context.WithCancel(ctx)
	r.ties.pair.Start()
	r.ties.wg.Go(func() { n.pushAll(ctx, r.ties.pair) })
	r.ties.wg.Go(func() { n.watchLinks(ctx, r.ties.pair) })
}

// leave lets the other array in no more, and tells what goes on while there is a target to end.
func (n *Node) leave(r *relation) {
	if r.ties != nil {
		n.door.server.Remove(r.ties.pair.Peer())
		r.ties.stop()
	}
}

// end ends the relation after leave.
func (r *relation) end() {
	if r.ties != nil {
		r.ties.pair.Close()
		r.ties.wg.Wait()
	}
}
