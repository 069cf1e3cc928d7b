// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"testing"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// TestSessionsThatWork: a session works for its host from the first answer that a path checker
// takes for a path, and no longer when it was told that the path is unavailable, or data were
// refused there.
func TestSessionsThatWork(t *testing.T) {
	disk := ramunit.New("disk", 1, 8<<20, 1)
	l := newLab(t, 8<<20, func(c *Config) {
		c.Server = scsi.NewServer(scsi.Config{Exports: ramunit.NewExports(disk.Unit(0)), Pool: block.NewPool(64 << 20), Revision: "1"})
	})
	h := l.host(nil)
	read := append([]byte{0x28, 0, 0, 0, 0, 0, 0, 0, 8}, 0)
	for _, x := range []struct {
		state scsi.PathState
		cdb   []byte
		works bool
	}{
		{scsi.Unavailable, make([]byte, 6), false},
		{scsi.Standby, append([]byte{0x12, 0, 0, 0, 36}, 0), false}, // an INQUIRY is answered anywhere
		{scsi.Standby, read, false},
		{scsi.Standby, make([]byte, 6), true},
		{scsi.Optimized, read, true},
		{scsi.Standby, make([]byte, 6), true}, // a path group that is not used now
		{scsi.Standby, read, false},           // the path is taken out, though another may serve
		{scsi.Standby, make([]byte, 6), true}, // until the checker looks
		{scsi.Unavailable, make([]byte, 6), false},
		{scsi.Optimized, read, true},
	} {
		disk.SetGroups(scsi.PortGroup{ID: 1, State: x.state, Ports: []uint16{1}})
		for range 2 { // the first may be told that the state changed
			if r := h.Do(initiator.Command{CDB: x.cdb, In: 4096}); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		if s := l.target.Sessions(); len(s) != 1 || s[0].Works != x.works {
			t.Errorf("after command %x while %v: %+v, want works %v", x.cdb, x.state, s, x.works)
		}
	}
}
