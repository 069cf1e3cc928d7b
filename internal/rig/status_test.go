// SPDX-License-Identifier: Apache-2.0

package rig

import "testing"

func TestParseStatus(t *testing.T) {
	text := "array   array-a  system 1, start 1\n" +
		"group   g        serving array array-b, home array array-a, Secondary-Rev, Started, Synced\n" +
		"                 not served here: the other array owns the order\n" +
		"group   other    serving array nobody known here, home array array-a, Secondary, Failsafe, Stale\n"
	s, err := parseStatus(text, "g")
	want := Status{Serving: "array-b", Role: "Secondary-Rev", State: "Started", Sync: "Synced", Reason: "the other array owns the order"}
	if err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parseStatus(text, "other"); err != nil || s.Serving != "nobody known here" || s.Reason != "" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "group g", "group g nothing known", "group g serving array x, y"} {
		if s, err := parseStatus(bad, "g"); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}
