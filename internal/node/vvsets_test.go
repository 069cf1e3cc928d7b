// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"testing"
)

// TestVolumeSetsMeet: what each array did to sets while it was alone is the same on both
// when they meet, and a removed set does not come back.
func TestVolumeSetsMeet(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createvvset", "gone")
	a.run("createvvset", "-comment", "0", "both")
	b.Close()
	a.until("it to be alone", func() bool { return !a.reachable() })
	a.run("removevvset", "-f", "gone")
	a.run("createvvset", "new")
	a.run("createvvset", "-add", "-comment", "a1", "both")
	a.Close()
	b.open()
	b.run("createvvset", "-add", "-comment", "b1", "both")
	b.run("createvvset", "-add", "-comment", "b2", "both")
	a.open()
	want := "[{both b2  [] false} {new   [] false}]"
	for _, x := range as {
		x.until("the sets to be "+want, func() bool { s, err := x.VolumeSets(); return err == nil && fmt.Sprint(s) == want })
	}
	if err := a.takeVVSets(make([]VVSet, setsAtOnce+1), nil); err == nil {
		t.Error("too many sets are taken")
	}
	if err := a.takeVVSets([]VVSet{{Name: "no name"}}, nil); err == nil {
		t.Error("a set without a name is taken")
	}
}
