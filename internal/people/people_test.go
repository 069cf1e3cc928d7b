// SPDX-License-Identifier: Apache-2.0

package people

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// cheap is a cost for tests.
func cheap() Cost { return Cost{MemoryKiB: 8, Passes: 1, Lanes: 1} }

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err error, k array.Kind) {
	t.Helper()
	if err == nil || array.KindOf(err) != k {
		t.Fatalf("%v; want an error of kind %v", err, k)
	}
}

func open(t *testing.T, o Options) *Book {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "db"))
	ok(t, err)
	t.Cleanup(func() { ok(t, s.Close()) })
	o.Cost = cheap()
	return Open(s, o)
}

func (b *Book) add(t *testing.T, name string, role Role, password string) UserChange {
	t.Helper()
	c, err := b.NewUser(name, Grants{Role: role}, password)
	ok(t, err)
	_, err = b.Make(c)
	ok(t, err)
	return c
}

// alter changes a user who exists.
func (b *Book) alter(t *testing.T, name string, f func(*User)) UserChange {
	t.Helper()
	was, err := b.User(name)
	ok(t, err)
	now := was
	f(&now)
	c := UserChange{Name: name, Was: &was, Now: &now}
	_, err = b.Make(c)
	ok(t, err)
	return c
}

// TestRoles: the table as the documents have it.
func TestRoles(t *testing.T) {
	for _, c := range []struct {
		role Role
		may  string
	}{
		{Super, "look own create change force maintain users audit"},
		{SecurityAdmin, "look own users audit"},
		{Service, "look own maintain audit"},
		{Edit, "look own create change maintain"},
		{Create, "look own create"},
		{Browse, "look own"},
		{"", ""},
		{"superb", ""},
	} {
		var may []string
		for _, r := range []Right{Look, Own, Make, Change, Force, Maintain, Users, Audit} {
			if c.role.May(r) {
				may = append(may, string(r))
			}
		}
		if got := strings.Join(may, " "); got != c.may {
			t.Errorf("%s may %q, want %q", c.role, got, c.may)
		}
		if _, err := ParseRole(string(c.role)); (err == nil) != (c.may != "") {
			t.Errorf("%q: %v", c.role, err)
		}
	}
}

func TestLogin(t *testing.T) {
	b := open(t, Options{})
	b.add(t, "ann", Edit, "correct horse")
	s, err := b.Login("ann", "correct horse", "192.0.2.1:1", start())
	ok(t, err)
	if !s.May(Make) || s.May(Users) || s.User != "ann" || len(s.Key) != 48 {
		t.Errorf("%+v", s)
	}
	for _, c := range [][2]string{{"ann", "correct hors"}, {"ann", ""}, {"bob", "correct horse"}, {"", ""}, {Local, ""}, {"ann", strings.Repeat("x", 1<<20)}} {
		_, err := b.Login(c[0], c[1], "192.0.2.2:1", start())
		is(t, err, array.Denied)
	}
	for _, bad := range []string{"short", strings.Repeat("x", 129), "with\nline", "bad\xff utf-8"} {
		_, err := b.NewUser("bob", Grants{Role: Browse}, bad)
		is(t, err, array.Invalid)
	}
	for _, bad := range []string{"", Local, "-x", ".x", "a b", "ä", strings.Repeat("a", 32)} {
		_, err := b.NewUser(bad, Grants{Role: Browse}, "long enough")
		is(t, err, array.Invalid)
	}
	// One with keys only has no password that fits, the empty one neither.
	b.add(t, "key", Browse, "")
	_, err = b.Login("key", "", "192.0.2.3", start())
	is(t, err, array.Denied)
}

// TestTheHashIsNotThePassword, differs each time, and is argon2id.
func TestTheHashIsNotThePassword(t *testing.T) {
	a, b := newHash("secret-secret", DefaultCost()), newHash("secret-secret", DefaultCost())
	if a == b || strings.Contains(a, "secret") || !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s %s", a, b)
	}
	for _, c := range []struct {
		password string
		fits     bool
	}{{"secret-secret", true}, {"secret-secreT", false}} {
		h, err := parseHash(a)
		if ok(t, err); h.fits(c.password) != c.fits {
			t.Errorf("%q", c.password)
		}
	}
}

func TestSessions(t *testing.T) {
	b := open(t, Options{})
	b.add(t, "ann", Edit, "correct horse")
	b.add(t, "bob", Browse, "correct horse")
	now := start()
	login := func(user string) Session {
		t.Helper()
		s, err := b.Login(user, "correct horse", "192.0.2.1:1", now)
		ok(t, err)
		return s
	}
	s := login("ann")
	for range 30 { // used, it goes on, until its time is over
		now = now.Add(DefaultIdle - time.Second)
		if _, err := b.Session(s.Key, now); err != nil {
			break
		}
	}
	if lived := now.Sub(s.Began); lived < sessionLives || lived > sessionLives+DefaultIdle {
		t.Errorf("a session lived %v", lived)
	}
	s = login("ann")
	_, err := b.Session(s.Key, now.Add(DefaultIdle))
	is(t, err, array.Denied)
	_, err = b.Session("", now)
	is(t, err, array.Denied)

	s, o := login("ann"), login("bob")
	if all := b.Sessions(now); len(all) != 2 || all[0].Key != "" {
		t.Errorf("%+v", all)
	}
	b.alter(t, "ann", func(u *User) { u.AddKey(newTestKey(t), false) })
	_, err = b.Session(s.Key, now)
	ok(t, err)
	b.alter(t, "ann", func(u *User) { u.Role = Browse })
	_, err = b.Session(s.Key, now)
	is(t, err, array.Denied)
	s = login("ann")
	b.alter(t, "ann", func(u *User) { ok(t, b.SetPassword(u, "battery staple")) })
	_, err = b.Session(s.Key, now)
	is(t, err, array.Denied)
	_, err = b.Session(o.Key, now)
	ok(t, err)
	b.Logout(o.Key)
	_, err = b.Session(o.Key, now)
	is(t, err, array.Denied)

	var all []Session
	for range maxOfOne {
		s, err := b.begin("bob", "", nil, "x", now)
		ok(t, err)
		all = append(all, s)
	}
	_, err = b.begin("bob", "", nil, "x", now)
	is(t, err, array.Busy)
	// A client that never logs out gets the place of its own session that was idle longest.
	_, err = b.Session(all[0].Key, now.Add(idleEnough))
	ok(t, err)
	_, err = b.begin("bob", "", nil, "x", now.Add(idleEnough))
	ok(t, err)
	_, err = b.Session(all[0].Key, now.Add(idleEnough))
	ok(t, err)
	if own := b.room("bob", now); own != maxOfOne {
		t.Errorf("bob has %d sessions", own)
	}
	_, err = b.begin("bob", "", nil, "x", now.Add(DefaultIdle))
	ok(t, err)
}

func newTestKey(t *testing.T) Key {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	p, err := ssh.NewPublicKey(pub)
	ok(t, err)
	k, err := ParseKey(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p))) + " me@here")
	ok(t, err)
	return k
}

func TestKeys(t *testing.T) {
	b := open(t, Options{})
	b.add(t, "ann", Edit, "")
	k, other := newTestKey(t), newTestKey(t)
	b.alter(t, "ann", func(u *User) { u.AddKey(k, false); u.AddKey(k, false) })
	u, err := b.User("ann")
	if ok(t, err); len(u.Keys) != 1 || u.Keys[0].Comment != "me@here" || !strings.HasPrefix(k.Fingerprint(), "SHA256:") {
		t.Errorf("%+v", u)
	}
	if again, err := ParseKey(k.Line()); err != nil || again.Fingerprint() != k.Fingerprint() {
		t.Errorf("%v %v", again, err)
	}
	if !b.HasKey("ann", k.Blob) || b.HasKey("ann", other.Blob) || b.HasKey("bob", k.Blob) || b.HasKey("ann", nil) {
		t.Error("who has which key")
	}
	by, err := b.ByKey("ann", k.Blob, "x", start())
	ok(t, err)
	_, err = b.ByKey("ann", other.Blob, "x", start())
	is(t, err, array.Denied)
	b.alter(t, "ann", func(u *User) { u.AddKey(other, false) })
	_, err = b.Session(by.Key, start())
	ok(t, err)
	byOther, err := b.ByKey("ann", other.Blob, "x", start())
	ok(t, err)
	b.alter(t, "ann", func(u *User) { u.AddKey(other, true) })
	_, err = b.ByKey("ann", k.Blob, "x", start())
	is(t, err, array.Denied)
	_, err = b.begin("ann", "", k.Blob, "x", start()) // it was removed after it was looked for
	is(t, err, array.Denied)
	_, err = b.Session(by.Key, start()) // what a key began ends with it
	is(t, err, array.Denied)
	_, err = b.Session(byOther.Key, start())
	ok(t, err)
	if u, _ := b.User("ann"); u.RemoveKey(k.Fingerprint()) || !u.RemoveKey(other.Fingerprint()) || u.Keys != nil {
		t.Errorf("%+v", u)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	ok(t, err)
	p, err := ssh.NewPublicKey(&weak.PublicKey)
	ok(t, err)
	for _, bad := range []string{"", "ssh-ed25519", "ssh-ed25519 AAAA", `command="x" ` + k.Line(), k.Line() + "\n" + k.Line(), string(ssh.MarshalAuthorizedKey(p)), strings.Repeat("x", maxKey+1)} {
		_, err := ParseKey(bad)
		is(t, err, array.Invalid)
	}
}

// TestWhomBothHadBefore: of two users of one name and role that two arrays have when they
// become a pair, that of the smaller array counts on both, whoever tells first; of two
// roles neither gives way.
func TestWhomBothHadBefore(t *testing.T) {
	paired := func() bool { return true }
	for _, first := range []int{0, 1} {
		books := []*Book{open(t, Options{Paired: paired, Self: 1}), open(t, Options{Paired: paired, Self: 2})}
		for i, b := range books {
			b.add(t, "ann", Edit, []string{"correct horse", "wrong battery"}[i])
			b.add(t, "bob", []Role{Edit, Browse}[i], "correct horse")
			ok(t, b.store.Update(func(tx *store.Tx) error { return TellAll(tx, array.SystemID(i+1)) }))
		}
		for k := range 2 {
			i := (first + k) % 2
			all, err := books[i].Untold()
			ok(t, err)
			for _, c := range all {
				if err := books[1-i].Take(c, "the other"); c.Name == "bob" {
					is(t, err, array.Exists)
					continue
				}
				ok(t, err)
				ok(t, books[i].Told(c))
			}
		}
		for _, b := range books {
			_, err := b.Login("ann", "correct horse", "x", start())
			ok(t, err)
			all, err := b.Untold()
			if err != nil || len(all) != 1 || all[0].Name != "bob" {
				t.Errorf("%v, %v", all, err)
			}
		}
	}
}

// TestWhatTheOtherArraySends is made once, and refused where it can't be meant.
func TestWhatTheOtherArraySends(t *testing.T) {
	paired := func() bool { return true }
	a, b := open(t, Options{Paired: paired}), open(t, Options{Paired: paired})
	now := start()
	pass := func() {
		t.Helper()
		all, err := a.Untold()
		ok(t, err)
		for _, c := range all {
			ok(t, b.Take(c, "b"))
			ok(t, b.Take(c, "b"))
			ok(t, a.Told(c))
		}
	}
	a.add(t, "ann", Edit, "correct horse")
	pass()
	s, err := b.Login("ann", "correct horse", "x", now)
	ok(t, err)
	a.alter(t, "ann", func(u *User) { u.Role = Browse })
	a.alter(t, "ann", func(u *User) { u.AddKey(newTestKey(t), false) })
	pass()
	_, err = b.Session(s.Key, now)
	is(t, err, array.Denied) // its role is another
	if u, err := b.User("ann"); err != nil || u.Role != Browse || len(u.Keys) != 1 {
		t.Errorf("%+v %v", u, err)
	}
	// What leaves the password as it is lets no further guesses in, and ends no session.
	s, err = b.Login("ann", "correct horse", "x", now)
	ok(t, err)
	for range wrongFromOne {
		_, err := b.Login("ann", "wrong", "192.0.2.1:1", now)
		is(t, err, array.Denied)
	}
	a.alter(t, "ann", func(u *User) { u.AddKey(newTestKey(t), false) })
	pass()
	if len(b.Lockouts(now)) != 1 {
		t.Error("a new key lets guesses in")
	}
	_, err = b.Session(s.Key, now)
	ok(t, err)
	a.alter(t, "ann", func(u *User) { ok(t, a.SetPassword(u, "another horse")) })
	pass()
	if len(b.Lockouts(now)) != 0 {
		t.Error("guesses of the old password count for the new one")
	}
	_, err = b.Session(s.Key, now)
	is(t, err, array.Denied)
	// Removed here, changed there: gone on both.
	u, err := a.User("ann")
	ok(t, err)
	_, err = a.Make(UserChange{Name: "ann", Was: &u})
	ok(t, err)
	b.alter(t, "ann", func(u *User) { u.Role = Super })
	other, err := b.Untold()
	ok(t, err)
	ok(t, a.Take(other[0], "a"))
	pass()
	for _, x := range []*Book{a, b} {
		_, err := x.User("ann")
		is(t, err, array.NotFound)
	}
	if all, err := a.Untold(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	// A change that is none is told at once, for an array that lost its users.
	ok(t, b.Told(b.add(t, "dan", Edit, "")))
	dan, err := b.User("dan")
	ok(t, err)
	tell, err := b.Make(UserChange{Name: "dan", Was: &dan, Now: &dan})
	if ok(t, err); tell == nil {
		t.Fatal("nothing is told")
	}
	ok(t, a.Take(*tell, "a"))
	if _, err := a.User("dan"); err != nil {
		t.Error(err)
	}
	// Two of one name stay two.
	b.add(t, "bob", Edit, "")
	c := a.add(t, "bob", Super, "")
	is(t, b.Take(c, "b"), array.Exists)
	evil := User{Name: "eve", Grants: Grants{Role: "god"}}
	heavy := User{Name: "eve", Grants: Grants{Role: Super}, Password: strings.Replace(newHash("x", cheap()), "m=8", "m=99999999", 1)}
	for _, c := range []UserChange{{}, {Name: "eve"}, {Name: "eve", Now: &evil}, {Name: "eve", Now: &heavy}, {Name: "eva", Now: &User{Name: "eve", Grants: Grants{Role: Edit}}}, {Name: Local, Now: &User{Name: Local, Grants: Grants{Role: Super}}}} {
		is(t, a.Take(c, "a"), array.Invalid)
	}
	is(t, func() error { _, err := a.Make(UserChange{Name: "bob", Now: c.Now}); return err }(), array.Exists)
}

func FuzzHash(f *testing.F) {
	f.Add(newHash("x", cheap()))
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := parseHash(s); err == nil && (h.cost.MemoryKiB > maxMemoryKiB || h.cost.Passes > maxPasses || h.cost.Lanes > maxLanes || len(h.salt) != saltLen) {
			t.Fatalf("%q is %+v", s, h)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPs2P6CkC5VYBbQZbmqmB3+4rRQ0lN0wq2Q0O6Y9Jq3 a@b")
	f.Add("ssh-rsa AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseKey(s); err == nil {
			if o, err := ParseKey(k.Line()); err != nil || o.Fingerprint() != k.Fingerprint() {
				t.Fatalf("%q: %v", s, err)
			}
		}
	})
}

func TestGrants(t *testing.T) {
	edit := Grants{}.With("b", Edit).With("a", Browse)
	for _, x := range []struct {
		g      Grants
		domain string
		right  Right
		may    bool
	}{
		{edit, "b", Change, true},
		{edit, "a", Change, false},
		{edit, "a", Look, true},
		{edit, "", Look, false},
		{edit, "c", Look, false},
		{edit.With(All, Browse), "c", Look, true},
		{edit.With(All, Browse), "", Change, false},
		{edit.With(All, Browse), "b", Change, true},
		{Grants{Role: Edit}, "b", Change, true},
		{edit.Without("b"), "b", Look, false},
		{Grants{}, "", Look, false},
	} {
		if x.g.MayIn(x.domain, x.right) != x.may {
			t.Errorf("%s: %s in %q: want %v", x.g.Text(), x.right, x.domain, x.may)
		}
	}
	if edit.Role.May(Look) || !edit.May(Change) || edit.May(Users) || edit.With("b", Browse).May(Change) {
		t.Errorf("%+v", edit)
	}
	if got := edit.With(All, Create).Text(); got != "create, browse in domain a, edit in domain b" {
		t.Error(got)
	}
	many := Grants{}
	for i := range maxPrivileges + 1 {
		many = many.With(fmt.Sprintf("d%02d", i), Edit)
	}
	for _, bad := range []Grants{{}, {Role: "god"}, Grants{}.With("a", Super), Grants{}.With("a", Service), many, {Domains: []Privilege{{"a", Edit}, {"a", Edit}}}, {Domains: []Privilege{{All, Edit}}}, {Domains: []Privilege{{"", Edit}}}} {
		u := User{Name: "ann", Grants: bad}
		if err := u.check(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := (&User{Name: "ann", Grants: edit, Default: "c"}).check(); err == nil {
		t.Error("a default domain that the user is not in is taken")
	}
	u := User{Name: "ann", Grants: edit, Default: "b"}
	if !u.Rename("b", "z") || u.Rename("b", "z") || u.Default != "z" || !u.MayIn("z", Change) || u.In("b") || u.check() != nil {
		t.Errorf("%+v", u)
	}
}

// TestUserBeforeDomains: a user as stores had it before is one with a role in all domains.
func TestUserBeforeDomains(t *testing.T) {
	var u User
	if err := json.Unmarshal([]byte(`{"name":"ann","role":"edit"}`), &u); err != nil || u.check() != nil || !u.MayIn("", Change) || !u.MayIn("any", Change) {
		t.Errorf("%+v, %v", u, err)
	}
	if b, err := json.Marshal(u); err != nil || string(b) != `{"name":"ann","role":"edit"}` {
		t.Errorf("%s, %v", b, err)
	}
}
