// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"
)

// copyStatus is what RECEIVE COPY STATUS(LID1) tells of one list identifier. It is kept
// as long as its nexus, until a copy with the same identifier, or a reset. Guarded by
// the binding's lock.
type copyStatus struct {
	state    byte
	segments uint16 // done
	bytes    uint32 // done
	resets   uint64 // of the unit, when the copy began
}

const (
	copyRunning = iota
	copyDone
	copyFailed
)

// openCopy makes room for the outcome of a copy. One that is under way keeps its
// identifier to itself.
func (b *binding) openCopy(l copyList, resets uint64) (*copyStatus, error) {
	st := &copyStatus{resets: resets}
	if l.usage == copyUnnamed {
		return st, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.copies[l.id]; old != nil && old.state == copyRunning {
		return nil, sensed{IllegalRequest, operationInProgress}
	}
	if b.copies == nil {
		b.copies = make(map[byte]*copyStatus)
	}
	b.copies[l.id] = st
	return st, nil
}

// closeCopy notes how a copy ended.
func (b *binding) closeCopy(l copyList, st *copyStatus, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st.state = copyFailed
	if ok {
		st.state = copyDone
	}
	if l.usage == copyDiscard && b.copies[l.id] == st {
		delete(b.copies, l.id)
	}
}

// runCopyStatus is RECEIVE COPY STATUS(LID1).
func runCopyStatus(c *Command) {
	b := c.bound
	b.mu.Lock()
	st := b.copies[c.CDB[2]]
	if st == nil || st.resets != c.resets && st.state != copyRunning {
		b.mu.Unlock()
		c.end(badCDB())
		return
	}
	out := make([]byte, 12)
	binary.BigEndian.PutUint32(out, 8)
	out[4] = st.state
	binary.BigEndian.PutUint16(out[5:], st.segments)
	binary.BigEndian.PutUint32(out[8:], st.bytes) // byte 7: counted in bytes
	b.mu.Unlock()
	c.reply(out, int(min(binary.BigEndian.Uint32(c.CDB[10:]), maxParameterBytes)))
}

// sectorExponent is the granularity of copies, as a power of two.
const sectorExponent = 9

// runCopyParameters is RECEIVE COPY OPERATING PARAMETERS.
func runCopyParameters(c *Command) {
	out := make([]byte, 46)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	out[4] = 1 // SNLID: a list identifier isn't needed
	binary.BigEndian.PutUint16(out[8:], maxCopyUnits)
	binary.BigEndian.PutUint16(out[10:], maxCopySegments)
	binary.BigEndian.PutUint32(out[12:], maxCopyList)
	binary.BigEndian.PutUint32(out[16:], maxCopySegment)
	binary.BigEndian.PutUint16(out[34:], maxCopies)
	out[36] = maxCopies
	out[37] = sectorExponent
	out[43] = 2
	out[44], out[45] = segmentBlock, cscdNamed
	c.reply(out, int(min(binary.BigEndian.Uint32(c.CDB[10:]), maxParameterBytes)))
}

// thirdPartyCopy is VPD page 8F from byte 4 on: the commands, their limits, the
// descriptors, and general copy operations (SPC-4 7.8.17).
func thirdPartyCopy() []byte {
	var out []byte
	add := func(kind uint16, body []byte) {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		out = binary.BigEndian.AppendUint16(out, kind)
		out = binary.BigEndian.AppendUint16(out, uint16(len(body)))
		out = append(out, body...)
	}
	add(0x0001, []byte{7, 0x83, 1, 0x00, 0x84, 2, 0x00, 0x03})
	limits := make([]byte, 28)
	binary.BigEndian.PutUint16(limits[4:], maxCopyUnits)
	binary.BigEndian.PutUint16(limits[6:], maxCopySegments)
	binary.BigEndian.PutUint32(limits[8:], maxCopyList)
	add(0x0004, limits)
	add(0x0008, []byte{2, segmentBlock, cscdNamed})
	general := make([]byte, 32)
	binary.BigEndian.PutUint32(general, maxCopies)
	binary.BigEndian.PutUint32(general[4:], maxCopies)
	binary.BigEndian.PutUint32(general[8:], maxCopySegment)
	general[12] = sectorExponent
	add(0x8001, general)
	return out
}
