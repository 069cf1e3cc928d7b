// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/volume"
)

// defaultRate is how many MiB a second a command reads at most that says nothing else.
const defaultRate = 100

func integrityCommands() []command {
	return []command{
		{name: "verify", right: people.Maintain, usage: "verify <group> [-rate <MiB/s>]", about: "compares both copies of a group, while hosts go on, and repairs what is damaged on one side", run: verify},
		{name: "scrub", right: people.Maintain, usage: "scrub [-rate <MiB/s>]", about: "reads all of this array's pages and repairs from the other array what is damaged", run: scrubNow},
	}
}

// rateOf returns the flag's value in bytes.
func rateOf(a *args, mib *int64) (int64, error) {
	if *mib < 1 || *mib > maxMiB {
		return 0, array.Errorf(array.Invalid, "%s: -rate %d: want a number of MiB a second from 1 to %d", a.cmd.name, *mib, maxMiB)
	}
	return *mib << 20, nil
}

func verify(n *Node, _ context.Context, a *args) error {
	mib := a.flags.Int64("rate", defaultRate, "")
	if len(a.rest) > 1 && !strings.HasPrefix(a.rest[0], "-") { // the group comes first
		a.rest = append(slices.Clone(a.rest[1:]), a.rest[0])
	}
	if err := a.parse(1, 1); err != nil {
		return err
	}
	rate, err := rateOf(a, mib)
	if err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[0])
	if err != nil {
		return err
	}
	if err := n.comparable(r); err != nil {
		return err
	}
	a.waits("check_vv", r.rec.Name, func(ctx context.Context) error {
		m := progress.NewMeter("verify group "+r.rec.Name, a.tell)
		v, err := r.g.Verify(ctx, rate, func(v group.Verified) { m.At(v.Done, v.Total, v.Pages*block.Page, verifiedText(v)) })
		if err != nil {
			return fmt.Errorf("verify group %s: %w", r.rec.Name, err)
		}
		text := fmt.Sprintf("group %s was verified: %s", r.rec.Name, verifiedText(v))
		n.verified(r.rec.Name, v, text)
		a.printf("%s\n", text)
		if v.Different+v.Damaged > 0 {
			return array.Errorf(array.Medium, "the copies of group %s are not alike: 'showeventlog' says where", r.rec.Name)
		}
		return nil
	})
	return nil
}

// comparable refuses a group whose copies are not of the same state.
func (n *Node) comparable(r *running) error {
	f, err := n.Group(r.rec.Name)
	switch {
	case err != nil:
		return err
	case f.Period != 0:
		return array.Errorf(array.Conflict, "group %s is copied every %s: its copy is of an older state, and only copies in sync can be compared", f.Name, periodText(f.Period)).Because(array.NotSynced)
	case f.Sync != "Synced":
		return array.Errorf(array.Conflict, "group %s is not in sync: only copies in sync can be compared", f.Name).Because(array.NotSynced)
	}
	return nil
}

// verified tells what a comparison found. That copies are not alike lasts until another one
// finds that they are, or there is no such group any more.
func (n *Node) verified(group string, v group.Verified, text string) {
	c := event.Condition{Kind: kindCopies, Object: group}
	switch {
	case v.Different+v.Damaged > 0:
		n.raise(c, event.Major, fmt.Sprintf("the copies of group %s are not alike: %s; events say where, and 'verify %s' whether they are again", group, verifiedText(v), group))
		n.event(text)
	case !n.over(c, text):
		n.event(text)
	}
}

// lookAtCopies ends the alerts of groups that are gone.
func (n *Node) lookAtCopies() {
	for _, x := range n.alerts.All() {
		if x.Kind != kindCopies || !x.Ended.IsZero() {
			continue
		}
		if _, err := n.findGroup(x.Object); array.ReasonOf(err) == array.NoGroup {
			n.over(x.Condition, "there is no group "+x.Object+" any more")
		}
	}
}

func verifiedText(v group.Verified) string {
	return fmt.Sprintf("%d pages compared, %d different, %d repaired, %d damaged, %d written all the time", v.Pages, v.Different, v.Repaired, v.Damaged, v.Unsettled)
}

func scrubNow(n *Node, _ context.Context, a *args) error {
	mib := a.flags.Int64("rate", defaultRate, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	rate, err := rateOf(a, mib)
	if err != nil {
		return err
	}
	a.waits("scrub", n.cfg.Name, func(ctx context.Context) error {
		for _, c := range n.cfg.CPGs {
			if err := n.scrubCPG(ctx, a, n.scrubs[c.Name], rate); err != nil {
				return fmt.Errorf("scrub CPG %s: %w", c.Name, err)
			}
		}
		return nil
	})
	return nil
}

// scrubCPG makes one whole pass in the place of the one in the background.
func (n *Node) scrubCPG(ctx context.Context, a *args, s *scrubber, rate int64) error {
	s.mu.Lock()
	if s.yield != nil {
		s.yield()
	}
	s.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, 2*healTries*healEvery)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
	case <-wait.Done():
		return array.Errorf(array.Conflict, "it is being scrubbed already")
	}
	defer func() { <-s.turn }()
	s.mu.Lock()
	s.state.At = volume.Cursor{}
	s.mu.Unlock()
	m := progress.NewMeter("scrub CPG "+s.name, a.tell)
	total := s.pool.Capacity().Written / block.Page
	f, err := n.scrub(ctx, s, rate, func(f found) { m.At(f.Pages, max(total, f.Pages), f.Pages*block.Page, f.String()) })
	if err != nil {
		return err
	}
	a.printf("CPG %s was scrubbed: %v\n", s.name, f)
	if f.Repaired < f.Damaged {
		return array.Errorf(array.Medium, "%d pages could not be repaired: 'showeventlog' says which", f.Damaged-f.Repaired)
	}
	return nil
}
