// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/people"
)

// concrete is a route's path with something in place of its parts.
func concrete(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch name, is := parameter(s); {
		case !is:
		case name == "vlun":
			segments[i] = "v,1,h"
		case name == "persona", name == "task", name == "alert":
			segments[i] = "1"
		default:
			segments[i] = "x"
		}
	}
	return base + strings.Join(segments, "/")
}

// TestNothingWithoutASession: no route but the open ones answers strangers, or those whose
// session is over.
func TestNothingWithoutASession(t *testing.T) {
	f := openFaces(t, 1)[0]
	for _, key := range []string{"", "no key", strings.Repeat("x", 4000)} {
		f.key = key
		open := 0
		for _, r := range routes() {
			if r.open {
				open++
				continue
			}
			f.refuses(http.StatusForbidden, 6, r.method, concrete(r.path), `{}`)
		}
		if open != 3 {
			t.Errorf("%d routes are open", open)
		}
	}
}

// TestRolesMayNoMore: whoever may only look changes nothing, whatever is asked.
func TestRolesMayNoMore(t *testing.T) {
	f := openFaces(t, 1)[0]
	f.wants(http.StatusCreated, "POST", "/api/v1/volumes", `{"name":"x","cpg":"cpg0","sizeMiB":64}`)
	browse, create, service := f.as("browse"), f.as("create"), f.as("service")
	for _, r := range routes() {
		if r.right != people.Look && !r.open {
			browse.refuses(http.StatusForbidden, 13, r.method, concrete(r.path), `{}`)
		}
		if r.right == people.Users {
			create.refuses(http.StatusForbidden, 13, r.method, concrete(r.path), `{}`)
		}
		if r.right == people.Change {
			create.refuses(http.StatusForbidden, 13, r.method, concrete(r.path), `{}`)
			service.refuses(http.StatusForbidden, 13, r.method, concrete(r.path), `{}`)
		}
	}
	// What a route lets in, the command may still refuse.
	create.refuses(http.StatusForbidden, 13, "POST", "/api/v1/volumes/x", `{"action":"createPhysicalCopy","parameters":{"destVolume":"y","destCPG":"cpg0","online":true}}`)
	create.wants(http.StatusCreated, "POST", "/api/v1/volumes", `{"name":"y","cpg":"cpg0","sizeMiB":64}`)
	browse.wants(http.StatusOK, "GET", "/api/v1/volumes/x", "")
}

// TestForceNeedsItsRight: to promote without votes takes more than to change.
func TestForceNeedsItsRight(t *testing.T) {
	a, b := furnish(t)
	edit := b.as("edit")
	edit.refuses(http.StatusForbidden, 13, "POST", "/api/v1/remotecopygroups/g", `{"action":7,"force":true}`)
	edit.refuses(http.StatusForbidden, 13, "POST", "/api/v1/remotecopygroups/g", `{"action":11}`)
	if g, err := a.n.Group("g"); err != nil || !g.ServedHere {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestActsAreKnown: what is changed through REST is in the audit log, with who and how,
// and without secrets.
func TestActsAreKnown(t *testing.T) {
	f := openFaces(t, 1)[0]
	f.as("edit").wants(http.StatusCreated, "POST", "/api/v1/hosts", `{"name":"h","iSCSINames":["iqn.2026-01.org.example:h"]}`)
	f.wants(http.StatusOK, "PUT", "/api/v1/hosts/h", `{"chapOperation":1,"chapOperationMode":1,"chapName":"u","chapSecret":"very secret thing"}`)
	text, err := f.n.Run(t.Context(), []string{"showeventlog", "-audit"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "edit") || !strings.Contains(text, "rest") || !strings.Contains(text, "createhost") || strings.Contains(text, "very secret") {
		t.Error(text)
	}
}
