// SPDX-License-Identifier: Apache-2.0

package host

import (
	"testing"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

// TestNewsDuringAQuestion: what a command is told while the states are being read may be
// newer than the answer, so they are read again.
func TestNewsDuringAQuestion(t *testing.T) {
	d := &Disk{host: &Host{}, changed: make(chan struct{})}
	l := &lane{path: &path{look: make(chan struct{}, 1)}, disk: d, group: 1, doubt: true}
	d.lanes = []*lane{l}
	d.asks(l)
	if _, doubt, _ := d.state(l); doubt {
		t.Error("in doubt though the states are being read")
	}
	d.look(l, initiator.Result{})
	d.setStates(l, map[uint16]State{1: Standby})
	if _, doubt, _ := d.state(l); !doubt {
		t.Error("the answer ended a doubt that came after the question")
	}
}
