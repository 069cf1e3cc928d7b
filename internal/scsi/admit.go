// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/reservation"
)

// Prepare checks the command up to where it needs its data, and returns how many
// bytes those are. If ok is false Execute must not be called: Done comes or came.
func (n *Nexus) Prepare(c *Command) (want int, ok bool) {
	c.nexus = n
	c.desc = n.server.table.find(&c.CDB)
	if number, valid := DecodeLUN(c.LUN); valid {
		c.bound = n.bind(number)
	}
	if c.bound == nil {
		c.withoutUnit()
		return 0, false
	}
	c.unit, c.resets = c.bound.lu.unit, c.bound.lu.resets.Load()
	if err := c.admit(); err != nil {
		c.end(err)
		return 0, false
	}
	c.bound.tasks.enter(c)
	if c.desc.decode != nil {
		if err := c.desc.decode(c); err != nil {
			c.refuse(err)
			return 0, false
		}
		c.Moves = max(c.Moves, c.want)
	}
	if ok, gen := c.allowed(c.unit.Reservations()); !ok {
		c.refuse(array.Errorf(array.Reserved, "reserved"))
		return 0, false
	} else if c.want == 0 {
		c.start(gen)
		return 0, false
	}
	return c.want, true
}

// admit checks what comes before rights: attentions, the command's existence, the
// path's state.
func (c *Command) admit() error {
	if c.desc == nil || !c.desc.quiet {
		if code, ok := c.bound.attention(); ok {
			return sensed{UnitAttention, code}
		}
	}
	if c.desc == nil {
		if c.nexus.server.table.known(c.CDB[0]) {
			return badCDB() // the operation exists, the service action doesn't
		}
		return sensed{IllegalRequest, invalidOpcode}
	}
	if c.CDB[c.desc.length-1]&0x04 != 0 {
		return badCDB() // NACA isn't supported
	}
	if c.desc.writes && c.unit.Identity().ReadOnly {
		return array.Errorf(array.Denied, "the unit is read-only")
	}
	return pathError(c.unit.Paths(c.nexus.Initiator).at(c.nexus.port).State, c.desc.when)
}

// pathError judges whether a command that needs when may run on a path in state s.
func pathError(s PathState, when readiness) error {
	switch s {
	case Optimized, NonOptimized, Transitioning:
		// During a transition the unit holds the command; reporting it would cost
		// Linux hosts two seconds.
		return nil
	case Standby:
		if when >= onStandby {
			return nil
		}
		return array.Errorf(array.Standby, "the path is in standby")
	case Lost:
		if when == always {
			return nil
		}
		return array.Errorf(array.NotFound, "the unit is served by the other array alone")
	}
	if when == always {
		return nil
	}
	return array.Errorf(array.Unavailable, "the path is unavailable")
}

// allowed checks rights, and returns the revision they were checked under.
func (c *Command) allowed(r *reservation.State) (bool, uint64) {
	return r.Allows(c.nexus.Nexus, c.desc.access), r.Revision
}
