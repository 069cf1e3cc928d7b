// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// A drill shows a group's volumes, as they are at one moment, to other hosts, on the array
// that is asked, while everything goes on: it is how a failover is rehearsed, and how what
// the other site has is looked at. The volumes of a drill are made from snapshots, have
// identities of their own, and belong to no group, so nothing that hosts do to them comes
// near the others. It is made of commands, in the name of who asked: what was begun and
// not finished is known, and ended like the others.

// drillOf is a group's drill on this array.
type drillOf struct {
	Group string `json:"group"`
	// Hosts see the drill's volumes.
	Hosts []string `json:"hosts"`
	// At is the moment that they are of, by this array's clock; Ready when they could be
	// seen, zero if that was not reached.
	At    time.Time    `json:"at"`
	Ready time.Time    `json:"ready,omitzero"`
	Parts []drillParts `json:"parts"`
}

// drillParts are a volume of the group, the snapshot, and what was made of it.
type drillParts struct {
	Of       string `json:"of"`
	Snapshot string `json:"snapshot"`
	Volume   string `json:"volume"`
}

// drills lets one be begun or ended at a time.
type drills struct{ mu sync.Mutex }

const (
	// maxDrillVolumes bounds the volumes of a drill.
	maxDrillVolumes = 999
	// drillStep is how long a snapshot may take to come here from the other array.
	drillStep = 30 * time.Second
)

func drillCommands() []command {
	return []command{
		{name: "startrcopydrill", right: people.Change, usage: "startrcopydrill [-host <host|set:hosts>[,...]] <group>", about: "shows a group's volumes, as they are now, to other hosts through this array, while the group goes on", run: startDrill},
		{name: "stoprcopydrill", right: people.Change, usage: "stoprcopydrill [-f] <group>", about: "removes all that a drill made, with what hosts wrote to it", run: stopDrill},
		{name: "showrcopydrill", right: people.Look, usage: "showrcopydrill [<group>...]", about: "the drills of this array, and which moment they are of", run: showDrill},
	}
}

// drillMark is the comment of the snapshots of this array's drill of a group.
func (n *Node) drillMark(group string) string {
	return "drill of group " + group + " on array " + n.cfg.Name
}

// newDrill names what is to be made: parts of a group's name fit into any name.
func newDrill(group string, hosts, vvs []string, at time.Time) drillOf {
	d := drillOf{Group: group, Hosts: hosts, At: at}
	for k, vv := range vvs {
		name := fmt.Sprintf("d%d.%s", k+1, group)
		d.Parts = append(d.Parts, drillParts{Of: vv, Snapshot: name + ".ro", Volume: name})
	}
	return d
}

func startDrill(n *Node, _ context.Context, a *args) error {
	hosts := a.flags.String("host", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[0])
	if err != nil {
		return err
	}
	name := r.rec.Name
	switch i, err := r.g.Info(); {
	case err != nil:
		return err
	case r.rec.Period > 0 && !i.Serving:
		return array.Errorf(array.Conflict, "group %s is periodic and served by the other array: its copy here is shown to nobody before a failover; drill it where it is served", name).Because(array.NotSynchronous)
	}
	d, err := n.describe(r.rec.ID)
	if err != nil {
		return err
	}
	var vvs []string
	for _, v := range d.VVs {
		if v.Of == 0 {
			vvs = append(vvs, v.Name)
		}
	}
	switch {
	case len(vvs) == 0:
		return array.Errorf(array.Conflict, "group %s has no volumes to drill with", name).Because(array.NotEmpty)
	case len(vvs) > maxDrillVolumes:
		return array.Errorf(array.Conflict, "group %s has %d volumes: a drill has at most %d", name, len(vvs), maxDrillVolumes)
	}
	drill := newDrill(name, list(*hosts), vvs, n.now().UTC())
	for i, h := range drill.Hosts {
		if slices.Contains(drill.Hosts[:i], h) {
			return array.Errorf(array.Invalid, "-host: %s is there twice", h)
		}
	}
	if err := n.store.Update(func(t *store.Tx) error {
		if o, ok, err := tables.drills.Get(t, name); err != nil || ok {
			return orElse(err, array.Errorf(array.Exists, "group %s has a drill on array %s since %s: 'stoprcopydrill -f %s' ends it", name, n.cfg.Name, o.At.Format(timeForPeople), name))
		}
		for _, h := range drill.Hosts {
			if err := hostExists(t, h); err != nil {
				return err
			}
		}
		for _, p := range drill.Parts {
			for _, vv := range []string{p.Snapshot, p.Volume} {
				if _, ok, err := n.vvNamed(t, vv); err != nil || ok {
					return orElse(err, array.Errorf(array.Exists, "volume %s exists already, which the drill of group %s would make", vv, name).Because(array.VolumeExists))
				}
			}
		}
		return tables.drills.Put(t, name, drill)
	}); err != nil {
		return err
	}
	// Its commands may be for the other array, for which none here may wait.
	a.then = func(ctx context.Context) error {
		n.drills.mu.Lock()
		defer n.drills.mu.Unlock()
		if err := n.carryDrillOut(ctx, a, &drill); err != nil {
			return errors.Join(err, n.endDrill(context.WithoutCancel(ctx), a.by, drill))
		}
		return nil
	}
	return nil
}

// inNameOf carries a drill's command out in the name of who asked for it.
func (n *Node) inNameOf(ctx context.Context, by Caller, words ...string) (string, error) {
	text, err := n.Do(ctx, Asked{By: by, Words: words})
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return text, err
}

func (n *Node) carryDrillOut(ctx context.Context, a *args, d *drillOf) error {
	snapshots := []string{"creategroupsv", "-ro", "-comment", n.drillMark(d.Group)}
	for _, p := range d.Parts {
		snapshots = append(snapshots, p.Snapshot+":"+p.Of)
	}
	if _, err := n.inNameOf(ctx, a.by, snapshots...); err != nil {
		return err
	}
	d.At = n.now().UTC()
	for _, p := range d.Parts {
		missed := array.Errorf(array.Unavailable, "snapshot %s has not come to array %s, whose copy of group %s is not current", p.Snapshot, n.cfg.Name, d.Group).Because(array.NotSynced)
		if err := await(ctx, drillStep, func() (bool, error) {
			v, _, err := n.vv(p.Snapshot)
			return err == nil && !n.awaits(v), nil
		}, missed); err != nil {
			return err
		}
		if _, err := n.inNameOf(ctx, a.by, "createsv", p.Volume, p.Snapshot); err != nil {
			return err
		}
		for _, h := range d.Hosts {
			text, err := n.inNameOf(ctx, a.by, "createvlun", p.Volume, "auto", h)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: a copy of %s\n", strings.TrimSuffix(text, "\n"), p.Of)
		}
	}
	d.Ready = n.now().UTC()
	if err := n.store.Update(func(t *store.Tx) error { return tables.drills.Put(t, d.Group, *d) }); err != nil {
		return err
	}
	shown := "ready"
	if len(d.Hosts) == 0 {
		shown = "not exported to any host, and ready"
	}
	fmt.Fprintf(a.out, "drill of group %s on array %s: %s as at %s, %s %v later; 'stoprcopydrill -f %s' ends it\n",
		d.Group, n.cfg.Name, volumesOf(len(d.Parts)), d.At.Format(time.RFC3339), shown, d.Ready.Sub(d.At).Round(time.Millisecond), d.Group)
	return nil
}

// volumesOf counts volumes for people.
func volumesOf(count int) string {
	if count == 1 {
		return "1 volume"
	}
	return fmt.Sprintf("%d volumes", count)
}

func stopDrill(n *Node, _ context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1); err != nil {
		return err
	}
	var d drillOf
	if err := n.store.View(func(t *store.Tx) (err error) {
		var ok bool
		if d, ok, err = tables.drills.Get(t, a.rest[0]); err == nil && !ok {
			err = array.Errorf(array.NotFound, "group %.40s has no drill on array %s: 'showrcopydrill' lists them", a.rest[0], n.cfg.Name)
		}
		return err
	}); err != nil {
		return err
	}
	if err := sure("stoprcopydrill removes %s of the drill of group %s, with what hosts wrote there", volumesOf(len(d.Parts)), d.Group); err != nil {
		return err
	}
	a.then = func(ctx context.Context) error {
		n.drills.mu.Lock()
		defer n.drills.mu.Unlock()
		if err := n.endDrill(ctx, a.by, d); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "drill of group %s on array %s: ended, %s removed\n", d.Group, n.cfg.Name, volumesOf(len(d.Parts)))
		return nil
	}
	return nil
}

// endDrill removes all that there is of a drill. What fails is left to another try.
func (n *Node) endDrill(ctx context.Context, by Caller, d drillOf) error {
	d.Ready = time.Time{} // from now on its volumes may be removed
	if err := n.store.Update(func(t *store.Tx) error { return tables.drills.Put(t, d.Group, d) }); err != nil {
		return err
	}
	var errs []error
	for _, p := range d.Parts {
		errs = append(errs, n.endPart(ctx, by, d.Group, p))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return n.store.Update(func(t *store.Tx) error { return tables.drills.Delete(t, d.Group) })
}

// endPart removes a volume of a drill and its snapshot. Others that got their names before
// the drill came so far are nobody's to remove.
func (n *Node) endPart(ctx context.Context, by Caller, group string, p drillParts) error {
	snap, _, err := n.vv(p.Snapshot)
	if err != nil || snap.Of == 0 || snap.Comment != n.drillMark(group) {
		return notFoundIsNil(err)
	}
	v, g, err := n.vv(p.Volume)
	if err == nil && g.Private && v.Base == snap.ID {
		d, err := n.describe(v.Group)
		if err != nil {
			return err
		}
		for _, l := range d.VLUNs {
			if l.Volume != v.ID {
				continue
			}
			if _, err := n.inNameOf(ctx, by, "removevlun", "-f", v.Name, fmt.Sprint(l.LUN), l.Host); err != nil {
				return err
			}
		}
		if _, err := n.inNameOf(ctx, by, "removevv", "-f", v.Name); err != nil {
			return err
		}
	}
	if notFoundIsNil(err) != nil {
		return err
	}
	_, err = n.inNameOf(ctx, by, "removevv", "-f", snap.Name)
	return err
}

// notFoundIsNil is for what need not be there.
func notFoundIsNil(err error) error {
	if array.KindOf(err) == array.NotFound {
		return nil
	}
	return err
}

// noDrills refuses to remove a volume that a running drill made.
func (n *Node) noDrills(v VV) error {
	return n.store.View(func(t *store.Tx) error {
		return tables.drills.Each(t, func(_ string, d drillOf) error {
			for _, p := range d.Parts {
				if p.Volume == v.Name && v.Base != 0 && !d.Ready.IsZero() {
					return array.Errorf(array.Conflict, "volume %s is the drill's of group %s: 'stoprcopydrill -f %s' ends it, and removes all that it made", v.Name, d.Group, d.Group)
				}
			}
			return nil
		})
	})
}
