// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
)

func groupCommands() []command {
	return []command{
		{name: "creatercopygroup", right: people.Change, usage: "creatercopygroup [-domain <domain>] <group> <target>:sync|periodic", about: "creates a Remote Copy group here and on the target", run: createRCGroup},
		{name: "protectvvset", right: people.Change, usage: "protectvvset [-pol <policy>[,<policy>...]] [-period <n>[s|m|h|d]] [-host <host|set:hosts>[,...]] [-proximity primary|secondary|all] [-wait] <set> <group> <target>:sync|periodic", about: "makes a group of all volumes of a set, with their exports, policies and proximities, or of none", run: protectVVSet},
		{name: "removercopygroup", right: people.Change, usage: "removercopygroup -f [-destroy] <group>", about: "removes a group without volumes; with -destroy also one with volumes that are not exported, and their data on both arrays", of: lastGroup, run: removeRCGroup},
		{name: "admitrcopyvv", right: people.Change, usage: "admitrcopyvv -createvv [-wait] [-size <size>] [-cpg <cpg>] [-tpvv|-full|-tdvv] [-compr] <vv|set:vvset> <group> [<target>:<vv|set:vvset>]", about: "adds a volume, or those of a set, in use or not; the copy on the target gets the same name, size and WWN", of: groupAdmittedTo, run: admitVV},
		{name: "admitrcopyhost", right: people.Change, usage: "admitrcopyhost [-proximity primary|secondary|all] <group> <host|set:hosts>...", about: "says which array's paths hosts prefer in a group with the policy active_active: the home array's, the other's, or all", of: groupOfHosts, run: admitHost},
		{name: "dismissrcopyhost", right: people.Change, usage: "dismissrcopyhost [-f] <group> <host|set:hosts>...", about: "lets hosts prefer the home array's paths again", of: groupOfHosts, run: dismissHost},
		{name: "dismissrcopyvv", right: people.Change, usage: "dismissrcopyvv -f [-keepvv|-removevv|-destroy] [-wait] <vv> <group>", about: "takes a volume out of the group: it stays where it is served, exported or not; with -destroy it is removed on both arrays", of: lastGroup, run: dismissVV},
		{name: "startrcopygroup", right: people.Change, usage: "startrcopygroup [-wait] [-t <target>] <group>", about: "starts replication; only what differs is sent", of: lastGroup, run: startRCGroup},
		{name: "stoprcopygroup", right: people.Change, usage: "stoprcopygroup -f [-t <target>] <group>", about: "stops replication; the serving array goes on alone", of: lastGroup, run: stopRCGroup},
		{name: "syncrcopy", right: people.Change, usage: "syncrcopy [-w] [-t <target>] <group>", about: "waits until the group is in sync; of a periodic one, sends what was written until now, and waits for that with -w", of: lastGroup, run: syncRCGroup},
		{name: "setrcopygroup", right: people.Change, usage: "setrcopygroup pol [-f] [-period <n>[s|m|h|d]] <policy>|period <n>[s|m|h|d] <target>|mode [-f] sync|periodic <target>|switchover|failover [-f]|recover|restore|reverse [-t <target>]|override -f|discard -f [-waittask] <group>", about: "changes policies, a periodic group's period, the mode, or which array serves", forms: serveForms(), of: groupToServe, free: isRescue, rightOf: rightToServe, run: setRCGroup},
	}
}

func nonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1
}

func createRCGroup(n *Node, ctx context.Context, a *args) error {
	a.domainFlag()
	if err := a.parse(2, 2); err != nil {
		return err
	}
	target, mode, _ := strings.Cut(a.rest[1], ":")
	g, err := n.newGroup(a.rest[0], target, mode)
	if err != nil {
		return err
	}
	return n.found(ctx, &founding{d: Description{Group: g}, place: a.place()})
}

func removeRCGroup(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	destroy := a.flags.Bool("destroy", false, "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	r, d, err := n.groupNow(a.rest[0])
	if err != nil {
		return err
	}
	if err := n.farless(d.Group); err != nil {
		return err
	}
	switch {
	case len(d.volumes()) > 0 && !*destroy:
		return array.Errorf(
			array.Conflict, "group %s has %s: 'dismissrcopyvv -f' takes one out and keeps it un-mirrored, 'removercopygroup -f -destroy %s' removes them on both arrays, with their data", r.rec.Name, d.named(), r.rec.Name,
		).Because(array.NotEmpty)
	case len(d.VLUNs) > 0:
		return array.Errorf(array.Conflict, "group %s has exported volumes: remove their VLUNs first", r.rec.Name).Because(array.Exported)
	}
	for _, v := range d.VVs {
		if v.Of != 0 && n.now().Before(v.Retain) {
			return array.Errorf(array.Conflict, "snapshot %s is retained until %s", v.Name, v.Retain.Format(timeForPeople)).Because(array.Retained)
		}
		if v.Joins != nil {
			return array.Errorf(array.Conflict, "volume %s is being admitted to group %s: 'dismissrcopyvv -f %s %s' ends that", v.Joins.Name, r.rec.Name, v.Joins.Name, r.rec.Name).Because(array.Copied)
		}
		if v.Copy.underWay() {
			return array.Errorf(array.Conflict, "volume %s is being made a copy of %s: 'createvvcopy -halt' ends that", v.Name, v.Copy.Name).Because(array.Copied)
		}
		if err := n.unleft(v); err != nil {
			return err
		}
		if err := v.inNoSet(); err != nil {
			return err
		}
	}
	if err := n.unneeded(d.VVs); err != nil {
		return err
	}
	if err := sure("removercopygroup removes group %s and %s on both arrays, with their data", r.rec.Name, d.named()); err != nil {
		return err
	}
	return n.removeGroup(ctx, r)
}

// named names the volumes of a group, or the first of many, and counts their snapshots.
func (d Description) named() string {
	const most = 8
	var names []string
	all := d.volumes()
	for _, v := range all[:min(len(all), most)] {
		names = append(names, v.Name)
	}
	if len(all) == 0 {
		return "no volume"
	}
	if n := len(all); n > most {
		names = append(names, fmt.Sprintf("%d more", n-most))
	}
	text := volumesOf(len(all)) + " (" + strings.Join(names, ", ") + ")"
	if n := len(d.VVs) - len(all); n > 0 {
		text += fmt.Sprintf(" with %d snapshots", n)
	}
	return text
}

// removeGroup removes a group that nobody uses, with its volumes.
func (n *Node) removeGroup(ctx context.Context, r *running) error {
	if n.paired() { // else it was a copy of another array's
		if err := n.dropOnOther(ctx, r); err != nil {
			return fmt.Errorf("group %s is not removed, and goes on; its copy on array %s, if that was dropped, is made anew: %w", r.rec.Name, n.to().Name, err)
		}
	}
	if err := n.dropGroup(r.rec.ID); err != nil {
		return err
	}
	p := n.other()
	if p == nil {
		return nil
	}
	if err := p.ForgetRegister(ctx, r.rec.ID); err != nil {
		// It takes room there and does no harm: the id is never given again.
		n.event(fmt.Sprintf("group %s was removed, but the witness keeps its register: %v", r.rec.Name, err))
	}
	return nil
}

// dropOnOther lets the other array drop its half of a group. It is no member any more before:
// whatever becomes of the request, an array without the data is none by any record.
func (n *Node) dropOnOther(ctx context.Context, r *running) error {
	i, err := r.g.Info() // a policy may have stopped it, too
	if err != nil {
		return err
	}
	if _, err := n.ask(ctx, request{MayDrop: r.rec.ID}); err != nil { // it is as safe as it was
		return err
	}
	if err := n.leaveOther(r); err != nil {
		return errors.Join(err, r.g.SetStopped(i.Stopped))
	}
	of, err := n.describeAnew(r.rec.ID) // what is here after a crash is newer than what was dropped there
	if err != nil {
		return errors.Join(err, r.g.SetStopped(i.Stopped))
	}
	_, err = n.ask(ctx, request{Drop: r.rec.ID, DropOf: &of})
	if err == nil {
		return nil
	}
	if errors.As(err, new(unanswered)) {
		// It has dropped it, or not, or will: it gets it back, and the command can be given again.
		n.tellAgain(r.rec.ID)
	}
	return errors.Join(err, r.g.SetStopped(i.Stopped))
}

// leftOutWithin is how long the other array's leaving may take: what it may have to decide
// alone passes to the owner only some seconds after a change of owner.
const leftOutWithin = 10 * time.Second

// leaveOther makes a group this array's alone, and keeps it so.
func (n *Node) leaveOther(r *running) error {
	if _, err := n.mayChange(r.rec.ID); err != nil {
		return err
	}
	if err := whileServed(r.g.Stop); err != nil { // it may be coming back from being alone
		return fmt.Errorf("leave the other array out: %w", err)
	}
	for end := time.Now().Add(leftOutWithin); ; time.Sleep(5 * time.Millisecond) {
		i, err := r.g.Info()
		if err != nil || i.Record.Members != array.Both {
			return err
		}
		if time.Now().After(end) {
			return array.Errorf(array.Unavailable, "group %s: the other array can't be left out now: neither it nor the witness gives its vote", r.rec.Name)
		}
	}
}

func dismissVV(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	// What the incumbent's words say is what happens without them: the volume stays here, and its
	// copy on the other array goes. Only a word of its own removes both.
	keeps := a.flags.Bool("keepvv", false, "")
	a.flags.BoolVar(keeps, "removevv", false, "")
	destroy, wait := a.flags.Bool("destroy", false, ""), a.flags.Bool("wait", false, "")
	if err := a.parse(2, 2); err != nil {
		return err
	}
	if *destroy && *keeps {
		return array.Errorf(array.Invalid, "dismissrcopyvv -destroy removes volume %s on both arrays, with -keepvv or -removevv it stays on the one that serves it: say which", a.rest[0])
	}
	r, err := n.findGroup(a.rest[1])
	if err != nil {
		return err
	}
	v, g, err := n.vv(a.rest[0])
	if o, is, e := n.joinsBy(a.rest[0], r.rec.ID); e != nil {
		return e
	} else if is { // whichever array has the volume
		v, g, err = o, r.rec, nil
	}
	switch {
	case err != nil:
		return err
	case v.Joins != nil && g.ID == r.rec.ID:
		return n.endsJoin(ctx, v, sure)
	case g.Name != a.rest[1] || g.Private:
		return array.Errorf(array.NotFound, "volume %s is not in Remote Copy group %s", v.Name, a.rest[1]).Because(array.NotInGroup)
	}
	if v.Of != 0 {
		return array.Errorf(array.Invalid, "%s is a snapshot: removevv removes it", v.Name).Because(array.IsSnapshot)
	}
	if !*destroy {
		where := "the copy of volume " + v.Name + " on array " + n.to().Name
		if !n.paired() {
			where = "volume " + v.Name + " from its group"
		}
		if err := sure("dismissrcopyvv removes %s; the volume stays on array %s, unprotected", where, n.cfg.Name); err != nil {
			return err
		}
		d, err := n.describe(r.rec.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(d.volumes(), func(o VV) bool { return o.ID != v.ID }) {
			return n.staysAlone(ctx, v, r)
		}
		id, err := n.staysBehind(a, v, r)
		if err == nil && *wait {
			n.waitStays(a, id, v.Name)
		}
		return err
	}
	if err := n.noCopy(g.ID); err != nil {
		return err
	}
	if err := n.mayRemove(v); err != nil {
		return err
	}
	if err := sure("dismissrcopyvv removes volume %s on both arrays, with its data", v.Name); err != nil {
		return err
	}
	return n.removeVVs(ctx, g.ID, []VV{v})
}

// groupToServe is command.of for the forms of setrcopygroup that concern the array that
// serves the group; the others are for the array that is asked.
func groupToServe(n *Node, words []string) *running {
	if len(words) < 3 || !slices.Contains([]string{"pol", "period", "mode", "switchover", "restore", "reverse", "recover"}, words[1]) {
		return nil
	}
	return lastGroup(n, words)
}

// isRescue reports whether a form of setrcopygroup is for when the other array is lost.
func isRescue(words []string) bool {
	return len(words) > 0 && (words[0] == "failover" || words[0] == "override")
}

// rightToServe: what may lose data takes more.
func rightToServe(words []string) people.Right {
	if len(words) == 0 {
		return people.Change
	}
	force := words[0] == "failover" && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(strings.TrimLeft(w, "-"), "f") && w[0] == '-' })
	if force || words[0] == "override" || words[0] == "discard" {
		return people.Force
	}
	return people.Change
}

func setRCGroup(n *Node, ctx context.Context, a *args) error {
	if len(a.rest) > 0 && !slices.Contains(serveVerbs(), a.rest[0]) {
		all := serveVerbs()
		return array.Errorf(array.Invalid, "setrcopygroup %.40q: want %s or %s; 'help setrcopygroup' says what they do", a.rest[0], strings.Join(all[:len(all)-1], ", "), all[len(all)-1])
	}
	if len(a.rest) < 2 {
		return a.parse(2, -1)
	}
	verb := a.rest[0]
	a.rest = a.rest[1:]
	force := a.flags.Bool("f", false, "")
	a.flags.Bool("waittask", false, "") // it always waits
	switch verb {
	case "pol":
		return n.setPolicy(ctx, a, force)
	case "period":
		return n.setPeriod(ctx, a)
	case "mode":
		return n.setMode(ctx, a, force)
	}
	target := a.flags.String("t", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[0])
	if err != nil {
		return err
	}
	if done, err := n.turnsFar(ctx, a, r, verb, *target, *force); done {
		return err
	}
	i, err := r.g.Info()
	if err != nil {
		return err
	}
	switch verb {
	case "switchover", "restore", "reverse":
		if verb == "restore" && r.rec.Home == n.cfg.SystemID && !i.Serving {
			return array.Errorf(array.Conflict, "group %s is at home on array %s, which does not serve it: %s", r.rec.Name, n.cfg.Name, cmp.Or(i.Reason, "the other array does")).Because(array.NotServed)
		}
		if verb == "restore" && r.rec.Home == n.cfg.SystemID {
			return array.Errorf(array.Conflict, "group %s is served by its home array already", r.rec.Name).Because(array.AtHome)
		}
		if r.rec.Period > 0 {
			if verb == "switchover" {
				return array.Errorf(array.Conflict, "group %s is periodic: 'setrcopygroup reverse %s' hands it over", r.rec.Name, r.rec.Name).Because(array.NotSynchronous)
			}
			a.waits("remote_copy_"+verb, r.rec.Name, func(ctx context.Context) error { return n.handOver(ctx, r) })
			return nil
		}
		return switchOver(ctx, r.g)
	case "failover":
		if r.rec.Period > 0 {
			return n.failoverPeriodic(ctx, a, r, i, *force)
		}
		if *force {
			return n.force(a, r, i, false)
		}
		if i.Serving {
			return array.Errorf(array.Conflict, "group %s is served here already", r.rec.Name).Because(array.Served)
		}
		a.waits("remote_copy_failover", r.rec.Name, func(ctx context.Context) error { return n.forceable(waitServed(ctx, r), r) })
		return r.g.Takeover()
	case "override":
		if !*force {
			return unconfirmed("override makes group %s writable on array %s without the other array's or the witness's vote; what only the other copy holds is lost", r.rec.Name, n.cfg.Name)
		}
		return n.force(a, r, i, true)
	case "discard":
		if !*force {
			return unconfirmed("discard gives up what array %s holds of group %s, and copies it anew from the other array", n.cfg.Name, r.rec.Name)
		}
		return n.discard(ctx, r)
	case "recover":
		if r.rec.Period > 0 {
			return n.recoverPeriodic(ctx, a, r)
		}
		return n.resume(ctx, r)
	}
	return array.Errorf(array.Internal, "setrcopygroup %s is not carried out", verb)
}
