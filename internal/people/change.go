// SPDX-License-Identifier: Apache-2.0

package people

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// UserChange makes a user another one: Was is nil if there was none, Now if there is none
// any more.
type UserChange struct {
	Name string `json:"name"`
	Was  *User  `json:"was,omitempty"`
	Now  *User  `json:"now,omitempty"`
	// Maybe are what the other array may have made of him since Was: it was asked, and did not answer.
	Maybe store.States `json:"maybe,omitempty"`
	// Founder is the array that had the user before there was another one, 0 of others.
	Founder array.SystemID `json:"founder,omitempty"`
}

// NewUser is the change that makes a user. An empty password means that only keys are
// taken.
func (b *Book) NewUser(name string, may Grants, password string) (UserChange, error) {
	u := User{Name: name, Grants: may}
	if err := u.check(); err != nil {
		return UserChange{}, err
	}
	c := UserChange{Name: name, Now: &u}
	if password == "" {
		return c, nil
	}
	return c, b.SetPassword(&u, password)
}

// SetPassword gives a user another password.
func (b *Book) SetPassword(u *User, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	return b.gate.pass(func() { u.Password = newHash(password, b.o.Cost) })
}

// AddKey gives a user one more SSH key, or no other than that.
func (u *User) AddKey(k Key, only bool) {
	keys := slices.Clone(u.Keys)
	if only {
		keys = nil
	}
	keys = slices.DeleteFunc(keys, func(o Key) bool { return string(o.Blob) == string(k.Blob) })
	u.Keys = append(keys, k)
}

// RemoveKey takes the keys of that fingerprint away, all if it is empty, and reports
// whether there were any.
func (u *User) RemoveKey(fingerprint string) bool {
	keys := slices.DeleteFunc(slices.Clone(u.Keys), func(k Key) bool { return fingerprint == "" || k.Fingerprint() == fingerprint })
	had := len(keys) < len(u.Keys)
	if u.Keys = keys; len(keys) == 0 {
		u.Keys = nil
	}
	return had
}

// Make carries a change out here, if what belongs to it can be done in the same transaction. It
// returns all that the other array is to hear of that user, nil if nothing.
func (b *Book) Make(c UserChange, with ...func(*store.Tx) error) (tell *UserChange, err error) {
	err = b.store.Update(func(t *store.Tx) error {
		if tell, err = b.MakeIn(t, c); err != nil {
			return err
		}
		return each(t, with)
	})
	if err == nil {
		b.Made(c)
	}
	return tell, err
}

// MakeIn does so in a transaction; Made is for after it.
func (b *Book) MakeIn(t *store.Tx, c UserChange) (tell *UserChange, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	cur, err := userIn(t, c.Name)
	switch {
	case err != nil:
		return nil, err
	case c.Was == nil && cur != nil:
		return nil, array.Errorf(array.Exists, "user %s exists already", c.Name)
	case !same(cur, c.Was):
		return nil, array.Errorf(array.Conflict, "user %s was changed meanwhile", c.Name)
	}
	if err := c.apply(t); err != nil {
		return nil, err
	}
	return b.noteUntold(t, c)
}

// Back is the change that takes c back.
func (c UserChange) Back() UserChange { return UserChange{Name: c.Name, Was: c.Now, Now: c.Was} }

// Made ends the sessions that a change leaves no ground for.
func (b *Book) Made(c UserChange) {
	if c.Was == nil || c.Now == nil || !reflect.DeepEqual(c.Was.Grants, c.Now.Grants) || c.Was.Default != c.Now.Default || c.Was.Password != c.Now.Password {
		b.endOf(c.Name, func(*Session) bool { return true })
	} else { // those that a key began which is gone
		b.endOf(c.Name, func(s *Session) bool { return s.sshKey != "" && !c.Now.hasKey([]byte(s.sshKey)) })
	}
	if c.Was == nil || c.Now == nil || c.Was.Password != c.Now.Password { // guesses were of another one
		b.mu.Lock()
		defer b.mu.Unlock()
		b.locks.forget(c.Name, time.Time{})
	}
}

func (c UserChange) check() error {
	switch {
	case c.Now == nil && c.Was == nil && len(c.Maybe) == 0, c.Now != nil && c.Now.Name != c.Name, c.Was != nil && c.Was.Name != c.Name:
		return array.Errorf(array.Invalid, "a change of user %q that changes nothing, or another one", printable(c.Name, 40))
	case c.Now != nil:
		return c.Now.check()
	}
	return checkName(c.Name)
}

func (c UserChange) apply(t *store.Tx) error {
	if c.Now == nil {
		return errors.Join(tables.users.Delete(t, c.Name), bury(t, c.Name))
	}
	count := 0
	if err := tables.users.Each(t, func(name string, _ User) error {
		if name != c.Name {
			count++
		}
		return nil
	}); err != nil {
		return err
	}
	if count >= maxUsers {
		return array.Errorf(array.Full, "there are %d users, the most there may be", count)
	}
	return errors.Join(tables.users.Put(t, c.Name, *c.Now), tables.removed.Delete(t, c.Name))
}

// noteUntold notes that the other array, if there is one, is to hear of a change.
func (b *Book) noteUntold(t *store.Tx, c UserChange) (*UserChange, error) {
	if b.o.Paired == nil || !b.o.Paired() {
		return nil, nil
	}
	old, ok, err := tables.untold.Get(t, c.Name)
	if err != nil {
		return nil, err
	}
	c.Maybe = nil
	if ok {
		c.Was, c.Founder, c.Maybe = old.Was, old.Founder, old.Maybe // what the other array knows
	}
	if same(c.Was, c.Now) && len(c.Maybe) == 0 {
		return &c, tables.untold.Delete(t, c.Name) // nothing new; an array that lost its users hears of this one
	}
	c.Maybe = c.Maybe.With(c.Now) // it is asked next
	return &c, tables.untold.Put(t, c.Name, c)
}

// TakeBackIn takes back a change that MakeIn made and the other array refused, in a transaction; Made,
// with its Back, is for after it.
func (b *Book) TakeBackIn(t *store.Tx, c UserChange) error {
	old, ok, err := tables.untold.Get(t, c.Name)
	if err != nil {
		return err
	}
	if old.Maybe = old.Maybe.Without(c.Now); ok {
		if err := tables.untold.Put(t, c.Name, old); err != nil {
			return err
		}
	}
	_, err = b.MakeIn(t, c.Back())
	return err
}

// Told notes that the other array heard of a change.
func (b *Book) Told(c UserChange) error {
	return b.store.Update(func(t *store.Tx) error {
		now, ok, err := tables.untold.Get(t, c.Name)
		switch {
		case err != nil || !ok:
			return err
		case same(now.Now, c.Now):
			return tables.untold.Delete(t, c.Name)
		}
		now.Was = c.Now // it was changed again meanwhile
		return tables.untold.Put(t, c.Name, now)
	})
}

// Untold returns all changes that the other array has not heard of.
func (b *Book) Untold() (all []UserChange, err error) {
	err = b.store.View(func(t *store.Tx) error {
		return tables.untold.Each(t, func(_ string, c UserChange) error {
			all = append(all, c)
			return nil
		})
	})
	return all, err
}

// each does what belongs to a change.
func each(t *store.Tx, with []func(*store.Tx) error) error {
	for _, f := range with {
		if err := f(t); err != nil {
			return err
		}
	}
	return nil
}

// StillUntold returns what the other array has not heard of a user yet, nil if nothing.
func (b *Book) StillUntold(name string) (c *UserChange, err error) {
	err = b.store.View(func(t *store.Tx) error {
		now, ok, err := tables.untold.Get(t, name)
		if ok {
			c = &now
		}
		return err
	})
	return c, err
}

// Take carries out a change that the other array tells of, with what belongs to it; here is this
// array's name. A user who was removed on either does not come back by a change made on the other.
func (b *Book) Take(c UserChange, here string, with ...func(*store.Tx) error) error {
	var taken *UserChange
	err := b.store.Update(func(t *store.Tx) (err error) {
		if taken, err = b.TakeIn(t, c, here); err != nil {
			return err
		}
		return each(t, with)
	})
	if err == nil && taken != nil {
		b.Made(*taken)
	}
	return err
}

// TakeIn does so in a transaction. It returns what changes here, which Made is for after it, nil if
// nothing does.
func (b *Book) TakeIn(t *store.Tx, c UserChange, here string) (taken *UserChange, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	cur, err := userIn(t, c.Name)
	if err != nil || same(cur, c.Now) {
		return nil, err
	}
	own, pending, err := tables.untold.Get(t, c.Name)
	if err != nil {
		return nil, err
	}
	buried, err := c.buried(t)
	switch {
	case err != nil:
		return nil, err
	case c.Now == nil: // what was to be told of him would bring him back there
		if err := tables.untold.Delete(t, c.Name); err != nil {
			return nil, err
		}
	case same(cur, c.Was), c.Maybe.Has(cur): // removed, too, if that was not answered
	case cur == nil && pending && own.Now == nil && c.Was != nil:
		return nil, nil // the other array is yet to hear of that
	case cur == nil && buried:
		return nil, nil // it was on its way when he was removed
	case cur == nil:
	case c.Founder != 0 && c.Was == nil && reflect.DeepEqual(cur.Grants, c.Now.Grants):
		if c.Founder > b.o.Self {
			return nil, nil // this array's counts, on the other one too
		}
		if err := tables.untold.Delete(t, c.Name); err != nil {
			return nil, err
		}
	case c.Was == nil:
		return nil, array.Errorf(array.Exists, "user %s exists already on array %s, and is another one", c.Name, here)
	default:
		return nil, array.Errorf(array.Conflict, "user %s is another one on array %s", c.Name, here)
	}
	return &UserChange{Name: c.Name, Was: cur, Now: c.Now}, c.apply(t)
}

// TellAll notes that the other array, which is new, is to hear of every user. Of two of
// the same name and role that both arrays had, that of the smaller founder counts.
func TellAll(t *store.Tx, founder array.SystemID) error {
	var all []User
	if err := tables.users.Each(t, func(_ string, u User) error {
		all = append(all, u)
		return nil
	}); err != nil {
		return err
	}
	for _, u := range all {
		if err := tables.untold.Put(t, u.Name, UserChange{Name: u.Name, Now: &u, Founder: founder}); err != nil {
			return err
		}
	}
	return nil
}

// TellNobody forgets what the other array was to hear: there is none any more.
func TellNobody(t *store.Tx) error {
	var names []string
	if err := tables.untold.Each(t, func(name string, _ UserChange) error {
		names = append(names, name)
		return nil
	}); err != nil {
		return err
	}
	for _, name := range names {
		if err := tables.untold.Delete(t, name); err != nil {
			return err
		}
	}
	return nil
}
