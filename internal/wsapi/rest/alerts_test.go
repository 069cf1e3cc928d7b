// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"
	"testing"
)

// TestAlertsOverREST begin and end as events say, and can be acknowledged and, when they have
// ended, removed.
func TestAlertsOverREST(t *testing.T) {
	f := openFaces(t, 1)[0]
	const at = "/api/v1/alerts"
	if all := get[collection[alert]](f, at); all.Total != 0 {
		t.Fatalf("%+v", all)
	}
	f.refuses(http.StatusNotFound, 1116, "GET", at+"/1", "")
	f.refuses(http.StatusBadRequest, 39, "GET", at+"/x", "")
	f.command("setcpg", "-sdgw", "1m", "cpg0")
	f.command("createvv", "-full", "cpg0", "v", "64")
	f.until("the alert", func() bool { return get[collection[alert]](f, at).Total == 1 })
	x := get[alert](f, at+"/1")
	x.Since, x.SinceSecs = "", 0
	want := alert{
		ID: 1, State: "New", Severity: 4, SeverityName: "Minor", Kind: "allocation", Object: "cpg warn cpg0", MessageCode: "0x578000a",
		Description: "CPG cpg0 passed its warning: 64 MiB are allocated, the warning is at 1",
	}
	if x != want {
		t.Errorf("%+v\nwant\n%+v", x, want)
	}
	if one := get[collection[alert]](f, at+`?query=%22state%20EQ%20Acknowledged%22`); one.Total != 0 {
		t.Errorf("%+v", one)
	}
	f.refuses(http.StatusBadRequest, 46, "PUT", at+"/1", `{"state":"Fixed"}`)
	f.refuses(http.StatusConflict, 1102, "DELETE", at+"/1", "")
	f.as("browse").refuses(http.StatusForbidden, 13, "PUT", at+"/1", `{"state":"Acknowledged"}`)
	f.wants(http.StatusOK, "PUT", at+"/1", `{"state":"Acknowledged"}`)
	if s := get[alert](f, at+"/1").State; s != "Acknowledged" {
		t.Error(s)
	}
	f.command("setcpg", "-sdgw", "0", "cpg0")
	f.until("its end", func() bool { return get[alert](f, at+"/1").State == "Fixed" })
	marks := ""
	for _, e := range get[collection[entry]](f, "/api/v1/eventlog").Members {
		if e.Alert != 0 {
			marks += " " + e.Mark + " " + e.SeverityName
		}
	}
	if marks != " began Minor ended Informational" {
		t.Error(marks)
	}
	if x := get[alert](f, at+"/1"); x.Ended == "" || x.EndedSecs < x.SinceSecs || !strings.HasPrefix(x.Ended, "2") {
		t.Errorf("%+v", x)
	}
	f.wants(http.StatusOK, "DELETE", at+"/1", "")
	f.refuses(http.StatusNotFound, 1116, "GET", at+"/1", "")
}
