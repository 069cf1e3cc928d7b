// SPDX-License-Identifier: Apache-2.0

package people

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// tables are the store's buckets.
var tables = struct {
	users store.Bucket[User]
	// untold are changes, by name, that the other array has not heard of.
	untold store.Bucket[UserChange]
	// removed are the names of those who were removed, with the order in which they were.
	removed store.Bucket[uint64]
}{
	store.Bucket[User]{Name: "users"},
	store.Bucket[UserChange]{Name: "untoldusers"},
	store.Bucket[uint64]{Name: "removedusers"},
}

// Options are what a Book is opened with.
type Options struct {
	// Paired: whether there is another array now, which is to hear of every change; nil:
	// there is none.
	Paired func() bool
	// Self is this array.
	Self array.SystemID
	Cost Cost
	// Idle is how long a session lives without being used.
	Idle time.Duration
	// Locked is told who is locked out, from which address, until when, and whether from all
	// others too.
	Locked func(user, from string, until time.Time, all bool)
}

// DefaultIdle is how long a session lives without being used.
const DefaultIdle = time.Hour

// Book has the users of an array, and their sessions.
type Book struct {
	o     Options
	store *store.Store
	gate  gate
	dummy string // a hash that fits nothing, for users that don't exist

	mu       sync.Mutex
	locks    locks
	sessions map[string]*Session
}

// Open opens the book in an array's store.
func Open(s *store.Store, o Options) *Book {
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost()
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Locked == nil {
		o.Locked = func(string, string, time.Time, bool) {}
	}
	return &Book{o: o, store: s, gate: newGate(), dummy: newHash(newKey(), o.Cost), locks: locks{}, sessions: map[string]*Session{}}
}

// errDenied is all that a stranger hears.
func errDenied() error { return array.Errorf(array.Denied, "wrong user name or password") }

// Login begins a session for one who has the password. from is an address, for people and
// for locking out.
func (b *Book) Login(user, password, from string, now time.Time) (Session, error) {
	hash, err := b.fits(user, password, from, now)
	if err != nil {
		return Session{}, err
	}
	return b.begin(user, hash, nil, from, now)
}

// Check refuses what is not the password of a user who has logged in, as Login does.
func (b *Book) Check(user, password, from string, now time.Time) error {
	_, err := b.fits(user, password, from, now)
	if err != nil && err.Error() == errDenied().Error() {
		return array.Errorf(array.Denied, "the old password of user %s is wrong", printable(user, 40))
	}
	return err
}

// fits returns the user's hash if that is the password.
func (b *Book) fits(user, password, from string, now time.Time) (string, error) {
	b.mu.Lock()
	err := b.locks.open(user, from, now)
	b.mu.Unlock()
	if err != nil {
		return "", err
	}
	u, err := b.find(user)
	if err != nil {
		return "", err
	}
	text := b.dummy
	if u != nil && u.Password != "" {
		text = u.Password
	}
	h, err := parseHash(text)
	if err != nil {
		return "", err
	}
	fits := false
	if len(password) <= mostPassword*4 {
		if err := b.gate.pass(func() { fits = h.fits(password) }); err != nil {
			return "", err
		}
	}
	if !fits || text == b.dummy {
		b.wrong(user, from, u != nil, now)
		return "", errDenied()
	}
	b.mu.Lock()
	b.locks.right(user, from)
	b.mu.Unlock()
	return text, nil
}

func (b *Book) wrong(user, from string, exists bool, now time.Time) {
	if checkName(user) != nil {
		return // nobody can have it, and it may be of any length
	}
	b.mu.Lock()
	until, all := b.locks.wrong(user, from, exists, now)
	b.mu.Unlock()
	if exists && !until.IsZero() { // of other names a stranger has as many as he likes
		if host, _, err := net.SplitHostPort(from); err == nil {
			from = host
		}
		b.o.Locked(printable(user, 40), printable(from, 64), until, all)
	}
}

// HasKey reports whether a user has an SSH key, given in its wire form.
func (b *Book) HasKey(user string, blob []byte) bool {
	u, err := b.find(user)
	return err == nil && u != nil && u.hasKey(blob)
}

func (u *User) hasKey(blob []byte) bool {
	return slices.ContainsFunc(u.Keys, func(k Key) bool { return bytes.Equal(k.Blob, blob) })
}

// ByKey begins a session for one who has proved to have that key.
func (b *Book) ByKey(user string, blob []byte, from string, now time.Time) (Session, error) {
	if !b.HasKey(user, blob) {
		return Session{}, errDenied()
	}
	return b.begin(user, "", blob, from, now)
}

// find returns a user, nil if there is none.
func (b *Book) find(name string) (u *User, err error) {
	if checkName(name) != nil {
		return nil, nil
	}
	err = b.store.View(func(t *store.Tx) error {
		u, err = userIn(t, name)
		return err
	})
	return u, err
}

// User returns a user that exists.
func (b *Book) User(name string) (User, error) {
	u, err := b.find(name)
	if err == nil && u == nil {
		err = array.Errorf(array.NotFound, "user %s does not exist", printable(name, 40))
	}
	if err != nil {
		return User{}, err
	}
	return *u, nil
}

// Users returns all users by name.
func (b *Book) Users() (all []User, err error) {
	err = b.store.View(func(t *store.Tx) error {
		all, err = UsersIn(t)
		return err
	})
	return all, err
}

// UsersIn returns them in a transaction.
func UsersIn(t *store.Tx) (all []User, err error) {
	err = tables.users.Each(t, func(_ string, u User) error {
		all = append(all, u)
		return nil
	})
	slices.SortFunc(all, func(x, y User) int { return strings.Compare(x.Name, y.Name) })
	return all, err
}

// userIn returns a user as stored, nil if there is none.
func userIn(t *store.Tx, name string) (*User, error) {
	u, ok, err := tables.users.Get(t, name)
	if err != nil || !ok {
		return nil, err
	}
	return &u, nil
}
