// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
)

// blinking is a group whose connection is lost for some tries; left says that the other
// array is left out for it, held that the record is being changed.
type blinking struct {
	err   error
	tries int
	left  bool
	held  bool
	asked int
}

func (b *blinking) Switchover() error {
	if b.asked++; b.asked <= b.tries {
		return b.err
	}
	return nil
}

func (b *blinking) Info() (i group.Info, err error) {
	i.Record.Members, i.View.Role = array.Both, arb.Paired
	if b.left {
		i.Record.Members, i.View.Role = array.Only(array.SideA), arb.Alone
	}
	if b.held {
		i.View.Role = arb.Held
	}
	return i, nil
}

// TestSwitchOverOutlastsABlink: a connection that is lost for a moment, between the look at a
// group and its switchover, does not make the command fail.
func TestSwitchOverOutlastsABlink(t *testing.T) {
	notSynced := array.Errorf(array.Conflict, "not in sync").Because(array.NotSynced)
	elsewhere := array.Errorf(array.Conflict, "served by the other").Because(array.ServedElsewhere)
	for _, c := range []struct {
		name  string
		group blinking
		asked int
		err   error
	}{
		{"the logs are compared", blinking{err: array.Errorf(array.Busy, "comparing"), tries: 3}, 4, nil},
		{"the connection was lost", blinking{err: notSynced, tries: 3}, 4, nil},
		{"the witness returned", blinking{err: notSynced, tries: 3, held: true}, 4, nil},
		{"the other array is left out", blinking{err: notSynced, tries: 3, left: true}, 1, notSynced},
		{"the other array serves", blinking{err: elsewhere, tries: 3}, 1, elsewhere},
	} {
		if err := switchOver(t.Context(), &c.group); err != c.err || c.group.asked != c.asked {
			t.Errorf("%s: %v after %d tries, want %v after %d", c.name, err, c.group.asked, c.err, c.asked)
		}
	}
}
