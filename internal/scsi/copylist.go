// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// What EXTENDED COPY announces. All that one command may ask for is done well within
// Late, or it would have to be given up halfway.
const (
	maxCopyUnits    = 8 // CSCD descriptors
	maxCopySegments = 4
	maxCopySegment  = 4 << 20 // bytes
	maxCopyList     = maxCopyUnits*cscdBytes + maxCopySegments*segmentBytes
	maxCopies       = 8 // at a time, of all hosts
)

// The parameter list of EXTENDED COPY(LID1), SPC-4 6.4.
const (
	copyHeader   = 16
	cscdBytes    = 32
	segmentBytes = 28
	cscdNamed    = 0xE4 // identification descriptor
	segmentBlock = 0x02 // block to block
)

// What a host wants of a list identifier.
const (
	copyHold    = 0
	copyDiscard = 2
	copyUnnamed = 3
)

// A copyList is a parameter list whose form is right.
type copyList struct {
	id       byte
	usage    byte
	units    []array.WWN
	segments []segment
}

// segment is a range to be copied, in bytes; units are indexes.
type segment struct {
	from, to       int
	source, target int64
	length         int64
}

// parseCopy reads a parameter list.
func parseCopy(p []byte) (l copyList, err error) {
	if len(p) < copyHeader {
		return l, badListLen()
	}
	units, segments := int(binary.BigEndian.Uint16(p[2:])), uint64(binary.BigEndian.Uint32(p[8:]))
	inline := binary.BigEndian.Uint32(p[12:])
	l.id, l.usage = p[0], p[1]>>3&3
	switch all := uint64(units) + segments; {
	case all > maxCopyList || all+copyHeader > uint64(len(p)):
		return l, badListLen()
	case inline > 0:
		return l, sensed{IllegalRequest, inlineTooLong}
	case l.usage == 1 || l.usage == copyUnnamed && l.id != 0:
		return l, badList()
	case units > maxCopyUnits*cscdBytes:
		return l, sensed{IllegalRequest, tooManyCSCDs}
	case units%cscdBytes != 0:
		return l, badListLen()
	}
	p = p[copyHeader:]
	for d := p[:units]; len(d) > 0; d = d[cscdBytes:] {
		name, err := parseCSCD(d[:cscdBytes])
		if err != nil {
			return l, err
		}
		l.units = append(l.units, name)
	}
	for d := p[units : units+int(segments)]; len(d) > 0; d = d[segmentBytes:] {
		if len(l.segments) == maxCopySegments {
			return l, sensed{IllegalRequest, tooManySegments}
		}
		s, err := parseSegment(d)
		if err != nil {
			return l, err
		}
		if s.from >= len(l.units) || s.to >= len(l.units) {
			return l, sensed{CopyAborted, copyUnreachable}
		}
		l.segments = append(l.segments, s)
	}
	return l, nil
}

// parseCSCD reads the name of a unit that takes part. Only names of units are known
// here, by NAA, which is what VPD page 83 gives hosts. LU ID TYPE means nothing beside
// a name.
func parseCSCD(d []byte) (name array.WWN, err error) {
	const null, disk, binaryCode, naa = 0x20, 0, 1, 3
	switch {
	case d[0] != cscdNamed:
		return name, sensed{IllegalRequest, unknownCSCD}
	case d[1]&null != 0:
		return name, sensed{CopyAborted, copyUnreachable}
	case d[1]&0x1F != disk:
		return name, sensed{CopyAborted, copyDeviceType}
	case d[4]&0x0F != binaryCode || d[5]&0x3F != naa || int(d[7]) != len(name):
		return name, sensed{CopyAborted, copyUnreachable}
	case int(d[29])<<16|int(d[30])<<8|int(d[31]) != block.Sector:
		return name, badList()
	}
	copy(name[:], d[8:])
	return name, nil
}

// parseSegment reads the first of some segment descriptors.
func parseSegment(d []byte) (s segment, err error) {
	switch {
	case d[0] != segmentBlock:
		return s, sensed{IllegalRequest, unknownSegment}
	case len(d) < segmentBytes:
		return s, badListLen()
	case binary.BigEndian.Uint16(d[2:]) != segmentBytes-4:
		return s, badList()
	}
	n := int64(binary.BigEndian.Uint16(d[10:])) * block.Sector
	from, to := binary.BigEndian.Uint64(d[12:]), binary.BigEndian.Uint64(d[20:])
	if n > maxCopySegment {
		return s, badList()
	}
	if from > maxBlocks || to > maxBlocks {
		return s, sensed{CopyAborted, noSense}
	}
	return segment{
		from: int(binary.BigEndian.Uint16(d[4:])), to: int(binary.BigEndian.Uint16(d[6:])),
		source: int64(from) * block.Sector, target: int64(to) * block.Sector, length: n,
	}, nil
}

// overlaps reports whether the segment's two ranges have blocks in common.
func (s segment) overlaps(sameUnit bool) bool {
	return sameUnit && s.source < s.target+s.length && s.target < s.source+s.length
}
