// SPDX-License-Identifier: Apache-2.0

package people

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
)

func TestLockedOut(t *testing.T) {
	var told []string
	b := open(t, Options{Locked: func(user, from string, until time.Time, all bool) {
		told = append(told, fmt.Sprint(user, " ", from, " ", until.Sub(start()), " ", all))
	}})
	b.add(t, "ann", Super, "correct horse")
	now := start()
	try := func(password, from string) error { _, err := b.Login("ann", password, from, now); return err }
	for i := range wrongFromOne {
		is(t, try("wrong", fmt.Sprintf("192.0.2.1:%d", i)), array.Denied)
	}
	err := try("correct horse", "192.0.2.1:99")
	if is(t, err, array.Denied); !strings.Contains(err.Error(), "too many wrong passwords") {
		t.Error(err)
	}
	if len(told) != 1 || told[0] != "ann 192.0.2.1 5m0s false" {
		t.Errorf("told %q", told)
	}
	ok(t, try("correct horse", "192.0.2.2:1")) // elsewhere
	if all := b.Lockouts(now); len(all) != 1 || all[0] != (Lockout{"ann", "192.0.2.1", now.Add(lockFor)}) {
		t.Errorf("locked out are %v", all)
	}
	now = now.Add(lockFor - time.Second)
	is(t, try("correct horse", "192.0.2.1:1"), array.Denied)
	now = now.Add(time.Second)
	ok(t, try("correct horse", "192.0.2.1:1"))
	// Being right in between counts.
	for range 3 * wrongFromOne {
		is(t, try("wrong", "192.0.2.1:1"), array.Denied)
		ok(t, try("correct horse", "192.0.2.1:1"))
	}
	// Slow guessing from one address is not locked, fast guessing from many is.
	b.locks = locks{}
	for range 2 * wrongFromOne {
		is(t, try("wrong", "192.0.2.1:1"), array.Denied)
		now = now.Add(lockWindow / 2)
	}
	ok(t, try("correct horse", "192.0.2.1:1"))
	b.locks = locks{}
	for i := range wrongFromAll {
		is(t, try("wrong", fmt.Sprintf("192.0.2.%d:1", i)), array.Denied)
	}
	is(t, try("correct horse", "198.51.100.1:1"), array.Denied)
	// A person lifts it, and a new password does.
	if !b.Unlock("ann", now) || b.Unlock("ann", now) || len(b.Lockouts(now)) != 0 {
		t.Errorf("locked out are %v after that was lifted", b.Lockouts(now))
	}
	ok(t, try("correct horse", "198.51.100.1:1"))
	for range wrongFromOne {
		is(t, try("wrong", "192.0.2.9:1"), array.Denied)
	}
	was, err := b.User("ann")
	ok(t, err)
	other := was
	ok(t, b.SetPassword(&other, "another horse"))
	_, err = b.Make(UserChange{Name: "ann", Was: &was, Now: &other})
	ok(t, err)
	ok(t, try("another horse", "192.0.2.9:1"))
	// What is remembered is bounded.
	for i := range maxTries + 100 {
		b.locks.wrong(fmt.Sprint("nobody", i), "x", false, now)
	}
	if len(b.locks) > maxTries {
		t.Errorf("%d are remembered", len(b.locks))
	}
	// Names that a stranger invents, or addresses, keep no user's guesses from being counted.
	now = now.Add(time.Second)
	for i := range wrongFromOne {
		is(t, try("wrong", fmt.Sprintf("192.0.2.44:%d", i)), array.Denied)
		b.locks.wrong(fmt.Sprint("somebody", i), "x", false, now)
	}
	if all := b.Lockouts(now); len(all) != 1 || all[0].From != "192.0.2.44" {
		t.Errorf("locked out are %v", all)
	}
	for i := range 2 * maxTries {
		b.locks.wrong("ann", fmt.Sprint("address", i), true, now)
	}
	if all := b.Lockouts(now); len(all) == 0 || all[0].From != "" || len(b.locks) > maxTries {
		t.Errorf("locked out are %v, with %d remembered", all, len(b.locks))
	}
	// What can't be a name is not remembered.
	b.locks = locks{}
	for _, name := range []string{strings.Repeat("x", 1<<18), "ann\x00192.0.2.7", ""} {
		for range 2 * wrongFromOne {
			_, err := b.Login(name, "wrong", "192.0.2.7:1", now)
			is(t, err, array.Denied)
		}
	}
	if len(b.locks) != 0 {
		t.Errorf("%d names that can't be are remembered", len(b.locks))
	}
}
