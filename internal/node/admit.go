// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

func admitVV(n *Node, ctx context.Context, a *args) error {
	create := a.flags.Bool("createvv", false, "")
	size := a.flags.String("size", "", "")
	cpg := a.flags.String("cpg", "", "")
	wait := a.flags.Bool("wait", false, "")
	how := storingFlags(a)
	if err := a.parse(2, 3); err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[1])
	if err != nil {
		return err
	}
	if *wait {
		if err := n.mayGetInSync(r); err != nil {
			return err
		}
	}
	name := a.rest[0]
	if len(a.rest) > 2 {
		if err := n.sameThere(name, a.rest[2]); err != nil {
			return err
		}
	}
	if set, is := strings.CutPrefix(name, "set:"); is {
		if !*create || *size != "" {
			return array.Errorf(array.Invalid, "admitrcopyvv %s: want -createvv, and no -size: the volumes of a set exist", name)
		}
		joins, err := n.admitSet(ctx, a, set, r.rec.Name)
		if err == nil && *wait {
			n.waitAdmitted(a, append(joins, r.rec.Name)[0], r.rec.Name, joins)
		}
		return err
	}
	v, g, err := n.vv(name)
	if a.by.Over == overTask && *size == "" && err != nil {
		return err // it was there when the command was given first
	} else if err == nil {
		if begun, err := n.begunBefore(a, v, g, r); err != nil || begun {
			return err
		}
	}
	switch {
	case !*create && err != nil && array.ReasonOf(err) == array.NoVolume && !n.onlyThere(ctx, name):
		return array.Errorf(array.NotFound, "volume %s does not exist: 'admitrcopyvv -createvv -size <size> %s %s' makes it, with its copy", name, name, r.rec.Name).Because(array.NoVolume)
	case !*create && (err != nil || g.Private):
		return array.Errorf(array.Invalid, "admitrcopyvv: volume %s has no copy on the target: say -createvv", name)
	case err == nil && !g.Private:
		return array.Errorf(array.Conflict, "volume %s is in Remote Copy group %s already", name, g.Name).Because(array.InOtherGroup)
	case err == nil && *size != "":
		return array.Errorf(array.Exists, "volume %s exists already, with %d MiB: leave -size out to admit it", name, v.Size>>20).Because(array.VolumeExists)
	case err == nil && n.inUse(v):
		joins, err := n.admitUsed(ctx, a, v, r)
		if err != nil || !*wait {
			return err
		}
		var all []string
		if joins {
			all = []string{name}
		}
		n.waitAdmitted(a, name, r.rec.Name, all)
		return nil
	case err == nil:
		if e := n.mayAdmit(ctx, v, r.rec.ID); e != nil {
			return e
		}
	case n.onlyThere(ctx, name):
		return n.elsewhereAlone(name, r.rec.Name)
	case *size == "":
		return array.Errorf(array.NotFound, "volume %s does not exist: create it, or say -size", name).Because(array.NoVolume)
	default:
		v = VV{Name: name, CPG: *cpg}
		if v.CPG == "" {
			if v.CPG, err = n.firstCPG(r.rec.Name); err != nil {
				return err
			}
		}
		if v.Size, err = parseSize(*size); err != nil {
			return in("volume", name, err)
		}
		if err := how.of(&v); err != nil {
			return err
		}
		if !validName(name) {
			return array.Errorf(array.Invalid, "volume name %q: %s", name, nameWanted)
		}
		if n.cpgs[v.CPG] == nil {
			return n.noCPG(v.CPG)
		}
		if err := n.roomFor(v); err != nil {
			return err
		}
		if err := n.mayTakeThere(ctx, v, r.rec.ID); err != nil {
			return err
		}
	}
	was, existed := v, v.ID != 0
	err = n.changeGroupOr(ctx, r.rec.ID, func(t *store.Tx) error {
		if existed {
			if err := giveWay(t, was); err != nil {
				return err
			}
		}
		if err := n.nameFree(t, v.Name); !existed && err != nil {
			return err
		}
		id, err := n.nextID(t)
		if err != nil {
			return err
		}
		v.ID, v.Group = array.MakeVolumeID(n.cfg.SystemID, id), r.rec.ID
		return tables.vvs.Put(t, store.Key(uint64(v.ID)), v)
	}, func(t *store.Tx) error {
		if !existed {
			return nil
		}
		// It is still open, and stays what it was.
		if err := tables.vvs.Put(t, store.Key(uint64(was.ID)), was); err != nil {
			return err
		}
		if err := tables.remains.Delete(t, store.Key(uint64(was.Group))); err != nil {
			return err
		}
		return groupsPut(t, g)
	})
	if err == nil && existed {
		n.closeGroup(was.Group)
		err = n.finishDrop(was.Group)
	}
	if err == nil && *wait {
		n.waitAdmitted(a, name, r.rec.Name, nil)
	}
	return err
}

// sameThere takes the word of the incumbent that says the target and what a volume, or a set,
// is called there, if it says what is so without it.
func (n *Node) sameThere(name, word string) error {
	target, there, _ := strings.Cut(word, ":")
	switch {
	case !n.paired() || target != n.to().Name && target != n.cfg.Name: // the one was asked, the other serves
		want := "the array has no target"
		if n.paired() {
			want = "want " + n.to().Name + ":" + name
		}
		return array.Errorf(array.NotFound, "admitrcopyvv %s: target %.40q is no array of the pair: %s", name, target, want).Because(array.NoTarget)
	case there != name:
		return array.Errorf(array.Invalid, "admitrcopyvv %s: a volume has the same name on both arrays: want %s:%s, or leave that out", name, target, name)
	}
	return nil
}

// groupAdmittedTo is command.of for admitrcopyvv, which may name the target after the group.
func groupAdmittedTo(n *Node, words []string) *running {
	if k := len(words) - 1; k > 0 && strings.Contains(words[k], ":") {
		words = words[:k]
	}
	return lastGroup(n, words)
}

// onlyThere reports whether the other array has a volume of a name that this one has not.
func (n *Node) onlyThere(ctx context.Context, name string) bool {
	if !n.reachable() || !validName(name) {
		return false
	}
	v := VV{ID: array.MakeVolumeID(n.cfg.SystemID, 0), Name: name, CPG: n.cfg.CPGs[0].Name} // nobody's
	_, err := n.ask(ctx, request{Check: &Description{VVs: []VV{v}}})
	return array.ReasonOf(err) == array.VolumeOnTarget
}

// mayAdmit says what keeps a volume that exists already out of a group: it is made
// anew there, so nothing may be lost with it, and nothing may go wrong after it is gone.
func (n *Node) mayAdmit(ctx context.Context, v VV, to array.GroupID) error {
	if err := n.notJoining(v); err != nil {
		return err
	}
	if err := n.unwritten(v); err != nil {
		return err
	}
	if err := n.mayRemove(v); err != nil {
		return err
	}
	if _, err := n.mayChange(to); err != nil {
		return err
	}
	return n.mayTakeThere(ctx, v, to)
}

// inUse reports whether a volume of this array's own is in use, and so can't be made anew in a
// group: hosts have written to it or see it, or it is in a set.
func (n *Node) inUse(v VV) bool {
	own := n.running(v.Group)
	if own == nil {
		return false
	}
	if used, err := n.holdsData(own, v); err != nil || used {
		return err == nil
	}
	seen, err := n.exported(v)
	return err == nil && (seen || len(v.Sets) > 0)
}

// unwritten refuses a volume that has something of its own.
func (n *Node) unwritten(v VV) error {
	own := n.running(v.Group)
	if own == nil {
		return array.Errorf(array.Internal, "volume %s is not open", v.Name)
	}
	used, err := n.holdsData(own, v)
	if err != nil {
		return err
	}
	if used {
		return array.Errorf(array.Conflict, "volume %s is in use: it can be the first volume of a group, by creatercopygroup and admitrcopyvv", v.Name).Because(array.Written)
	}
	if v.Base != 0 {
		return array.Errorf(array.Conflict, "volume %s was made from a snapshot, which the other array may not have", v.Name).Because(array.HasSnapshots)
	}
	return nil
}

// holdsData reports whether hosts have written to a volume. Its log alone does not say so:
// each start of the array adds to it.
func (n *Node) holdsData(own *running, v VV) (used bool, err error) {
	i, err := own.g.Info()
	if err != nil || i.End.Place <= 1 {
		return false, err
	}
	p := n.cpgs[v.CPG]
	if p == nil || p.Volume(v.ID) == nil {
		return false, array.Errorf(array.Internal, "volume %s is not open", v.Name)
	}
	if err := p.Flush(v.Group); err != nil {
		return false, fmt.Errorf("volume %s: %w", v.Name, err)
	}
	err = p.Volume(v.ID).ChangedSince(0, 0, func(int64, array.Place) bool { used = true; return false })
	return used, err
}

// mayTakeThere asks the other array what keeps it from a new volume of a group.
func (n *Node) mayTakeThere(ctx context.Context, v VV, to array.GroupID) error {
	if !n.reachable() {
		return nil
	}
	v.ID, v.Group = array.MakeVolumeID(n.cfg.SystemID, 0), to // nobody's yet
	_, err := n.ask(ctx, request{Check: &Description{VVs: []VV{v}}})
	return err
}
