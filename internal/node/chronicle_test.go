// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestAudit: who did what, without secrets, is on the array that was asked and on the one
// that did it, also when it failed or was refused, and after a restart.
func TestAudit(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("createuser", "-c", "correct horse", "ann", "all", "edit")
	a.run("createuser", "--c=correct horse", "bob", "all", "browse")
	a.refuses("usage", "createuser", "cam", "all", "edit", "-c", "correct horse")
	a.run("createhost", "-chap", "user:correct-horse-1", "h", iqn1)
	for _, words := range []string{"showvv", "removehost -f h", "removehost -f h", "setpassword -old correct-horse -c new-password", "setpassword -old -c new-password"} {
		if _, err := a.as("ann", words); err != nil && array.KindOf(err) == array.Internal {
			t.Fatal(err)
		}
	}
	if _, err := a.as("bob", "createvv cpg0 v 1"); err == nil {
		t.Error("bob may look only")
	}
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("startrcopygroup", "-wait", "g")
	a.until("the group to be served", func() bool { return b.elsewhere(lastGroup(b.Node, []string{"g"})) })
	if _, err := b.as("ann", "stoprcopygroup -f g"); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.open()
	text := a.run("showeventlog", "-audit", "-csvtable")
	if strings.Contains(text, "horse") || strings.Contains(text, "new-password") || strings.Contains(text, "showvv") {
		t.Errorf("secrets, or what changes nothing, in:\n%s", text)
	}
	for _, want := range []string{
		",root,super,local,socket,createuser -c ******** ann all edit,done\n",
		",root,super,local,socket,createuser -c=******** bob all browse,done\n",
		",root,super,local,socket,createuser cam all edit -c ********,",
		",root,super,local,socket,createhost -chap ******** h " + iqn1 + ",done\n",
		",ann,edit,192.0.2.9:1,ssh,removehost -f h,done\n",
		",ann,edit,192.0.2.9:1,ssh,removehost -f h,host h does not exist\n",
		",ann,edit,192.0.2.9:1,ssh,setpassword -old ******** -c ********,the old password of user ann is wrong\n",
		",bob,browse,192.0.2.9:1,ssh,createvv cpg0 v 1,\"createvv: user bob has the role browse",
		",ann,edit,192.0.2.9:1,array array-b,stoprcopygroup -f g,done\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if text := b.run("showeventlog", "-audit", "-csvtable"); !strings.Contains(text, ",ann,edit,192.0.2.9:1,ssh,stoprcopygroup -f g,done\n") {
		t.Errorf("at the array that was asked:\n%s", text)
	}
	if _, err := a.as("bob", "showeventlog -audit"); array.KindOf(err) != array.Denied {
		t.Errorf("%v", err)
	}
}

// TestWhoMayNothingPushesNothingOut: commands that somebody may not give are in the audit log, and can't
// fill it.
func TestWhoMayNothingPushesNothingOut(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	a.run("createuser", "-c", "correct horse", "bob", "all", "browse")
	a.run("createuser", "-c", "correct horse", "ann", "all", "edit")
	for i := range 2 * maxDenials {
		if _, err := a.as("bob", "removevv -f v"); array.KindOf(err) != array.Denied {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if _, err := a.as("ann", "removehost -f h"); err == nil {
		t.Fatal("there is no host")
	}
	text := a.run("showeventlog", "-audit", "-csvtable")
	if n := strings.Count(text, ",bob,"); n != maxDenials || !strings.Contains(text, ",ann,edit,192.0.2.9:1,ssh,removehost -f h,host h") {
		t.Errorf("%d of bob's are in it:\n%s", n, text)
	}
	if len(a.told("user bob gives commands that he may not give, again and again")) != 1 {
		t.Errorf("nobody is told")
	}
}

// TestEventsStay over a restart, and are chosen from.
func TestEventsStay(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.event("first, and well")
	a.warn("second: take care")
	a.alarm("third, with \"quotes\"")
	a.Close()
	a.open()
	for _, c := range []struct{ options, want string }{
		{"", "first second third"},
		{"-min 5", "first second third"},
		{"-sev Minor", "second"},
		{"-sev minor,maj*", "second third"},
		{"-nsev Info*", "second third"},
		{"-msg take?care", "second"},
		{"-nmsg first*well", "second third"},
		{"-startt 2000-01-01", "first second third"},
		{"-endt 2000-01-01", ""},
		{"-more -oneline -msg quotes", "third"},
	} {
		text := a.run(strings.Fields("showeventlog -nohdtot " + c.options)...)
		var got []string
		for _, w := range []string{"first", "second", "third"} {
			if strings.Contains(text, w) {
				got = append(got, w)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q:\n%s", c.options, got, c.want, text)
		}
	}
	a.refuses("want a number of minutes", "showeventlog", "-min", "-1")
	a.refuses("a day or a time of today", "showeventlog", "-startt", "soon")
	if text := a.run("showeventlog", "-csvtable", "-msg", "third"); !strings.HasPrefix(text, "Time,Severity,Message\n") || !strings.HasSuffix(text, `,Major,"third, with ""quotes"""`+"\n") {
		t.Error(text)
	}
}
