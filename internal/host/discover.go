// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

const (
	maxUnits      = 256 // of one path
	maxParameter  = 8192
	maxAttentions = 16 // unit attentions in a row
)

// A lane is a path as one disk's: I_T_L nexus.
type lane struct {
	path  *path
	disk  *Disk
	conn  *initiator.Conn
	lun   uint64
	group uint16 // target port group of the path's port
	// Guarded by disk.mu. A state is in doubt after a command was refused there, until
	// it is read: answers overtake each other.
	state State
	doubt bool
	stale bool // a command was told that its units, or their sizes, changed
}

// discover finds the units behind a connection.
func (p *path) discover(c *initiator.Conn) ([]*lane, error) {
	r, _ := ask(c, 0, []byte{0xA0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0}, maxParameter)
	if r.Err != nil || r.Status != 0 {
		return nil, failure("REPORT LUNS", r)
	}
	luns, err := parseLUNs(r.In)
	if err != nil {
		return nil, err
	}
	var out []*lane
	for _, lun := range luns {
		u, err := p.identify(c, lun)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// identify reads which disk a unit is.
func (p *path) identify(c *initiator.Conn, lun uint64) (*lane, error) {
	r, _ := ask(c, lun, []byte{0x12, 1, 0x83, 0x10, 0, 0}, 4096)
	if r.Err != nil || r.Status != 0 {
		return nil, failure("INQUIRY page 83", r)
	}
	wwn, group, err := parseDesignators(r.In)
	if err != nil {
		return nil, err
	}
	r, _ = ask(c, lun, []byte{0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}, 32)
	d := p.host.disk(wwn)
	switch {
	case r.Err != nil:
		return nil, failure("READ CAPACITY", r)
	case r.Status == 0:
		size, err := parseCapacity(r.In)
		if err != nil {
			return nil, err
		}
		d.setSize(size)
	case r.Code()>>16 != keyNotReady: // an unavailable port need not know the size
		return nil, failure("READ CAPACITY", r)
	}
	return &lane{path: p, disk: d, conn: c, lun: lun, group: group, state: Down}, nil
}

// check asks every unit of a connection whether it is ready, which shows whether the
// path works and what the array has to tell, and reads the states where needed.
func check(c *initiator.Conn, units []*lane) error {
	if len(units) == 0 { // nobody can be told of a first one
		return errRescan
	}
	for _, u := range units {
		r, told := ask(c, u.lun, make([]byte, 6), 0) // TEST UNIT READY
		_, down, _ := judge(r)
		state, doubt, stale := u.disk.state(u)
		switch {
		case r.Err != nil:
			return failure("TEST UNIT READY", r)
		case told.units || stale || r.Code() == codeNoUnit:
			return errRescan
		case told.states || doubt || down != 0 && down != state:
			if err := readStates(c, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// readStates reads the states of all ports of one unit. As in Linux, what an array
// says of the other array's ports counts like what it says of its own, and the newest
// word on each port wins: an array that was cut off doesn't know that it lost, but
// the other one does.
func readStates(c *initiator.Conn, u *lane) error {
	u.disk.asks(u)
	r, _ := ask(c, u.lun, []byte{0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0}, maxParameter)
	if r.Err != nil || r.Status != 0 {
		if r.Err == nil && r.Code() == codeNoUnit {
			return errRescan
		}
		return failure("REPORT TARGET PORT GROUPS", r)
	}
	states, err := parseGroups(r.In)
	if err != nil {
		return err
	}
	if _, ok := states[u.group]; !ok {
		return fmt.Errorf("REPORT TARGET PORT GROUPS: nothing about group %d, which is this port's", u.group)
	}
	u.disk.setStates(u, states)
	return nil
}

// told is what unit attentions said.
type told struct {
	states bool // the states of ports changed
	units  bool // there are other units now
}

// ask runs a command of the host's own; unit attentions are only in its way.
func ask(c *initiator.Conn, lun uint64, cdb []byte, in int) (r initiator.Result, t told) {
	for range maxAttentions {
		r = c.Do(initiator.Command{LUN: lun, CDB: cdb, In: in})
		if r.Err != nil || r.Status != statusCheck || r.Code()>>16 != keyAttention {
			return r, t
		}
		// As in Linux: a power-on may hide a change of states.
		t.states = t.states || r.Code() == codeStates || r.Code() == codePowerOn
		t.units = t.units || r.Code() == codeUnits || r.Code() == codeCapacity
	}
	return initiator.Result{Err: errors.New("nothing but unit attentions")}, t
}

func failure(what string, r initiator.Result) error {
	if r.Err != nil {
		return fmt.Errorf("%s: %w", what, r.Err)
	}
	return fmt.Errorf("%s: %w", what, &Error{Status: r.Status, Code: r.Code()})
}

// parseLUNs reads the answer to REPORT LUNS.
func parseLUNs(b []byte) ([]uint64, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("REPORT LUNS: %d bytes", len(b))
	}
	n := int(binary.BigEndian.Uint32(b) / 8)
	b = b[8:]
	if n > maxUnits || n*8 > len(b) {
		return nil, fmt.Errorf("REPORT LUNS: %d units in %d bytes, at most %d", n, len(b), maxUnits)
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return out, nil
}

// parseDesignators returns the unit's NAA name and the port's group.
func parseDesignators(b []byte) (wwn string, group uint16, err error) {
	if len(b) < 4 {
		return "", 0, fmt.Errorf("page 83: %d bytes", len(b))
	}
	b = b[4:min(len(b), 4+int(binary.BigEndian.Uint16(b[2:])))]
	found := false
	for len(b) >= 4 {
		n := 4 + int(b[3])
		if n > len(b) {
			return "", 0, errors.New("page 83: a designator is longer than the page")
		}
		value := b[4:n]
		const unit, port = 0, 1
		switch association, kind := b[1]>>4&3, b[1]&0xF; {
		case association == unit && kind == 3:
			wwn = hex.EncodeToString(value)
		case association == port && kind == 5 && len(value) >= 4:
			group, found = binary.BigEndian.Uint16(value[2:]), true
		}
		b = b[n:]
	}
	if wwn == "" || !found {
		return "", 0, errors.New("page 83: no NAA name or no target port group")
	}
	return wwn, group, nil
}

// parseCapacity returns the unit's size in bytes.
func parseCapacity(b []byte) (int64, error) {
	if len(b) < 12 {
		return 0, fmt.Errorf("READ CAPACITY: %d bytes", len(b))
	}
	last, size := binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
	if size != sector || last >= 1<<50 {
		return 0, fmt.Errorf("READ CAPACITY: blocks of %d bytes, the last is %d; want blocks of %d", size, last, sector)
	}
	return int64(last+1) * sector, nil
}

// parseGroups returns the state of each target port group.
func parseGroups(b []byte) (map[uint16]State, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("REPORT TARGET PORT GROUPS: %d bytes", len(b))
	}
	b = b[4:min(len(b), 4+int(binary.BigEndian.Uint32(b)))]
	out := map[uint16]State{}
	for len(b) >= 8 {
		n := 8 + 4*int(b[7])
		if n > len(b) {
			break
		}
		out[binary.BigEndian.Uint16(b[2:])] = State(b[0] & 0x0F)
		b = b[n:]
	}
	return out, nil
}
