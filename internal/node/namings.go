// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
)

// More kinds of words than there are objects.
const (
	schedKind = "sched"
	// hostOrSet is a host or set:name, hostList several of them with commas, snapOf
	// snapshot:volume, vvSetRef vvset:name.
	hostOrSet = "host or set"
	hostList  = "hosts"
	snapOf    = "snapshot of"
	vvSetRef  = "vvset:"
	// vvOrSet is a volume, which the command may make, or set:name.
	vvOrSet = "volume or set"
	// vvAs is volume:name, as a far target is to have it.
	vvAs     = "volume as"
	noObject = "-"
	// mayBe after a kind: the command may make it.
	mayBe = "?"
)

// naming says what the words of a command name.
type naming struct {
	// words are their kinds; the last goes on for those that follow.
	words []string
	// options are those of options' values.
	options map[string]string
	// of is for commands whose words differ.
	of func(a *args) ([]mention, error)
	// joins: all that is named belongs together afterwards.
	joins bool
	// makes is the kind of what the word at makesAt makes, if there is no such object.
	makes   string
	makesAt int
}

func words(kinds ...string) naming { return naming{words: kinds} }

func (m naming) and(option, kind string) naming {
	o := map[string]string{option: kind}
	for k, v := range m.options {
		o[k] = v
	}
	m.options = o
	return m
}

func (m naming) together() naming {
	m.joins = true
	return m
}

func (m naming) making(kind string, at int) naming {
	m.makes, m.makesAt = kind, at
	return m
}

// lastIs is for commands that name a group last.
func lastIs(kind string) naming {
	return naming{of: func(a *args) ([]mention, error) {
		if len(a.rest) == 0 {
			return nil, nil
		}
		return []mention{{kind: kind, name: a.rest[len(a.rest)-1]}}, nil
	}}
}

// namings are the commands that one may give who has a role in some domains only, with what
// their words name. Those that list show what their caller sees. Commands that are not here
// concern the whole array.
func namings() map[string]naming {
	none := words(noObject)
	return map[string]naming{
		"help": none, "showversion": none, "showrole": none, "showsys": none, "showport": none, "changedomain": none,
		"setpassword": none, "setsshkey": none, "removesshkey": none, "showsshkey": none, "showuser": none, "showsshhostkey": none,
		"status": none, "showrcopy": none, "showvv": none, "showcpg": none, "showvlun": none, "showhost": none, "showhostset": none, "showvvset": none,
		"showqos": none, "statqos": none, "showsched": none, "showtask": none, "showalert": none, "showeventlog": none, "showrcopydrill": none,
		"showiscsisession": none, "showdomain": none, "showdomainset": none,
		"setalert": none, "removealert": none, "waittask": none, "canceltask": none, // they ask for their numbers

		"createvv": words(cpgKind, noObject),
		"setvv":    words(vvKind).and("vvset", vvSetKind).and("novvset", vvSetKind).together(),
		"growvv":   words(vvKind, noObject), "removevv": words(vvKind),
		"createhost": words(hostKind, noObject).making(hostKind, 0), "sethost": words(hostKind), "removehost": words(hostKind, noObject),
		"createhostset": words(hostSetKind, hostKind).making(hostSetKind, 0).together(), "removehostset": words(hostSetKind, hostKind),
		"createvvset": words(vvSetKind, vvKind).making(vvSetKind, 0).together(), "removevvset": words(vvSetKind, vvKind),
		"createvlun": words(vvKind, noObject, hostOrSet).together(), "removevlun": words(vvKind, noObject, hostOrSet),
		"setqos":   words(vvSetRef),
		"createsv": words(noObject, vvKind), "creategroupsv": words(snapOf), "promotesv": words(vvKind),
		"createvvcopy": naming{of: copyMentions}.and("p", vvKind).together(),
		"createsched":  {of: schedMentions}, "setsched": words(schedKind), "removesched": words(schedKind),
		"setcpg": words(cpgKind), "verify": words(groupKind, noObject), "explain": words(groupKind),
		"creatercopygroup": words(groupKind, noObject).making(groupKind, 0),
		"protectvvset":     words(vvSetKind, groupKind, noObject).and("host", hostList).making(groupKind, 1).together(),
		"removercopygroup": words(groupKind), "startrcopygroup": words(groupKind), "stoprcopygroup": words(groupKind), "syncrcopy": words(groupKind),
		"admitrcopyvv":     words(vvOrSet, groupKind, noObject).and("cpg", cpgKind).together(),
		"dismissrcopyvv":   words(vvKind, groupKind),
		"admitrcopytarget": words(noObject, noObject, groupKind, vvAs), "dismissrcopytarget": words(noObject, groupKind),
		"admitrcopyhost": naming{of: nearMentions}.together(), "dismissrcopyhost": {of: nearMentions},
		"setrcopygroup": lastIs(groupKind), "controldrrcopygroup": lastIs(groupKind),
		"startrcopydrill": words(groupKind).and("host", hostList).together(), "stoprcopydrill": words(groupKind),
	}
}

// mentions are the objects that a command names.
func (m naming) mentions(a *args) (all []mention, err error) {
	if m.of != nil {
		if all, err = m.of(a); err != nil {
			return nil, err
		}
	}
	for i, w := range a.rest {
		if len(m.words) > 0 {
			all = append(all, mentionsIn(m.words[min(i, len(m.words)-1)], w)...)
		}
	}
	for name, kind := range m.options {
		if f := a.flags.Lookup(name); f != nil && a.given(name) {
			all = append(all, mentionsIn(kind, f.Value.String())...)
		}
	}
	return all, nil
}

// mentionsIn are those of a word of a kind.
func mentionsIn(kind, word string) []mention {
	switch kind {
	case noObject:
		return nil
	case hostOrSet:
		if set, is := cutSet(word); is {
			return []mention{{kind: hostSetKind, name: set}}
		}
		return []mention{{kind: hostKind, name: word}}
	case hostList:
		var all []mention
		for _, w := range list(word) {
			all = append(all, mentionsIn(hostOrSet, w)...)
		}
		return all
	case snapOf:
		_, vv, _ := strings.Cut(word, ":")
		return []mention{{kind: vvKind, name: vv}}
	case vvAs:
		vv, _, _ := strings.Cut(word, ":")
		return []mention{{kind: vvKind, name: vv}}
	case vvOrSet:
		if set, is := cutSet(word); is {
			return []mention{{kind: vvSetKind, name: set}}
		}
		return []mention{{vvKind, word, true}}
	case vvSetRef:
		return []mention{{kind: vvSetKind, name: strings.TrimPrefix(word, vvSetRef)}}
	}
	kind, fresh := strings.CutSuffix(kind, mayBe)
	return []mention{{kind, word, fresh}}
}

// madeBy is what a command makes, unless it is there already.
func (m naming) madeBy(a *args) mention {
	if m.makes == "" || m.makesAt >= len(a.rest) {
		return mention{}
	}
	return mention{kind: m.makes, name: a.rest[m.makesAt]}
}

// copyMentions are those of createvvcopy, whose CPG comes before a new volume.
func copyMentions(a *args) ([]mention, error) {
	dest := mention{kind: vvKind, name: a.rest[len(a.rest)-1], fresh: len(a.rest) == 2}
	if dest.fresh {
		return []mention{{kind: cpgKind, name: a.rest[0]}, dest}, nil
	}
	return []mention{dest}, nil
}

// nearMentions are those of a group and its hosts, in either order.
func nearMentions(a *args) (all []mention, err error) {
	group, hosts := a.n.groupAndHosts(a.rest)
	all = []mention{{kind: groupKind, name: group}}
	for _, h := range hosts {
		all = append(all, mentionsIn(hostOrSet, h)...)
	}
	return all, nil
}

// schedMentions are those of the command that is to be scheduled.
func schedMentions(a *args) (all []mention, err error) {
	words := nameLast(a.rest)
	_, w, err := a.n.scheduled(words[0])
	for _, p := range w.pairs {
		all = append(all, mention{kind: vvKind, name: p.vv})
	}
	return append(all, mention{kind: schedKind, name: words[len(words)-1], fresh: true}), err
}
