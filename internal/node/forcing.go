// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
)

// force makes a group served here without the votes, and prints what that means.
func (n *Node) force(a *args, r *running, was group.Info, contrary bool) error {
	if err := r.g.Force(contrary); err != nil {
		return err
	}
	a.printf("group %s is served by array %s now, from its own copy: it went from %v to ", r.rec.Name, n.cfg.Name, was.Record)
	now, err := r.g.Info()
	if err != nil {
		return err
	}
	a.printf("%v\nwhat only array %s holds is lost to it; if that one served meanwhile, 'setrcopygroup discard -f %s' there gives up its copy when it is back\n", now.Record, n.to().Name, r.rec.Name)
	return nil
}

// forceable adds to a failover's failure what can be done without votes.
func (n *Node) forceable(err error, r *running) error {
	if err == nil || array.ReasonOf(err) != array.NotServed {
		return err
	}
	i, e := r.g.Info()
	if e != nil || i.Contact || i.Split {
		return err
	}
	return array.Errorf(array.Conflict, "%v; 'setrcopygroup failover -f %s' makes array %s serve it without the votes: what only array %s holds is then lost, so see to it that that one does not serve", err, r.rec.Name, n.cfg.Name, n.to().Name).Because(array.NotServed)
}
