// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
	"time"
)

// TestALockoutIsShownAndLifted: who is locked out is listed at the array that does it, told
// with its end, and lifted at both arrays from either.
func TestALockoutIsShownAndLifted(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("createuser", "-c", "correct horse", "ann", "all", "edit")
	login := func(x *testArray, password string) error {
		_, err := x.people.Login("ann", password, "192.0.2.1:1", time.Now())
		return err
	}
	b.until("the user to be there", func() bool { return login(b, "correct horse") == nil })
	for _, x := range arrays {
		for x.people.Lockouts(time.Now()) == nil {
			if login(x, "wrong") == nil {
				t.Fatal("a wrong password was taken")
			}
		}
		if err := login(x, "correct horse"); err == nil {
			t.Fatal("ann is not locked out")
		}
		if out := x.run("showuser", "-locked", "-csvtable", "-nohdtot"); !strings.HasPrefix(out, "ann,192.0.2.1,") {
			t.Errorf("showuser -locked lists %q", out)
		}
		if out := x.run("showeventlog", "-oneline"); !strings.Contains(out, "'setuser -unlock ann' lifts that") {
			t.Errorf("the events don't tell:\n%s", out)
		}
	}
	a.refuses("-unlock stands alone", "setuser", "-unlock", "-role", "browse", "ann")
	a.refuses("user eve does not exist", "setuser", "-unlock", "eve")
	b.run("setuser", "-unlock", "ann")
	for _, x := range arrays {
		if err := login(x, "correct horse"); err != nil {
			t.Error(err)
		}
	}
}
