// SPDX-License-Identifier: Apache-2.0

package people

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
)

const (
	// maxSessions bounds all sessions, maxOfOne those of one user.
	maxSessions = 1024
	maxOfOne    = 256
	// idleEnough is how long a session is not used before a new one of its user may take its
	// place: clients log in anew after every error, and never out.
	idleEnough = time.Minute
	// sessionLives is how long a session lives however much it is used.
	sessionLives = 24 * time.Hour
)

// Session is one who has logged in.
type Session struct {
	// Key is what its holder names it by. It is secret, and drawn at random.
	Key  string
	User string
	Grants
	// Domain is the one that the session is in; empty: all that its user may see.
	Domain string
	// From is the address.
	From string
	// Began is when, Used when it was last used, Expires when it ends if it is not used.
	Began, Used, Expires time.Time
	// sshKey is what its user proved, empty for a password.
	sshKey string
}

// LocalSession is that of the array's own socket, which only its owner can open.
func LocalSession(now time.Time) Session {
	return Session{User: Local, Grants: Grants{Role: Super}, From: "local", Began: now, Used: now}
}

func newKey() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// begin begins a session, unless the user is not what was looked at, as its password hash
// or its SSH keys tell, any more.
func (b *Book) begin(name, password string, sshKey []byte, from string, now time.Time) (Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.find(name) // under the lock that a change ends sessions under
	switch {
	case err != nil:
		return Session{}, err
	case u == nil || password != "" && u.Password != password || len(sshKey) > 0 && !u.hasKey(sshKey):
		return Session{}, errDenied()
	}
	b.sweep(now)
	switch own := b.room(name, now); {
	case own >= maxOfOne:
		return Session{}, array.Errorf(array.Busy, "user %s has %d sessions, the most there may be: end some, or wait until they expire", name, own).Because(array.ManySessions)
	case len(b.sessions) >= maxSessions:
		return Session{}, array.Errorf(array.Busy, "there are %d sessions, the most there may be", maxSessions).Because(array.ManySessions)
	}
	s := Session{Key: newKey(), User: u.Name, Grants: u.Grants, Domain: u.Default, From: printable(from, 64), Began: now, Used: now, Expires: now.Add(b.o.Idle), sshKey: string(sshKey)}
	b.sessions[s.Key] = &s
	return s, nil
}

// room returns how many sessions a user has. If those are all there may be, the one that was
// not used for longest ends. The lock is held.
func (b *Book) room(name string, now time.Time) (own int) {
	var idle *Session
	for _, s := range b.sessions {
		if s.User != name {
			continue
		}
		own++
		if now.Sub(s.Used) >= idleEnough && (idle == nil || s.Used.Before(idle.Used)) {
			idle = s
		}
	}
	if own >= maxOfOne && idle != nil {
		delete(b.sessions, idle.Key)
		own--
	}
	return own
}

// sweep ends sessions that are over. The lock is held.
func (b *Book) sweep(now time.Time) {
	for k, s := range b.sessions {
		if !now.Before(s.Expires) {
			delete(b.sessions, k)
		}
	}
}

// Session returns the session of a key, which it uses.
func (b *Book) Session(key string, now time.Time) (Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[key]
	if s == nil || !now.Before(s.Expires) {
		delete(b.sessions, key)
		return Session{}, array.Errorf(array.Denied, "the session is over: log in again")
	}
	s.Used = now
	s.Expires = now.Add(b.o.Idle)
	if end := s.Began.Add(sessionLives); s.Expires.After(end) {
		s.Expires = end
	}
	return *s, nil
}

// Logout ends a session; one that is over is no error.
func (b *Book) Logout(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, key)
}

// Sessions returns those under way, the oldest first, without their keys.
func (b *Book) Sessions(now time.Time) []Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	var all []Session
	for _, s := range b.sessions {
		o := *s
		o.Key = ""
		all = append(all, o)
	}
	slices.SortFunc(all, func(x, y Session) int { return x.Began.Compare(y.Began) })
	return all
}

// endOf ends the sessions of a user for which over is true.
func (b *Book) endOf(user string, over func(*Session) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, s := range b.sessions {
		if s.User == user && over(s) {
			delete(b.sessions, k)
		}
	}
}
