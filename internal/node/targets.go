// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/store"
)

func targetCommands() []command {
	return []command{
		{name: "creatercopytarget", right: people.Change, usage: "creatercopytarget [-periodic] -sysid <id> -key <key> <target> IP <N:S:P>:<address>[:<port>]...", about: "makes another array this one's target; the other one needs the same of this one. 'showsys -d' there tells its id and key. With -periodic it is an array outside the pair, for periodic copies only", run: createTarget},
		{name: "removercopytarget", right: people.Change, usage: "removercopytarget [-f] <target>", about: "ends the relation to the other array, which shares no group with this one any more", run: removeTarget},
		{name: "admitrcopylink", right: people.Change, usage: "admitrcopylink <target> <N:S:P>:<address>[:<port>]...", about: "adds links to the target", run: admitLink},
		{name: "dismissrcopylink", right: people.Change, usage: "dismissrcopylink <target> <N:S:P>:<address>[:<port>]...", about: "takes links away; what was under way goes over the others", run: dismissLink},
		{name: "setrcopytarget", right: people.Change, usage: "setrcopytarget witness create|start|stop|remove|check [-remote] [-key <key>] [<address>] <target>|pol mirror_config <target>", about: "says which quorum witness arbitrates, and whether it is used", forms: targetForms(), run: setTarget},
	}
}

// linkPortNumber is where a link's other end listens if nothing else is said.
const linkPortNumber = 5785

// LinkAddress is the address of an array's end of a link as people and programs know it: the
// port is named only if it is not the usual one.
func LinkAddress(hostPort string) string {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil || port != strconv.Itoa(linkPortNumber) {
		return hostPort
	}
	return host
}

// linkWord reads a link as commands name it: the number of this array's address, as
// node:slot:port, and the other array's address.
func (n *Node) linkWord(word string) (Link, error) {
	parts := strings.SplitN(word, ":", 4)
	bad := func(want string) (Link, error) {
		return Link{}, array.Errorf(array.Invalid, "link %.80q: want <N:S:P>:<address>[:<port>], %s", word, want)
	}
	if len(parts) != 4 || parts[0] != "0" || parts[1] != "0" {
		return bad("as 0:0:1:192.0.2.2:5785")
	}
	ports := n.linkPorts()
	port, err := strconv.Atoi(parts[2])
	if err != nil || port < 1 || port > len(ports) {
		return bad(fmt.Sprintf("with one of this array's %d ports for links: 'showport -rcip' lists them", len(ports)))
	}
	remote := parts[3]
	if host := strings.Trim(remote, "[]"); net.ParseIP(host) != nil {
		remote = net.JoinHostPort(host, strconv.Itoa(linkPortNumber))
	}
	host, _, err := net.SplitHostPort(remote)
	if err != nil || nowhere(host) || hostPort("", remote) != nil {
		return bad("the address that of the other array")
	}
	return Link{Name: linkName(port), Listen: ports[port-1].Listen, Remote: remote, Port: port}, nil
}

func createTarget(n *Node, _ context.Context, a *args) error {
	id := a.flags.Uint("sysid", 0, "")
	key := a.flags.String("key", "", "")
	periodic := a.flags.Bool("periodic", false, "")
	if err := a.parse(3, 2+maxTargetLinks); err != nil {
		return err
	}
	t := Target{Name: a.rest[0], SystemID: array.SystemID(*id)}
	switch {
	case n.paired() && !*periodic:
		return array.Errorf(array.Exists, "array %s has the target %s already, and can be in one pair: -periodic makes a target for periodic copies", n.cfg.Name, n.to().Name)
	case !strings.EqualFold(a.rest[1], "IP"):
		return array.Errorf(array.Invalid, "creatercopytarget %s: %.20q: want IP: links are TCP connections", t.Name, a.rest[1])
	case len(n.linkPorts()) == 0:
		return array.Errorf(array.Conflict, "array %s has no addresses for links: its configuration file needs links.listen", n.cfg.Name)
	case uint64(*id) != uint64(t.SystemID):
		return array.Errorf(array.Invalid, "creatercopytarget -sysid %d: want the other array's id, which 'showsys -d' shows there", *id)
	}
	var err error
	if t.Key, err = pki.ParsePin(*key); err != nil {
		return array.Errorf(array.Invalid, "creatercopytarget -key: %v; 'showsys -d' shows it at the other array", err)
	}
	for _, w := range a.rest[2:] {
		l, err := n.linkWord(w)
		if err != nil {
			return err
		}
		t.Links = append(t.Links, l)
	}
	if t.Key == n.ident.Pin() {
		return array.Errorf(array.Invalid, "creatercopytarget -key: it is this array's own: want the other one's, which 'showsys -d' shows there")
	}
	as := n.cfg
	as.Target, as.Links = t, Links{}
	if err := as.checkTarget(); err != nil {
		return err
	}
	if err := as.checkLinks(); err != nil {
		return err
	}
	if *periodic {
		return n.joinFar(t)
	}
	return n.join(t)
}

// join begins a relation.
func (n *Node) join(t Target) error {
	r := relation{target: t, byCommand: true, side: array.SideOf(n.cfg.SystemID, t.SystemID)}
	turns := r.side != n.side()
	if turns {
		if err := n.mayTurn(t); err != nil {
			return err
		}
	}
	if err := n.openLinkDoor(n.tasks.ctx); err != nil {
		return err
	}
	var err error
	if r.ties, err = n.tie(r); err == nil {
		err = n.store.Update(func(tx *store.Tx) error {
			if err := tables.count.Put(tx, "side", uint64(r.side)); err != nil {
				return err
			}
			if err := n.tellAll(tx); err != nil {
				return err
			}
			return tables.relation.Put(tx, relationKey, joined{Target: &t})
		})
	}
	if err != nil {
		n.leave(&r)
		n.closeLinkDoor()
		return err
	}
	n.rel.Store(&r)
	if turns {
		n.target.Renumber(n.ports(r.side, len(n.cfg.ISCSI.Portals)))
	}
	n.live(n.tasks.ctx, &r)
	n.event(fmt.Sprintf("array %s is the target of this one from now on", t.Name))
	return nil
}

// mayTurn refuses a target that would give this array other port identities, by which
// hosts and reservations know what it has.
func (n *Node) mayTurn(t Target) error {
	return n.store.View(func(tx *store.Tx) error {
		return tables.vvs.Each(tx, func(_ string, v VV) error {
			return array.Errorf(array.Conflict, "array %s, with the system id %d, would become the second of the pair and take other port ids, by which hosts know volume %s: remove its volumes first, or make the pair with an array whose id is larger",
				n.cfg.Name, n.cfg.SystemID, v.Name)
		})
	})
}

// tellAll notes that the other array is to hear of everything that both are to have.
func (n *Node) tellAll(t *store.Tx) error {
	var hosts []Host
	if err := tables.hosts.Each(t, func(_ string, h Host) error {
		hosts = append(hosts, h)
		return nil
	}); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := tables.untold.Put(t, h.Name, hostChange{Name: h.Name, Now: &h}); err != nil {
			return err
		}
	}
	if err := tellAllSets(t); err != nil {
		return err
	}
	return people.TellAll(t, n.cfg.SystemID)
}

// ownTarget refuses to change by command what the configuration file says.
func (n *Node) ownTarget(name string) error {
	r := n.rel.Load()
	switch {
	case r.target.Name != name || r.ties == nil:
		return array.Errorf(array.NotFound, "target %.40s does not exist: want %s", name, n.targetName()).Because(array.NoTarget)
	case !r.byCommand:
		return array.Errorf(array.Conflict, "target %s is part of the configuration file of array %s: change it there", name, n.cfg.Name)
	}
	return nil
}

func removeTarget(n *Node, _ context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if f := n.farNamed(a.rest[0]); f != nil {
		return n.partFar(f, a, sure)
	}
	if err := n.ownTarget(a.rest[0]); err != nil {
		return err
	}
	// A group that the other array tells of comes before this, or no more.
	n.taking.Lock()
	defer n.taking.Unlock()
	groups := 0
	err := n.store.View(func(t *store.Tx) error {
		return tables.groups.Each(t, func(_ string, g RCGroup) error {
			if !g.Private {
				groups++
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case groups > 0:
		return array.Errorf(array.Conflict, "target %s has %s with array %s: remove what there is first", a.rest[0], counted(groups, "Remote Copy group"), n.cfg.Name)
	}
	if err := sure("removercopytarget ends the relation of array %s to %s", n.cfg.Name, a.rest[0]); err != nil {
		return err
	}
	if err := n.store.Update(func(t *store.Tx) error {
		if err := tables.relation.Delete(t, relationKey); err != nil {
			return err
		}
		return n.tellNobody(t)
	}); err != nil {
		return err
	}
	r := n.rel.Load()
	n.rel.Store(&relation{side: r.side})
	n.leave(r)
	n.closeLinkDoor()
	// What still goes on there may be waiting for this command to be over.
	a.then = func(context.Context) error {
		r.end()
		return nil
	}
	n.event(fmt.Sprintf("array %s is no target of this one any more", r.target.Name))
	return nil
}

// tellNobody forgets what an array was to hear that is no target any more.
func (n *Node) tellNobody(t *store.Tx) error {
	var names []string
	if err := tables.untold.Each(t, func(_ string, c hostChange) error {
		names = append(names, c.Name)
		return nil
	}); err != nil {
		return err
	}
	for _, name := range names {
		if err := tables.untold.Delete(t, name); err != nil {
			return err
		}
	}
	return people.TellNobody(t)
}

// changeTarget stores a relation that was changed, and goes by it.
func (n *Node) changeTarget(r relation) error {
	j := joined{WitnessStopped: r.stopped}
	if r.byCommand {
		j.Target = &r.target
		if r.witness.Address != "" {
			j.Witness = &r.witness
		}
	}
	if err := n.store.Update(func(t *store.Tx) error { return tables.relation.Put(t, relationKey, j) }); err != nil {
		return err
	}
	n.rel.Store(&r)
	return nil
}

func (n *Node) linkWords(a *args) (links []Link, err error) {
	if err := a.parse(2, 1+maxTargetLinks); err != nil {
		return nil, err
	}
	if err := n.ownTarget(a.rest[0]); err != nil {
		return nil, err
	}
	for _, w := range a.rest[1:] {
		l, err := n.linkWord(w)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(links, func(o Link) bool { return o.Name == l.Name }) {
			return nil, array.Errorf(array.Invalid, "link %s: port 0:0:%d is there twice, and has one link", w, l.Port)
		}
		links = append(links, l)
	}
	return links, nil
}

func admitLink(n *Node, _ context.Context, a *args) error {
	links, err := n.linkWords(a)
	if err != nil {
		return err
	}
	r := *n.rel.Load()
	r.target.Links = append(slices.Clone(r.target.Links), links...)
	for _, l := range links {
		if o := n.to().link(l.Name); o.Name != "" {
			return array.Errorf(array.Exists, "port 0:0:%d has a link to %s already: 'dismissrcopylink' takes it away", l.Port, o.Remote)
		}
	}
	as := n.cfg
	as.Target, as.Links = r.target, Links{}
	if err := as.checkLinks(); err != nil {
		return err
	}
	for i, l := range links {
		if err := r.ties.pair.Peer().Admit(link.LinkConfig{Name: l.Name, Remote: l.Remote}); err != nil {
			for _, l := range links[:i] {
				_ = r.ties.pair.Peer().Dismiss(l.Name)
			}
			return err
		}
	}
	return n.changeTarget(r)
}

func dismissLink(n *Node, _ context.Context, a *args) error {
	links, err := n.linkWords(a)
	if err != nil {
		return err
	}
	r := *n.rel.Load()
	for _, l := range links {
		if o := r.target.link(l.Name); o.Remote != l.Remote {
			return array.Errorf(array.NotFound, "port 0:0:%d has no link to %s: 'showrcopy links' lists them", l.Port, l.Remote)
		}
	}
	if len(links) >= len(r.target.Links) {
		return array.Errorf(array.Conflict, "target %s would have no link: admit another one first, or 'removercopytarget -f %s'", r.target.Name, r.target.Name)
	}
	r.target.Links = slices.DeleteFunc(slices.Clone(r.target.Links), func(o Link) bool {
		return slices.ContainsFunc(links, func(l Link) bool { return l.Name == o.Name })
	})
	if err := n.changeTarget(r); err != nil {
		return err
	}
	for _, l := range links {
		if err := r.ties.pair.Peer().Dismiss(l.Name); err != nil {
			return err
		}
	}
	return nil
}
