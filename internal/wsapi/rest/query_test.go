// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// TestFilters: what is selected, spelled as clients do.
func TestFilters(t *testing.T) {
	h := host{Name: "web1", Persona: 2, ISCSIPaths: []iscsiPath{{Name: "iqn.a:1"}, {Name: "iqn.b:2"}}, Descriptors: hostDescriptors{OS: "linux"}, HostSets: []string{"s"}}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]bool{
		`"name EQ web1"`:                true,
		`name EQ web2`:                  false,
		`name NE web2`:                  true,
		`Name eq "web1"`:                true,
		`name==web1`:                    true,
		`name LIKE web%`:                true,
		`persona GE 2 AND persona LT 3`: true,
		`persona GT 2 OR name EQ web1`:  true,

		`persona GT 2 OR name EQ web1 AND name EQ x`:     false,
		`(persona GT 2 OR name EQ web1) AND id GE 0`:     true,
		`initiatorChapEnabled EQ false`:                  true,
		`"iSCSIPaths[name==iqn.b:2]"`:                    true,
		`"iSCSIPaths[name==iqn.c:3 OR name==iqn.a:1]"`:   true,
		`"FCPaths[wwn==1] OR iSCSIPaths[name==iqn.c:3]"`: false,
		`descriptors[os EQ linux]`:                       true,
		`hostSets EQ s`:                                  true,
		`hostSets EQ t`:                                  false,
		`initiatorChapName EQ x`:                         false,
	} {
		f, err := parseFilter(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if err := f.check(reflect.TypeFor[host]()); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if f.holds(v) != want {
			t.Errorf("%s: %v", query, !want)
		}
	}
	for _, query := range []string{
		``, `"`, `name`, `name EQ`, `EQ x`, `name XX y`, `name EQ x y`, `(name EQ x`, `iSCSIPaths[name EQ x`, `name EQ "x`, `name EQ x AND`, `[`, `none EQ x`,
		`name[os EQ x]`, `iSCSIPaths[none EQ x]`, strings.Repeat("(", 50) + "name EQ x", strings.Repeat("name EQ x OR ", 600) + "name EQ x",
	} {
		f, err := parseFilter(query)
		if err == nil {
			err = f.check(reflect.TypeFor[host]())
		}
		if err == nil {
			t.Errorf("%q is taken", query)
		}
	}
}

// FuzzFilter: no query does harm, and one that is taken can be asked.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`"volumeName EQ v"`, `FCPaths[wwn==1 OR wwn==2] OR iSCSIPaths[name==x]`, `(a EQ 1 AND b NE "x y") OR c LIKE %x%`, `a<=1`, `"`} {
		f.Add(s)
	}
	b, err := json.Marshal(host{Name: "web1", ISCSIPaths: []iscsiPath{{Name: "iqn.a:1"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := parseFilter(s)
		if err != nil {
			return
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if q.check(reflect.TypeFor[host]()) == nil {
			q.holds(v)
		}
	})
}

// FuzzBodies: whatever body is sent, it is taken or refused, and no name that is taken
// could pass for an option.
func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"name":"v","cpg":"cpg0","sizeMiB":256}`))
	f.Add([]byte(`{"action":1,"volumeName":"v","targets":[{"targetName":"t","secVolumeName":"v"}]}`))
	f.Add([]byte(`{"pathOperation":1,"iSCSINames":["iqn.x:y"],"chapOperation":1}`))
	f.Add([]byte(`{"action":"createSnapshot","parameters":{"name":"s@count@"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, in := range []any{
			&newVolume{}, &volumeMods{}, &volumeAction{}, &snapshotOf{}, &physicalCopyOf{}, &keyValue{}, &newSet{}, &setMods{}, &newHost{}, &hostMods{}, &newVLUN{},
			&newGroup{}, &groupMods{}, &recovery{}, &targetMods{}, &cpgMods{}, &rate{}, &credentials{}, &taskAction{},
		} {
			c := &call{body: body, r: httptest.NewRequest(http.MethodPost, "/", nil)}
			if err := c.decode(in); err != nil {
				continue
			}
			switch x := in.(type) {
			case *newVolume:
				if _, err := x.how(); err == nil && required("name", x.Name) == nil && strings.HasPrefix(x.Name, "-") {
					t.Fatalf("%q is a name", x.Name)
				}
			case *hostMods:
				words, err := x.paths("h")
				for _, w := range words {
					if err == nil && w != "-add" && strings.HasPrefix(w, "-") {
						t.Fatalf("%q is a word", words)
					}
				}
				_, _ = x.others()
			case *setMods:
				_, _ = setKind{}.words("s", *x)
			case *snapshotOf:
				if snapshotName("name", x.Name) == nil && strings.HasPrefix(x.Name, "-") {
					t.Fatalf("%q is a name", x.Name)
				}
				_, _ = x.life()
			case *newVLUN:
				if lun, err := x.lun(); err == nil && strings.HasPrefix(lun, "-") {
					t.Fatalf("%q is a LUN", lun)
				}
			}
		}
	})
}
