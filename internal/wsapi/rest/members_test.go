// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// membersIn collects the members of what a schema describes.
func membersIn(o object, into map[string]bool) {
	if of, is := o["items"].(object); is {
		membersIn(of, into)
	}
	if of, is := o["additionalProperties"].(object); is {
		membersIn(of, into)
	}
	members, _ := o["properties"].(object)
	for name, of := range members {
		into[name] = true
		membersIn(of.(object), into)
	}
}

// TestMembersAreNamed: docs/rest.md names every member of every answer.
func TestMembersAreNamed(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/rest.md")
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, r := range routes() {
		if r.out == nil {
			continue
		}
		members := map[string]bool{}
		membersIn(schema(reflect.TypeOf(r.out)), members)
		all += len(members)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			if !strings.Contains(string(docs), "`"+name+"`") {
				t.Errorf("%s %s: docs/rest.md does not name `%s`", r.method, r.path, name)
			}
		}
	}
	if all < 300 {
		t.Errorf("only %d members were looked for", all)
	}
}
