// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"encoding/binary"
	"testing"

	"github.com/perdure/perdure/internal/scsi"
)

// unmapParameters is UNMAP's list; the lengths are set as they should be.
func unmapParameters(ranges ...[2]uint64) []byte {
	p := make([]byte, 8, 8+16*len(ranges))
	binary.BigEndian.PutUint16(p, uint16(6+16*len(ranges)))
	binary.BigEndian.PutUint16(p[2:], uint16(16*len(ranges)))
	for _, r := range ranges {
		p = binary.BigEndian.AppendUint64(p, r[0])
		p = binary.BigEndian.AppendUint32(p, uint32(r[1]))
		p = append(p, 0, 0, 0, 0)
	}
	return p
}

// TestBadCommands sends CDBs and parameter lists that the standards refuse, each with
// the answer that they name. EXTENDED COPY's are in TestCopyRefused.
func TestBadCommands(t *testing.T) {
	const opcode, cdbField, lba = 0x052000, 0x052400, 0x052100
	const listLength, listField, saving = 0x051A00, 0x052600, 0x053900
	blk := make([]byte, 512)
	edit := func(p []byte, at int, v byte) []byte { p[at] = v; return p }
	var page []byte
	{
		r := newRig(t)
		page = append(make([]byte, 4), r.run(r.nexus("iqn.h", 1), with(cdb(0x1A, 255), 1, 8, 2, 8), nil).In[4:]...)
	}
	selectPage := func(at int, v byte) []byte { return edit(append([]byte(nil), page...), at, v) }
	for _, tt := range []struct {
		clause string
		cdb    [16]byte
		out    []byte
		sense  int
	}{
		{"SPC-4 4.2.5.1: no such operation", cdb(0xFF, 0), nil, opcode},
		{"SPC-4 4.2.5.1: FORMAT UNIT, which there isn't", cdb(0x04, 0), nil, opcode},
		{"SPC-4 4.2.5.2: no such service action", with(cdb(0x9E, 0), 1, 0x1F), nil, cdbField},
		{"SAM-5 CONTROL: NACA", with(cdb(0, 0), 5, 4), nil, cdbField},

		{"SPC-4 6.6 INQUIRY: a page without EVPD", with(cdb(0x12, 96), 2, 0x83), nil, cdbField},
		{"SPC-4 6.6 INQUIRY: CMDDT, which is obsolete", with(cdb(0x12, 96), 1, 2), nil, cdbField},
		{"SPC-4 6.6 INQUIRY: no such page", with(cdb(0x12, 96), 1, 1, 2, 0xEE), nil, cdbField},
		{"SPC-4 REPORT LUNS: no such SELECT REPORT", with(cdb(0xA0, 64), 2, 0x55), nil, cdbField},
		{"SPC-4 REPORT LUNS: less room than the header has", cdb(0xA0, 8), nil, cdbField},
		{"SPC-4 REPORT TARGET PORT GROUPS: no such format", with(cdb(0xA3, 64), 1, 0x6A), nil, cdbField},
		{"SPC-4 REPORT SUPPORTED OPERATION CODES: no such option", with(cdb(0xA3, 64), 1, 0x0C, 2, 4, 3, 0x28), nil, cdbField},
		{"SPC-4 REPORT SUPPORTED OPERATION CODES: 001b with actions", with(cdb(0xA3, 64), 1, 0x0C, 2, 1, 3, 0x5E), nil, cdbField},
		{"SPC-4 REPORT SUPPORTED OPERATION CODES: 010b without actions", with(cdb(0xA3, 64), 1, 0x0C, 2, 2, 3, 0x28), nil, cdbField},

		{"SPC-4 6.13 MODE SENSE: saved values", with(cdb(0x1A, 64), 2, 0xC8), nil, saving},
		{"SPC-4 6.13 MODE SENSE: no such page", with(cdb(0x1A, 64), 2, 0x2E), nil, cdbField},
		{"SPC-4 6.13 MODE SENSE: no such subpage", with(cdb(0x1A, 64), 2, 8, 3, 7), nil, cdbField},
		{"SPC-4 6.11 MODE SELECT: vendor's format", cdb(0x15, len(page)), page, cdbField},
		{"SPC-4 6.11 MODE SELECT: saving", with(cdb(0x15, len(page)), 1, 0x11), page, cdbField},
		{"SPC-4 6.11 MODE SELECT: cut off in the header", with(cdb(0x15, 3), 1, 0x10), page[:3], listLength},
		{"SPC-4 6.11 MODE SELECT: cut off in the page", with(cdb(0x15, 12), 1, 0x10), page[:12], listLength},
		{"SPC-4 6.11 MODE SELECT: cut off in the block descriptor", with(cdb(0x15, 8), 1, 0x10), edit(make([]byte, 8), 3, 8), listLength},
		{"SPC-4 6.11 MODE SELECT: another block length", with(cdb(0x15, 12), 1, 0x10), edit(edit(make([]byte, 12), 3, 8), 10, 0x10), listField},
		{"SPC-4 6.11 MODE SELECT: what can't be changed", with(cdb(0x15, len(page)), 1, 0x10), selectPage(6, 4), listField},
		{"SPC-4 6.11 MODE SELECT: no such page", with(cdb(0x15, len(page)), 1, 0x10), selectPage(4, 0x2E), listField},

		{"SPC-4 6.15 PERSISTENT RESERVE IN: no such action", with(cdb(0x5E, 64), 1, 0x1F), nil, cdbField},
		{"SPC-4 6.16 PERSISTENT RESERVE OUT: no such action", with(cdb(0x5F, 24), 1, 0x1F), prOut(0, 1), cdbField},
		{"SPC-4 6.16 PERSISTENT RESERVE OUT: a short list", cdb(0x5F, 23), prOut(0, 1)[:23], listLength},
		{"SPC-4 6.16 PERSISTENT RESERVE OUT: a long list", cdb(0x5F, 32), append(prOut(0, 1), make([]byte, 8)...), listLength},

		{"SBC-3 READ(10): RDPROTECT", with(cdb(0x28, 1), 1, 0x20), nil, cdbField},
		{"SBC-3 READ(10): beyond the end", with(cdb(0x28, 1), 4, 0x10), nil, lba},
		{"SBC-3 READ(10): over the end", with(cdb(0x28, 2), 4, 0x0F, 5, 0xFF), nil, lba},
		{"SBC-3 READ(10): no blocks, beyond the end", with(cdb(0x28, 0), 4, 0x10), nil, lba},
		{"SBC-3 READ(12): more than MAXIMUM TRANSFER LENGTH", cdb(0xA8, 2049), nil, cdbField},
		{"SBC-3 READ(16): the last address there is", with(cdb(0x88, 1), 2, 0xFF, 3, 0xFF, 4, 0xFF, 5, 0xFF, 6, 0xFF, 7, 0xFF, 8, 0xFF, 9, 0xFF), nil, lba},
		{"SBC-3 READ(6): beyond the end", with(cdb(0x08, 1), 2, 0x10), nil, lba},
		{"SBC-3 WRITE(10): WRPROTECT", with(cdb(0x2A, 1), 1, 0x20), blk, cdbField},
		{"SBC-3 WRITE(12): beyond the end", with(cdb(0xAA, 1), 4, 0x10), blk, lba},
		{"SAM-5 5.4.3: half a block", cdb(0x2A, 1), blk[:100], 0x050E03},
		{"SBC-3 ORWRITE(16): ORPROTECT", with(cdb(0x8B, 1), 1, 0x20), blk, cdbField},
		{"SBC-3 WRITE AND VERIFY(10): BYTCHK 10b", with(cdb(0x2E, 1), 1, 4), blk, cdbField},
		{"SBC-3 VERIFY(16): BYTCHK 10b", with(cdb(0x8F, 1), 1, 4), nil, cdbField},
		{"SBC-3 VERIFY(10): VRPROTECT", with(cdb(0x2F, 1), 1, 0x20), nil, cdbField},
		{"SBC-3 WRITE SAME(16): no blocks though WSNZ", cdb(0x93, 0), blk, cdbField},
		{"SBC-3 WRITE SAME(16): more than MAXIMUM WRITE SAME LENGTH", cdb(0x93, 1<<16), blk, cdbField},
		{"SBC-3 WRITE SAME(16): ANCHOR without ANC_SUP", with(cdb(0x93, 8), 1, 0x18), blk, cdbField},
		{"SBC-3 WRITE SAME(16): NDOB with data", with(cdb(0x93, 8), 1, 1), blk, cdbField},
		{"SBC-3 WRITE SAME(10): more data than a block", cdb(0x41, 8), make([]byte, 1024), cdbField},
		{"SBC-3 WRITE SAME(10): over the end", with(cdb(0x41, 2), 4, 0x0F, 5, 0xFF), blk, lba},

		{"SBC-3 UNMAP: ANCHOR without ANC_SUP", with(cdb(0x42, 24), 1, 1), unmapParameters([2]uint64{0, 8}), cdbField},
		{"SBC-3 UNMAP: cut off in the header", cdb(0x42, 7), make([]byte, 7), listLength},
		{"SBC-3 UNMAP: lengths beyond the list", cdb(0x42, 24), edit(unmapParameters([2]uint64{0, 8}), 3, 32), listLength},
		{"SBC-3 UNMAP: more than MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT", cdb(0x42, 8+16*257), manyUnmaps(257, 1), listField},
		{"SBC-3 UNMAP: over the end", cdb(0x42, 40), unmapParameters([2]uint64{0, 8}, [2]uint64{4090, 8}), lba},

		{"SBC-3 COMPARE AND WRITE: one block of data for two", with(cdb(0x89, 0), 13, 1), blk, cdbField},
		{"SBC-3 COMPARE AND WRITE: beyond the end", with(cdb(0x89, 0), 13, 1, 8, 0x10), make([]byte, 1024), lba},
		{"SBC-4 WRITE ATOMIC(16): a boundary", with(cdb(0x9C, 0), 11, 8, 13, 1), blk, cdbField},
		{"SBC-4 WRITE ATOMIC(16): less data than blocks", with(cdb(0x9C, 0), 13, 2), blk, cdbField},
		{"SBC-3 GET LBA STATUS: beyond the end", with(cdb(0x9E, 64), 1, 0x12, 8, 0x10), nil, lba},
		{"SBC-3 PRE-FETCH(10): beyond the end", with(cdb(0x34, 1), 4, 0x10), nil, lba},
		{"SBC-3 SYNCHRONIZE CACHE(16): beyond the end", with(cdb(0x91, 1), 8, 0x10), nil, lba},
		{"SBC-3 READ CAPACITY(10): an address without PMI", with(cdb(0x25, 0), 5, 1), nil, cdbField},
		{"SBC-3 START STOP UNIT: ejecting", with(cdb(0x1B, 2), 4, 2), nil, cdbField},
		{"SBC-3 START STOP UNIT: a power condition", with(cdb(0x1B, 0), 4, 0x20), nil, cdbField},
	} {
		r := newRig(t)
		n := r.nexus("iqn.h", 1)
		want(t, tt.clause, r.run(n, tt.cdb, tt.out), check, tt.sense)
		if s := r.disk.Stores(); s != 0 {
			t.Errorf("%s: %d changes took effect", tt.clause, s)
		}
		want(t, tt.clause+": afterwards", r.run(n, cdb(0, 0), nil), scsi.Good, 0)
	}
}

func manyUnmaps(n int, blocks uint64) []byte {
	ranges := make([][2]uint64, n)
	for i := range ranges {
		ranges[i] = [2]uint64{0, blocks}
	}
	return unmapParameters(ranges...)
}

// TestShortAllocation: data are cut to what the host has room for, and the lengths in
// them still tell of all (SPC-4 4.2.5.6).
func TestShortAllocation(t *testing.T) {
	r := newRig(t)
	n := r.nexus("iqn.h", 1)
	for _, tt := range []struct {
		name string
		cdb  func(n int) [16]byte
	}{
		{"INQUIRY", func(n int) [16]byte { return cdb(0x12, n) }},
		{"VPD 83", func(n int) [16]byte { return with(cdb(0x12, n), 1, 1, 2, 0x83) }},
		{"MODE SENSE(6)", func(n int) [16]byte { return with(cdb(0x1A, n), 2, 0x3F) }},
		{"READ CAPACITY(16)", func(n int) [16]byte { return with(cdb(0x9E, n), 1, 0x10) }},
		{"REPORT TARGET PORT GROUPS", func(n int) [16]byte { return with(cdb(0xA3, n), 1, 0x0A) }},
		{"REPORT SUPPORTED OPERATION CODES", func(n int) [16]byte { return with(cdb(0xA3, n), 1, 0x0C) }},
		{"READ KEYS", func(n int) [16]byte { return cdb(0x5E, n) }},
		{"RECEIVE COPY OPERATING PARAMETERS", func(n int) [16]byte { return with(cdb(0x84, n), 1, 3) }},
		{"REQUEST SENSE", func(n int) [16]byte { return cdb(0x03, n) }},
	} {
		all := r.run(n, tt.cdb(252), nil).In
		for _, k := range []int{0, 1, 4, 7} {
			k := min(k, len(all))
			if got := r.run(n, tt.cdb(k), nil); got.Status != scsi.Good || string(got.In) != string(all[:k]) {
				t.Errorf("%s with room for %d: status %#x, % x", tt.name, k, got.Status, got.In)
			}
		}
	}
}
