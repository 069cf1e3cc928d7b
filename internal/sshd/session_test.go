// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"strings"
	"testing"
)

// TestADefectEndsItsSessionOnly: others go on, and new ones begin.
func TestADefectEndsItsSessionOnly(t *testing.T) {
	r := newRig(t, Limits{})
	if out, errs, status := r.exec("ann", "fail"); out != "" || !strings.Contains(errs, "the session failed in the array") || status != 1 {
		t.Errorf("%q, %q, %d", out, errs, status)
	}
	if out, _, status := r.exec("ann", "show"); out == "" || status != 0 {
		t.Errorf("%q, %d", out, status)
	}
}

// TestSessionInADomain: a session is in the domain that it entered, until it ends, and no other
// session is.
func TestSessionInADomain(t *testing.T) {
	r := newRig(t, Limits{})
	out, errs, status := r.exec("ann", "domain; changedomain shop; domain")
	if out != "\nshop\n" || status != 0 {
		t.Errorf("%q, %q, %d", out, errs, status)
	}
	if out, _, _ := r.exec("ann", "domain"); out != "\n" {
		t.Errorf("another session is in domain %q", out)
	}
	if got := r.shell("ann", false, "changedomain shop\ndomain\nexit\n"); !strings.Contains(got, "\r\nshop\r\n") && !strings.Contains(got, "\nshop\n") {
		t.Errorf("%q", got)
	}
	if err := r.book.Enter("", "shop"); err == nil {
		t.Error("no session entered a domain")
	}
}
