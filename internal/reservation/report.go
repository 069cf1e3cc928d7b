// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"encoding/binary"
	"strings"
)

// ReadKeys returns the parameter data of PERSISTENT RESERVE IN, READ KEYS.
func (s *State) ReadKeys() []byte {
	out := make([]byte, 8, 8+8*len(s.Registrations))
	binary.BigEndian.PutUint32(out, s.Generation)
	binary.BigEndian.PutUint32(out[4:], uint32(8*len(s.Registrations)))
	for _, r := range s.Registrations {
		out = binary.BigEndian.AppendUint64(out, r.Key)
	}
	return out
}

// ReadReservation returns the parameter data of READ RESERVATION.
func (s *State) ReadReservation() []byte {
	out := make([]byte, 8, 24)
	binary.BigEndian.PutUint32(out, s.Generation)
	if s.Type == None {
		return out
	}
	binary.BigEndian.PutUint32(out[4:], 16)
	out = out[:24]
	key, _ := s.Key(s.Holder) // zero for all registrants, as SPC-4 asks
	binary.BigEndian.PutUint64(out[8:], key)
	out[21] = byte(s.Type)
	return out
}

// Capabilities returns the parameter data of REPORT CAPABILITIES.
func (s *State) Capabilities() []byte {
	out := make([]byte, 8)
	out[1] = 8
	out[2] = 1<<3 | 1<<2 | 1 // SIP_C, ATP_C, PTPL_C
	out[3] = 1 << 7          // TMV
	if s.APTPL {
		out[3] |= 1 // PTPL_A
	}
	out[4] = 1<<7 | 1<<6 | 1<<5 | 1<<3 | 1<<1 // WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX
	out[5] = 1                                // EX_AC_AR
	return out
}

// FullStatus returns the parameter data of READ FULL STATUS.
func (s *State) FullStatus() []byte {
	out := make([]byte, 8)
	binary.BigEndian.PutUint32(out, s.Generation)
	for _, r := range s.Registrations {
		d := make([]byte, 24)
		binary.BigEndian.PutUint64(d, r.Key)
		if s.holds(r.Nexus) {
			d[12] = 1 // R_HOLDER
			d[13] = byte(s.Type)
		}
		binary.BigEndian.PutUint16(d[18:], r.Nexus.Port)
		id := TransportID(r.Nexus.Initiator)
		binary.BigEndian.PutUint32(d[20:], uint32(len(id)))
		out = append(append(out, d...), id...)
	}
	binary.BigEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

// TransportID returns the iSCSI TransportID of an initiator port (SPC-4 7.6.4.6).
func TransportID(port string) []byte {
	id := make([]byte, 4, 4+len(port)+4)
	id[0] = 0x05 // iSCSI, format 00b: the whole initiator device
	if strings.Contains(port, ",i,0x") {
		id[0] |= 0x40 // format 01b: one initiator port
	}
	id = append(append(id, port...), 0)
	for len(id)%4 != 0 || len(id) < 24 {
		id = append(id, 0)
	}
	binary.BigEndian.PutUint16(id[2:], uint16(len(id)-4))
	return id
}

// ParseTransportID reads one iSCSI TransportID from the start of b. It returns
// the initiator port's name and the id's length; ok is false for anything that
// does not name one iSCSI initiator port.
func ParseTransportID(b []byte) (port string, n int, ok bool) {
	if len(b) < 4 || b[0] != 0x45 {
		return "", 0, false
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size < 20 || size%4 != 0 || 4+size > len(b) {
		return "", 0, false
	}
	name, _, terminated := strings.Cut(string(b[4:4+size]), "\x00")
	i := strings.Index(name, ",i,0x")
	if !terminated || len(name) > MaxName || i <= 0 {
		return "", 0, false
	}
	isid := name[i+5:]
	if len(isid) == 0 || len(isid) > 12 || strings.Trim(isid, "0123456789abcdefABCDEF") != "" {
		return "", 0, false
	}
	// Names compare as bytes, so there is one spelling: six bytes, lower case.
	return name[:i] + ",i,0x" + strings.Repeat("0", 12-len(isid)) + strings.ToLower(isid), 4 + size, true
}
