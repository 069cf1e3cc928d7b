// SPDX-License-Identifier: Apache-2.0

package people

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
)

const (
	// So many wrong passwords within lockWindow, of one user from one address, or of one
	// user from anywhere, end further ones for lockFor.
	wrongFromOne = 5
	wrongFromAll = 50
	lockWindow   = 10 * time.Minute
	lockFor      = 5 * time.Minute
	// maxTries bounds what is remembered of users and addresses.
	maxTries = 4096
)

// tries are wrong passwords since a time.
type tries struct {
	wrong        int
	since, until time.Time
	// worth is what speaks against forgetting them for others.
	worth worth
}

// worth is which of too many tries are forgotten first: those of names that nobody has, which a
// stranger can invent without end; then those of one address, each of which counts for its user too.
type worth uint8

const (
	ofNobody worth = iota
	fromOne
	ofUser
)

// locks remember wrong passwords. They are forgotten with the process.
type locks map[string]tries

// keysOf are what a login counts for: the user from that address, and the user.
func keysOf(user, from string) [2]string {
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	return [2]string{user + "\x00" + from, user}
}

// open refuses a login of one who is locked out.
func (l locks) open(user, from string, now time.Time) error {
	for _, k := range keysOf(user, from) {
		if t, ok := l[k]; ok && now.Before(t.until) {
			return array.Errorf(array.Denied, "too many wrong passwords for user %s: try again after %s", printable(user, 40), t.until.Format("15:04:05 MST"))
		}
	}
	return nil
}

// wrong notes a wrong password of a user, or of a name that nobody has and that is answered alike. It
// returns until when that locks somebody out, and whether from all addresses.
func (l locks) wrong(user, from string, exists bool, now time.Time) (until time.Time, all bool) {
	for i, k := range keysOf(user, from) {
		t, known := l[k]
		if !known {
			l.room(now)
		}
		if now.Sub(t.since) > lockWindow {
			t = tries{since: now}
		}
		if t.wrong++; t.wrong >= [2]int{wrongFromOne, wrongFromAll}[i] {
			t = tries{since: now, until: now.Add(lockFor)}
			until, all = t.until, i == 1
		}
		if t.worth = ofNobody; exists {
			t.worth = [2]worth{fromOne, ofUser}[i]
		}
		l[k] = t
	}
	return until, all
}

// right forgets what was wrong before, from that address.
func (l locks) right(user, from string) { delete(l, keysOf(user, from)[0]) }

// Lockout is a user whose passwords are not tried for a while.
type Lockout struct {
	User string
	// From is the address that this is for, empty for all.
	From  string
	Until time.Time
}

// lockouts returns those that last, by user and address.
func (l locks) lockouts(now time.Time) (all []Lockout) {
	for k, t := range l {
		if now.Before(t.until) {
			user, from, _ := strings.Cut(k, "\x00")
			all = append(all, Lockout{User: printable(user, 40), From: printable(from, 64), Until: t.until})
		}
	}
	slices.SortFunc(all, func(a, b Lockout) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.From, b.From))
	})
	return all
}

// forget lets a user try again from everywhere, and reports whether that ends a lockout.
func (l locks) forget(user string, now time.Time) (locked bool) {
	for k, t := range l {
		if name, _, _ := strings.Cut(k, "\x00"); name == user {
			locked = locked || now.Before(t.until)
			delete(l, k)
		}
	}
	return locked
}

// Lockouts returns the users who are locked out at this array.
func (b *Book) Lockouts(now time.Time) []Lockout {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.locks.lockouts(now)
}

// Unlock lets a user try again at this array, and reports whether that ends a lockout.
func (b *Book) Unlock(user string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.locks.forget(user, now)
}

// room forgets what is over, or else the oldest of what is worth least, for one more. There are fewer
// users than maxTries, so that what counts for one of them from everywhere is never forgotten.
func (l locks) room(now time.Time) {
	if len(l) < maxTries {
		return
	}
	least, oldest := "", tries{worth: ofUser}
	for k, t := range l {
		if now.Sub(t.since) > lockWindow && !now.Before(t.until) {
			delete(l, k)
			continue
		}
		if t.worth < oldest.worth || t.worth == oldest.worth && (least == "" || t.since.Before(oldest.since)) {
			least, oldest = k, t
		}
	}
	if len(l) >= maxTries {
		delete(l, least)
	}
}
