// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/table"
)

// DrillFact is a drill of a group on this array.
type DrillFact struct {
	Group     string
	Hosts     []string
	At, Ready time.Time
	// Volumes are the drill's, by what each was made from.
	Volumes []DrillVolume
}

// DrillVolume is one of its volumes.
type DrillVolume struct{ Of, Volume, Snapshot string }

// Drills returns those of this array, by group.
func (n *Node) Drills() (all []DrillFact, err error) {
	err = n.store.View(func(t *store.Tx) error {
		return tables.drills.Each(t, func(_ string, d drillOf) error {
			f := DrillFact{Group: d.Group, Hosts: d.Hosts, At: d.At, Ready: d.Ready}
			for _, p := range d.Parts {
				f.Volumes = append(f.Volumes, DrillVolume{p.Of, p.Volume, p.Snapshot})
			}
			all = append(all, f)
			return nil
		})
	})
	return all, err
}

func showDrill(n *Node, _ context.Context, a *args) error {
	if err := a.parse(0, -1); err != nil {
		return err
	}
	all, err := a.view().Drills()
	if err != nil {
		return err
	}
	t := table.New("Group", "State", "AsOf", "VV", "DrillVV", "Hosts")
	found := map[string]bool{}
	for _, d := range all {
		if len(a.rest) > 0 && !a.names(d.Group, found) {
			continue
		}
		state := "ready"
		if d.Ready.IsZero() {
			state = "unfinished"
		}
		hosts := strings.Join(d.Hosts, ",")
		if hosts == "" {
			hosts = "-"
		}
		for _, v := range d.Volumes {
			t.Row(d.Group, state, d.At.Format(time.RFC3339), v.Of, v.Volume, hosts)
		}
	}
	for _, w := range a.rest {
		if !found[w] {
			return array.Errorf(array.NotFound, "group matching %.40s has no drill on array %s", w, n.cfg.Name)
		}
	}
	a.table(t)
	return nil
}
