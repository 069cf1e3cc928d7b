// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"testing"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

func TestJudge(t *testing.T) {
	sense := func(key, asc, ascq byte) []byte {
		s := make([]byte, 18)
		s[0], s[2], s[12], s[13] = 0x70, key, asc, ascq
		return s
	}
	for _, c := range []struct {
		name string
		r    initiator.Result
		v    verdict
		down State
		look bool
	}{
		{"good", initiator.Result{}, finished, 0, false},
		{"broken", initiator.Result{Err: errors.New("gone")}, elsewhere, Down, false},
		{"busy", initiator.Result{Status: 8}, later, 0, false},
		{"task set full", initiator.Result{Status: 0x28}, later, 0, false},
		{"aborted", initiator.Result{Status: 0x40}, again, 0, false},
		{"reservation conflict", initiator.Result{Status: 0x18}, failed, 0, false},
		{"standby", initiator.Result{Status: 2, Sense: sense(2, 4, 0x0B)}, elsewhere, Standby, true},
		{"unavailable", initiator.Result{Status: 2, Sense: sense(2, 4, 0x0C)}, elsewhere, Unavailable, true},
		{"transitioning", initiator.Result{Status: 2, Sense: sense(2, 4, 0x0A)}, later, 0, true},
		{"no such unit", initiator.Result{Status: 2, Sense: sense(5, 0x25, 0)}, elsewhere, Offline, true},
		{"states changed", initiator.Result{Status: 2, Sense: sense(6, 0x2A, 6)}, again, 0, true},
		{"power on", initiator.Result{Status: 2, Sense: sense(6, 0x29, 0)}, again, 0, false},
		{"aborted command", initiator.Result{Status: 2, Sense: sense(0xB, 0, 0)}, again, 0, false},
		{"medium error", initiator.Result{Status: 2, Sense: sense(3, 0x11, 0)}, failed, 0, false},
		{"not ready otherwise", initiator.Result{Status: 2, Sense: sense(2, 4, 3)}, failed, 0, false},
		{"no sense", initiator.Result{Status: 2}, failed, 0, false},
	} {
		if v, down, look := judge(c.r); v != c.v || down != c.down || look != c.look {
			t.Errorf("%s: verdict %d, down %v, look %v; want %d, %v, %v", c.name, v, down, look, c.v, c.down, c.look)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0x83, 0, 28, 1, 3, 0, 16, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x51, 0x95, 0, 4, 0, 0, 0, 1})
	f.Add([]byte{0, 0, 0, 12, 2, 0x8F, 0, 1, 0, 2, 0, 1, 0, 0, 0, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if luns, err := parseLUNs(b); err == nil && len(luns) > maxUnits {
			t.Errorf("%d units", len(luns))
		}
		if wwn, _, err := parseDesignators(b); err == nil && wwn == "" {
			t.Error("no name and no error")
		}
		if size, err := parseCapacity(b); err == nil && size <= 0 {
			t.Errorf("size %d", size)
		}
		states, _ := parseGroups(b)
		for _, s := range states {
			if s > 0xF {
				t.Errorf("state %d", s)
			}
		}
	})
}
