// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

func copyCommands() []command {
	return []command{
		{
			name: "createvvcopy", right: people.Change, usage: "createvvcopy -p <parent> [-s] [-b] [-online [-tpvv|-full|-tdvv] [-compr] <cpg>] <dest> | -halt <dest>",
			about: "writes what a volume or snapshot is now to another volume, which is as large and not exported, or with -online to a new one; -s keeps the snapshot made for it, -b waits, -halt ends it",
			of:    groupOfCopy, run: createVVCopy,
		},
	}
}

// groupOfCopy is command.of for createvvcopy. Waiting is done by the array that is asked.
func groupOfCopy(n *Node, words []string) *running {
	if slices.Contains(words, "-b") {
		return nil
	}
	return groupOfLastVolume(n, words)
}

func createVVCopy(n *Node, ctx context.Context, a *args) error {
	words := append([]string{a.cmd.name}, a.rest...)
	parent, keep, wait := a.flags.String("p", "", ""), a.flags.Bool("s", false, ""), a.flags.Bool("b", false, "")
	halt, online := a.flags.Bool("halt", false, ""), a.flags.Bool("online", false, "")
	how := storingFlags(a)
	if err := a.parse(1, 2); err != nil {
		return err
	}
	dest := a.rest[len(a.rest)-1]
	switch {
	case *online != (len(a.rest) == 2):
		return array.Errorf(array.Invalid, "createvvcopy: want the new volume's CPG with -online, and only then; usage: %s", a.cmd.usage)
	case *halt && (*parent != "" || *keep || *wait || *online):
		return array.Errorf(array.Invalid, "createvvcopy: -halt goes with no other option")
	case *halt:
		return n.haltCopy(ctx, a, dest)
	case *parent == "":
		return array.Errorf(array.Invalid, "createvvcopy: want -p <parent>, what is to be copied; usage: %s", a.cmd.usage)
	case *wait:
		words = slices.DeleteFunc(words, func(w string) bool { return w == "-b" })
		a.then = func(ctx context.Context) error {
			text, err := n.Do(ctx, Asked{By: a.by, Words: words}) // that has a task
			a.printf("%s", text)
			if err != nil {
				return err
			}
			text, err = n.waitCopy(ctx, dest, a.tell)
			a.printf("%s", text)
			return err
		}
		return nil
	}
	if *online {
		if err := n.createForCopy(a.rest[0], dest, *parent, how); err != nil {
			return err
		}
	}
	err := n.beginCopy(ctx, dest, *parent, *keep)
	if err != nil && *online {
		if v, g, e := n.vv(dest); e == nil && g.Private {
			err = errors.Join(err, n.dropGroup(v.Group))
		}
	}
	if err != nil {
		return err
	}
	a.printf("Copy was started. child = %s, parent = %s", dest, *parent)
	// It goes on without a task too, where there are too many of them.
	if f, err := n.startCopyTask(a, dest); err != nil {
		n.warn(fmt.Sprintf("the copy to volume %s has no task: %v", dest, err))
	} else {
		a.printf(", task ID = %d", f.ID)
	}
	a.printf("\n")
	return nil
}

// createForCopy makes a volume of this array's own to copy to.
func (n *Node) createForCopy(cpg, dest, parent string, how storing) error {
	p, _, err := n.vv(parent)
	if err != nil {
		return err
	}
	v := VV{Name: dest, CPG: cpg, Size: p.Size}
	if err := how.of(&v); err != nil {
		return err
	}
	return n.createVolume(v)
}

// beginCopy makes it durable, on both arrays, that a volume is to become a copy.
func (n *Node) beginCopy(ctx context.Context, dest, parent string, keep bool) error {
	d, _, err := n.vv(dest)
	if array.ReasonOf(err) == array.NoVolume {
		return array.Errorf(array.NotFound, "volume %s does not exist: 'createvvcopy -p %s -online <cpg> %s' makes it", dest, parent, dest).Because(array.NoVolume)
	}
	if err != nil {
		return err
	}
	p, _, err := n.vv(parent)
	if array.ReasonOf(err) == array.NoVolume {
		return array.Errorf(array.NotFound, "volume %s does not exist: there is nothing to copy", parent).Because(array.NoVolume)
	}
	if err != nil {
		return err
	}
	c := Copying{State: copyRuns, Parent: p.ID, Name: p.Name, Keep: keep}
	switch {
	case d.Of != 0:
		return array.Errorf(array.Invalid, "%s is a read-only snapshot, which never changes", dest).Because(array.IsSnapshot)
	case d.ID == p.ID:
		return array.Errorf(array.Invalid, "volume %s can't be copied to itself", parent)
	case p.Of == d.ID:
		return array.Errorf(array.Invalid, "%s can't be copied to %s, which it is of: promotesv makes a volume what its snapshot is", parent, dest)
	case d.Size < p.Size:
		return array.Errorf(array.Invalid, "volume %s has %d MiB, too little for the %d of %s", dest, d.Size>>20, p.Size>>20, parent).Because(array.TooLarge)
	case p.Joins != nil || p.Stays != nil:
		return n.notJoining(p)
	case p.Copy.partial():
		return array.Errorf(array.Conflict, "volume %s is not a whole copy itself", parent).Because(array.Copied)
	case p.Taking != 0:
		return array.Errorf(array.Conflict, "volume %s is being promoted", parent).Because(array.Copied)
	case n.awaits(p):
		return array.Errorf(array.NotFound, "snapshot %s is not on array %s", parent, n.cfg.Name)
	case p.Of == 0:
		c.Snapshot = fmt.Sprintf("vvcp.%d.%08x", n.VolumeNumber(d.ID), uint32(nonce()>>32))
	case keep:
		return array.Errorf(array.Invalid, "%s is a snapshot, of which no other is made: leave -s out", parent)
	}
	err = n.changeGroup(ctx, d.Group, func(t *store.Tx) error {
		v, ok, err := tables.vvs.Get(t, store.Key(uint64(d.ID)))
		switch {
		case err != nil || !ok:
			return orElse(err, array.Errorf(array.NotFound, "volume %s does not exist", dest).Because(array.NoVolume))
		case v.Copy.underWay():
			return array.Errorf(array.Conflict, "volume %s is being made a copy of %s already", dest, v.Copy.Name).Because(array.Copied)
		case v.Taking != 0:
			return array.Errorf(array.Conflict, "volume %s is being promoted", dest).Because(array.Copied)
		}
		if err := notExported(t, v); err != nil {
			return err
		}
		if err := notJoining(t, v); err != nil {
			return err
		}
		if v.Copy = c; p.Of != 0 {
			v.Taking = p.ID
		}
		return tables.vvs.Put(t, store.Key(uint64(v.ID)), v)
	})
	if err == nil {
		n.copies.wake()
	}
	return err
}

// haltCopy ends a copy. The volume then holds part of it.
func (n *Node) haltCopy(ctx context.Context, a *args, dest string) error {
	v, _, err := n.vv(dest)
	if err != nil {
		return err
	}
	err = n.changeVV(ctx, v, func(v *VV) error {
		if v.Copy.State != copyRuns {
			return array.Errorf(array.NotFound, "no copy to volume %s is under way", dest).Because(array.NoCopy)
		}
		v.endCopy(errors.New("it was halted"))
		return nil
	})
	if err != nil {
		return err
	}
	n.copies.wake()
	if r := n.copies.run(v.ID); r != nil {
		a.then = func(ctx context.Context) error {
			r.stop()
			select {
			case <-r.ended:
				n.copies.wake()
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// waitCopyEvery is how often a copy that is waited for is looked at.
const waitCopyEvery = 100 * time.Millisecond

// The phases of a copy.
const (
	phaseSnapshot = 1 + iota
	phasePages
	phaseClean
	copyPhases = phaseClean
)

// waitCopy returns when a copy is whole, or says why it is not.
func (n *Node) waitCopy(ctx context.Context, dest string, tell func(progress.Step)) (string, error) {
	m, parent := progress.NewMeter("copy to volume "+dest, tell), ""
	for {
		v, _, err := n.vv(dest)
		if err == nil && v.Copy.State != "" {
			parent = v.Copy.Name
		}
		switch {
		case err != nil:
			return "", err
		case v.Copy.State == copyFailed:
			return "", array.Errorf(array.Aborted, "volume %s is no whole copy of %s: %s", dest, v.Copy.Name, v.Copy.Why)
		case v.Copy.State == "":
			if parent == "" {
				return fmt.Sprintf("volume %s is a whole copy\n", dest), nil
			}
			return fmt.Sprintf("volume %s is a whole copy of %s\n", dest, parent), nil
		}
		r := n.copies.run(v.ID) // nil: it is carried out by the other array, or waits
		switch {
		case v.Copy.State == copyEnds:
			m.Phase(phaseClean, copyPhases)
		case r != nil && r.size.Load() > 0:
			m.Phase(phasePages, copyPhases)
		default:
			m.Phase(phaseSnapshot, copyPhases)
		}
		if r != nil {
			m.At(r.done.Load(), r.size.Load(), r.done.Load(), "")
		} else {
			m.At(0, 0, 0, "")
		}
		if !pause(ctx, waitCopyEvery) {
			return "", ctx.Err()
		}
	}
}
