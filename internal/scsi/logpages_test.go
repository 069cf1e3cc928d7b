// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"fmt"
	"testing"

	"github.com/perdure/perdure/internal/scsi"
)

// thin is a unit in a pool of 100 GiB, of which 30 are taken.
type thin struct{ scsi.Unit }

func (thin) Space() (scsi.Space, bool) { return scsi.Space{Used: 30 << 30, Limit: 100 << 30}, true }

// TestLogAndThresholds holds what hosts are told of a thin unit's room against SBC-3: log
// page 0C, the thresholds of mode page 1C/02 and the exponent in VPD page B2; and that a
// unit without such a room doesn't speak of it.
func TestLogAndThresholds(t *testing.T) {
	r := newRig(t)
	r.exports.Set(1, thin{r.disk.Unit(0)})
	n := r.nexus("iqn.h", 1)
	r.runLUN(n, 1<<48, cdb(0, 0), nil)
	for _, tt := range []struct {
		what        string
		cdb         [16]byte
		thin, plain string // the answer in hexadecimal, "" for INVALID FIELD IN CDB
	}{
		{"LOG SENSE: pages", cdb(0x4D, 255), "00000002000c", "0000000100"},
		{"LOG SENSE: pages and subpages", with(cdb(0x4D, 255), 3, 0xFF), "40ff0006000000ff0c00", "40ff0004000000ff"},
		{
			"LOG SENSE: provisioning", with(cdb(0x4D, 255), 2, 0x4C),
			"0c000018" + "00010308" + "00011800" + "02000000" + "00020308" + "00007800" + "02000000", "",
		},
		{"LOG SENSE: provisioning, used only", with(cdb(0x4D, 255), 2, 0x4C, 6, 2), "0c00000c" + "00020308" + "00007800" + "02000000", ""},
		{"LOG SENSE: provisioning, beyond", with(cdb(0x4D, 255), 2, 0x4C, 6, 3), "", ""},
		{"LOG SENSE: cut", with(cdb(0x4D, 6), 2, 0x4C), "0c0000180001", ""},
		{"LOG SENSE: temperature", with(cdb(0x4D, 255), 2, 0x4D), "", ""},
		{"LOG SENSE: saving", with(cdb(0x4D, 255), 1, 1), "", ""},
		{
			"MODE SENSE: thresholds", with(cdb(0x1A, 255), 1, 8, 2, 0x1C, 3, 2),
			"2b001000" + "5c020024000000000000000000000000" + "8102000000012c00" + "8102000000015400" + "8102000000017c00", "",
		},
		{
			"MODE SENSE: thresholds, what can be changed", with(cdb(0x1A, 255), 1, 8, 2, 0x5C, 3, 2),
			"2b001000" + "5c020024" + fmt.Sprintf("%072x", 0), "",
		},
		{"MODE SENSE: thresholds of another page", with(cdb(0x1A, 255), 1, 8, 2, 0x08, 3, 2), "", ""},
		{"VPD B2", with(cdb(0x12, 255), 1, 1, 2, 0xB2), "00b200040be40200", "00b2000400e40200"},
		{"RECEIVE DIAGNOSTIC RESULTS", with(cdb(0x1C, 255), 1, 1), "0000000100", "0000000100"},
		{"RECEIVE DIAGNOSTIC RESULTS: no such page", with(cdb(0x1C, 255), 1, 1, 2, 0x10), "", ""},
		{"SEND DIAGNOSTIC: the default test", with(cdb(0x1D, 0), 1, 4), " ", " "},
		{"SEND DIAGNOSTIC: a long test", with(cdb(0x1D, 0), 1, 0x40), "", ""},
	} {
		if tt.cdb[0] == 0x1C {
			tt.cdb[3], tt.cdb[4] = 0, 255
		}
		for lun, hex := range []string{tt.plain, tt.thin} {
			c := r.runLUN(n, uint64(lun)<<48, tt.cdb, nil)
			switch got := fmt.Sprintf("%x", c.In); {
			case hex == "":
				want(t, fmt.Sprintf("%s, LUN %d", tt.what, lun), c, scsi.CheckCondition, 0x052400)
			case c.Status != scsi.Good || got != hex && hex != " ":
				t.Errorf("%s, LUN %d: status %#x, %s, want %s", tt.what, lun, c.Status, got, hex)
			}
		}
	}
}
