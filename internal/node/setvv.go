// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"flag"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// What people may write of a volume.
const (
	maxKeys  = 64
	maxKey   = 31
	maxValue = 511
)

// given reports whether an option was there.
func (a *args) given(name string) (is bool) {
	a.flags.Visit(func(f *flag.Flag) { is = is || f.Name == name })
	return is
}

// vvMods are the options of setvv.
type vvMods struct {
	alloc                          alloc
	name, comment                  *string
	set                            *pairs
	setNew, clear, in, notIn       *string
	exp, retain                    *string
	changesAlloc, changesLifetimes bool
}

func setVV(n *Node, ctx context.Context, a *args) error {
	text := func(name string) *string { return a.flags.String(name, "", "") }
	m := vvMods{
		alloc: allocFlags(a), name: text("name"), comment: text("comment"), set: pairFlags(a), setNew: text("setkvifnotexist"),
		clear: text("clrkey"), in: text("vvset"), notIn: text("novvset"), exp: text("exp"), retain: text("retain"),
	}
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if a.flags.NFlag() == 0 {
		return array.Errorf(array.Invalid, "setvv: want -usr_aw or -usr_al, or another option; usage: %s", a.cmd.usage)
	}
	m.changesAlloc, m.changesLifetimes = *m.alloc.warn != -1 || *m.alloc.limit != -1, a.given("exp") || a.given("retain")
	v, _, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	if a.given("name") {
		if err := n.mayRename(v, *m.name); err != nil {
			return err
		}
	}
	if a.given("vvset") {
		if s, err := n.volumeSet(*m.in); err != nil || s == nil {
			return orElse(err, array.Errorf(array.NotFound, "volume set %.40s does not exist: 'createvvset %.40s %s' makes it, with the volume", *m.in, *m.in, v.Name).Because(array.NoVolumeSet))
		}
	}
	return n.changeVV(ctx, v, func(v *VV) error { return m.change(n.now(), a, v) })
}

// mayRename refuses a name that is taken, or a volume that is known by its name.
func (n *Node) mayRename(v VV, name string) error {
	if !validName(name) {
		return array.Errorf(array.Invalid, "volume name %q: %s", name, nameWanted)
	}
	if err := n.unscheduled(v); err != nil {
		return err
	}
	_, leaves, err := n.stayingOf(v)
	_, joins, e := n.joiningOf(v)
	if err := errors.Join(err, e); err != nil {
		return err
	}
	if leaves || joins || v.Leaves { // the task knows it by its name
		return array.Errorf(array.Conflict, "volume %s is being admitted to a group, or dismissed from one: it can have another name when that is over", v.Name).Because(array.Copied)
	}
	return n.store.View(func(t *store.Tx) error { return n.nameFree(t, name) })
}

func (m vvMods) change(now time.Time, a *args, v *VV) error {
	if m.changesAlloc {
		if err := m.alloc.of(v); err != nil {
			return err
		}
	}
	if m.changesLifetimes {
		if err := m.life(now, a, v); err != nil {
			return err
		}
	}
	if a.given("name") {
		v.Name = *m.name
	}
	if a.given("comment") {
		if err := v.setComment(*m.comment); err != nil {
			return err
		}
	}
	if err := m.keys(a, v); err != nil {
		return err
	}
	return m.sets(a, v)
}

// life changes when a snapshot goes, and until when it can't. What is retained can't be
// given up earlier.
func (m vvMods) life(now time.Time, a *args, v *VV) error {
	if v.Of == 0 && v.Base == 0 {
		return array.Errorf(array.Invalid, "volume %s is no snapshot: -exp and -retain are for snapshots", v.Name).Because(array.NotSnapshot)
	}
	exp, retain := v.Expires, v.Retain
	if a.given("exp") {
		exp = time.Time{}
		if *m.exp != "0" {
			d, err := parseAge("-exp", *m.exp)
			if err != nil {
				return err
			}
			exp = now.UTC().Add(d)
		}
	}
	if a.given("retain") {
		d, err := parseAge("-retain", *m.retain)
		if err != nil {
			return err
		}
		retain = now.UTC().Add(d)
	}
	switch {
	case retain.Before(v.Retain) && now.Before(v.Retain):
		return array.Errorf(array.Conflict, "snapshot %s is retained until %s, which can't become earlier", v.Name, v.Retain.Format(timeForPeople)).Because(array.Retained)
	case !exp.IsZero() && exp.Before(retain):
		return array.Errorf(array.Invalid, "snapshot %s would expire before its retention ends", v.Name).Because(array.Retained)
	}
	v.Expires, v.Retain = exp, retain
	return nil
}

// setComment sets what people wrote of it.
func (v *VV) setComment(text string) error {
	if len(text) > maxComment || !utf8.ValidString(text) {
		return array.Errorf(array.Invalid, "volume %s: the comment has %d bytes, want text of at most %d", v.Name, len(text), maxComment)
	}
	v.Comment = text
	return nil
}

// pairs are what -setkv says, which may be there several times.
type pairs []string

func pairFlags(a *args) *pairs {
	p := &pairs{}
	a.flags.Var(p, "setkv", "")
	return p
}

// Set implements flag.Value.
func (p *pairs) Set(text string) error {
	*p = append(*p, text)
	return nil
}

func (p *pairs) String() string { return strings.Join(*p, ",") }

// set sets them in the keys of a volume.
func (p pairs) set(option, of string, keys map[string]string, only bool) error {
	for _, text := range p {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" || len(key) > maxKey || len(value) > maxValue || !utf8.ValidString(text) {
			return array.Errorf(array.Invalid, "volume %s: -%s %.80q: want key=value, the key of 1 to %d bytes, the value of at most %d", of, option, text, maxKey, maxValue)
		}
		if _, is := keys[key]; is && only {
			return array.Errorf(array.Exists, "volume %s has the key %s already", of, key).Because(array.KeyExists)
		}
		keys[key] = value
	}
	if len(keys) > maxKeys {
		return array.Errorf(array.Full, "volume %s has %d keys, the most there may be", of, maxKeys)
	}
	return nil
}

// keys changes the pairs of key and value that programs keep with the volume.
func (m vvMods) keys(a *args, v *VV) error {
	keys := maps.Clone(v.Keys)
	if keys == nil {
		keys = map[string]string{}
	}
	if err := m.set.set("setkv", v.Name, keys, false); err != nil {
		return err
	}
	if a.given("setkvifnotexist") {
		if err := (pairs{*m.setNew}).set("setkvifnotexist", v.Name, keys, true); err != nil {
			return err
		}
	}
	if a.given("clrkey") {
		if _, is := keys[*m.clear]; !is {
			return array.Errorf(array.NotFound, "volume %s has no key %s", v.Name, *m.clear).Because(array.NoKey)
		}
		delete(keys, *m.clear)
	}
	if v.Keys = keys; len(keys) == 0 {
		v.Keys = nil
	}
	return nil
}

func (m vvMods) sets(a *args, v *VV) error {
	if a.given("vvset") {
		switch {
		case !validName(*m.in):
			return array.Errorf(array.Invalid, "volume set name %q: %s", *m.in, nameWanted)
		case slices.Contains(v.Sets, *m.in):
			return array.Errorf(array.Exists, "volume %s is in volume set %s already", v.Name, *m.in).Because(array.MemberTwice)
		case len(v.Sets) >= maxSetsOfVV:
			return v.inMostSets()
		}
		v.Sets = append(slices.Clone(v.Sets), *m.in)
		slices.Sort(v.Sets)
	}
	if a.given("novvset") {
		if !slices.Contains(v.Sets, *m.notIn) {
			return array.Errorf(array.NotFound, "volume %s is not in volume set %s", v.Name, *m.notIn).Because(array.NoMember)
		}
		v.Sets = slices.DeleteFunc(slices.Clone(v.Sets), func(s string) bool { return s == *m.notIn })
	}
	return nil
}

func (v VV) inMostSets() error {
	return array.Errorf(array.Full, "volume %s is in %d volume sets, the most there may be", v.Name, maxSetsOfVV)
}
