// SPDX-License-Identifier: Apache-2.0

package group

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// rivals reports whether the other array answers and holds a record that keeps it from
// following this array's: a person has to choose. In a periodic group recover is that choice.
func (g *Group) rivals() bool {
	mine := g.m.Stored().Current
	return g.cfg.Policy.Period == 0 && g.contact && g.theirRecord.ID != 0 && g.theirRecord.Lineage < mine.Lineage && !g.theirRecord.Follows(mine, g.cfg.Self.Other())
}

// chooses names the command by which a person chooses between two lineages.
func (g *Group) chooses() string {
	if g.cfg.Policy.Period > 0 {
		return "'setrcopygroup recover " + g.cfg.Name + "' on the array that goes on makes the other one follow"
	}
	return "'setrcopygroup discard -f " + g.cfg.Name + "' on the array whose copy is to be given up"
}

// unforced says why a group is not forced while the other array answers, and what helps.
func (g *Group) unforced() error {
	if g.m.Reason() == arb.ReasonSplit {
		return array.Errorf(array.Conflict, "%s can't be forced: the other array can be reached and holds %v, a lineage of its own: 'setrcopygroup discard -f %s' here gives up the copy of this array; to keep it instead, stop the other array and say 'setrcopygroup override -f %s' here", g.what(), g.theirRecord, g.cfg.Name, g.cfg.Name)
	}
	return array.Errorf(array.Conflict, "%s can't be forced: the other array can be reached and holds %v: 'explain %s' shows why it is not served here", g.what(), g.theirRecord, g.cfg.Name)
}
