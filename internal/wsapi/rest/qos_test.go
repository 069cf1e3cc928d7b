// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"testing"
)

// TestRules: they are made, changed member by member, and removed, and are those of the
// command line on both arrays.
func TestRules(t *testing.T) {
	a, b := furnish(t)
	const v = "/api/v1/qos/vvset:apps"
	a.wants(http.StatusOK, "PUT", v, `{"ioMaxLimit":500}`)
	a.wants(http.StatusOK, "PUT", v, `{"bwMaxLimitOP":2,"latencyGoaluSecs":700,"enable":false,"priority":1}`)
	got := get[rule](a, v)
	if got.IOMaxLimit != 500 || got.BWMaxLimit != 0 || got.Enabled || got.Priority != 1 || got.IOMinGoal != 100 || got.LatencyGoalUs != 700 {
		t.Errorf("%+v", got)
	}
	if there := get[rule](b, v); there.IOMaxLimit != 500 || there.Enabled {
		t.Errorf("on the other array: %+v", there)
	}
	if s := get[set](a, "/api/v1/volumesets/apps"); s.QoSEnabled {
		t.Error("a rule that is off limits the set")
	}
	b.wants(http.StatusOK, "DELETE", v, "")
	a.refuses(http.StatusNotFound, 100, "GET", v, "")
	a.wants(http.StatusCreated, "POST", "/api/v1/qos", `{"name":"apps","type":1,"ioMaxLimit":10}`)
	if s := get[set](b, "/api/v1/volumesets/apps"); !s.QoSEnabled {
		t.Error("the rule does not limit the set")
	}
}
