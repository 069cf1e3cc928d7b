// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/reservation"
)

// runReserveIn is PERSISTENT RESERVE IN.
func runReserveIn(c *Command) {
	c.step(func(op *Op) {
		c.unit.Inspect(op, func(f Facts, err error) {
			if err != nil {
				c.end(err)
				return
			}
			r := f.Reservations
			if !r.Allows(c.nexus.Nexus, reservation.Persistent) {
				c.end(array.Errorf(array.Reserved, "a legacy reservation is held"))
				return
			}
			var out []byte
			switch actionOf(&c.CDB) {
			case 0:
				out = r.ReadKeys()
			case 1:
				out = r.ReadReservation()
			case 2:
				out = r.Capabilities()
			default:
				out = r.FullStatus()
			}
			c.reply(out, int(binary.BigEndian.Uint16(c.CDB[7:])))
		})
	})
}

// decodeReserveOut checks the length of PERSISTENT RESERVE OUT's parameter list.
func decodeReserveOut(c *Command) error {
	n := binary.BigEndian.Uint32(c.CDB[5:])
	if n < 24 || n > maxParameterBytes {
		return badListLen()
	}
	c.want = int(n)
	return nil
}

// runReserveOut is PERSISTENT RESERVE OUT.
func runReserveOut(c *Command) {
	req, err := c.reserveRequest(c.Out.Bytes())
	if err != nil {
		c.end(err)
		return
	}
	c.step(func(op *Op) {
		c.unit.Reserve(op, req, func(err error) { c.end(reserveOutcome(err)) })
	})
}

// reserveOutcome gives the errors of reservation.State.Apply their own sense.
func reserveOutcome(err error) error {
	if err == nil {
		return nil
	}
	switch array.KindOf(err) {
	case array.Invalid:
		return badList()
	case array.Conflict:
		return sensed{IllegalRequest, invalidRelease}
	case array.Full:
		return sensed{IllegalRequest, registrationResources}
	}
	return err
}

// reserveRequest reads the parameter list p, of at least 24 bytes.
func (c *Command) reserveRequest(p []byte) (reservation.Request, error) {
	const specIPT, allTGPT, aptpl = 0x08, 0x04, 0x01
	req := reservation.Request{
		Action: reservation.Action(actionOf(&c.CDB)),
		Nexus:  c.nexus.Nexus,
		Key:    binary.BigEndian.Uint64(p),
		NewKey: binary.BigEndian.Uint64(p[8:]),
		Type:   reservation.Type(c.CDB[2] & 0x0F),
	}
	switch req.Action {
	case reservation.RegisterMove:
		return c.moveRequest(req, p)
	case reservation.Register, reservation.RegisterIgnore:
		req.APTPL = p[20]&aptpl != 0
		if p[20]&allTGPT != 0 {
			for _, g := range c.unit.Paths(c.nexus.Initiator).Groups {
				req.Ports = append(req.Ports, g.Ports...)
			}
		}
		if p[20]&specIPT != 0 {
			names, err := transportIDs(p[24:])
			if err != nil || req.Action == reservation.RegisterIgnore {
				return req, badList()
			}
			req.Initiators = names
			return req, nil
		}
	default:
		if c.CDB[2]>>4 != 0 && req.Action != reservation.Clear {
			return req, badCDB() // scopes other than the unit are obsolete
		}
		if p[20]&(specIPT|allTGPT) != 0 {
			return req, badList()
		}
	}
	if len(p) != 24 {
		return req, badListLen()
	}
	return req, nil
}

// moveRequest reads REGISTER AND MOVE's own parameter list.
func (c *Command) moveRequest(req reservation.Request, p []byte) (reservation.Request, error) {
	const unreg, aptpl = 0x02, 0x01
	req.APTPL, req.Unregister = p[17]&aptpl != 0, p[17]&unreg != 0
	port, n, ok := reservation.ParseTransportID(p[24:])
	if uint64(binary.BigEndian.Uint32(p[20:])) != uint64(len(p)-24) {
		return req, badListLen()
	}
	if !ok || n != len(p)-24 {
		return req, badList()
	}
	req.MoveTo = reservation.Nexus{Initiator: port, Port: binary.BigEndian.Uint16(p[18:])}
	for _, g := range c.unit.Paths(c.nexus.Initiator).Groups {
		for _, id := range g.Ports {
			if id == req.MoveTo.Port {
				return req, nil
			}
		}
	}
	return req, badList() // no such target port on either array
}

// transportIDs reads SPEC_I_PT's list of initiator ports.
func transportIDs(p []byte) ([]string, error) {
	if len(p) < 4 || uint64(binary.BigEndian.Uint32(p)) != uint64(len(p)-4) {
		return nil, badListLen()
	}
	var names []string
	for p = p[4:]; len(p) > 0; {
		name, n, ok := reservation.ParseTransportID(p)
		if !ok || len(names) >= reservation.MaxRegistrations {
			return nil, badList()
		}
		names = append(names, name)
		p = p[n:]
	}
	return names, nil
}

// runReserve6 is RESERVE(6) and RELEASE(6) of SPC-2, for the whole unit.
func runReserve6(c *Command) {
	const thirdPartyOrExtent = 0x1F
	if c.CDB[1]&thirdPartyOrExtent != 0 {
		c.end(badCDB())
		return
	}
	action := reservation.LegacyReserve
	if c.CDB[0] == 0x17 {
		action = reservation.LegacyRelease
	}
	c.step(func(op *Op) {
		req := reservation.Request{Action: action, Nexus: c.nexus.Nexus}
		c.unit.Reserve(op, req, func(err error) { c.end(reserveOutcome(err)) })
	})
}
