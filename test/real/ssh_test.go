// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// client is OpenSSH's, on the host.
type client struct {
	*pair
	key string
	// known is the file of hosts that it knows.
	known string
}

// ssh runs OpenSSH with options and a command, and returns what it printed, and whether it
// said that all went well. What input has is sent at once.
func (c *client) ssh(array int, user, options, command, input string) (out, errs string, ok bool) {
	c.t.Helper()
	errFile := filepath.Join(c.Dir, "ssh.err")
	at := c.Lab.Node(rig.Node(array)).Addr(lab.Fabric1)
	script := fmt.Sprintf("printf '%%s' \"$INPUT\" | exec ssh -p 2222 -o UserKnownHostsFile=%s -o GlobalKnownHostsFile=/dev/null -o HostKeyAlias=%s -o StrictHostKeyChecking=accept-new -o ConnectTimeout=10 %s %s@%s %s 2>%s",
		c.known, rig.Name(array), options, user, at, command, errFile)
	ctx, cancel := context.WithTimeout(c.t.Context(), setUpIn)
	defer cancel()
	out, err := c.Lab.Node(lab.Host).Run(ctx, "env", "INPUT="+input, "SSH_ASKPASS="+filepath.Join(c.Dir, "password"), "SSH_ASKPASS_REQUIRE=force", "sh", "-c", script)
	b, e := os.ReadFile(errFile)
	c.must(e)
	return out, string(b), err == nil
}

func (c *client) byKey() string { return "-o BatchMode=yes -o IdentitiesOnly=yes -i " + c.key }

const byPassword = "-o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1"

// TestOpenSSH lets the real client give commands: alone, in a shell as scripts use it, and
// with a terminal; by password and by key; as those who may and those who may not.
func TestOpenSSH(t *testing.T) {
	need(t, "ssh", "ssh-keygen")
	p := newRig(t)
	for i := range 2 {
		p.configure(i, "size_mib = 1024\n", "size_mib = 64\n\n[ssh]\nlisten = [\"0.0.0.0:2222\"]\n")
	}
	p.bringUp(1, "64m")
	c := &client{pair: p, key: filepath.Join(p.Dir, "id_rsa"), known: filepath.Join(p.Dir, "known")}
	ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	_, err := p.Lab.Node(lab.Host).Run(ctx, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "ann at work", "-f", c.key)
	p.must(err)
	pub, err := os.ReadFile(c.key + ".pub")
	p.must(err)
	p.must(os.WriteFile(filepath.Join(p.Dir, "password"), []byte("#!/bin/sh\necho correct horse\n"), 0o700))
	p.command(rig.A, "createuser", "-c", "correct horse", "ann", "all", "edit")
	p.command(rig.A, "createuser", "-c", "correct horse", "bob", "all", "browse")
	p.command(rig.A, append([]string{"setsshkey", "-u", "ann"}, strings.Fields(string(pub))...)...)

	c.alone()
	c.shells()
	c.many()
	c.roles()

	c.otherHostKeys()

	// The array is known again after a restart; the users are too.
	p.must(p.Array(rig.A).Kill())
	p.start(rig.A)
	if out, errs, ok := c.ssh(rig.A, "ann", c.byKey(), "showuser -nohdtot", ""); !ok || !strings.Contains(out, "ann") || !strings.Contains(out, "bob") {
		t.Errorf("after a restart: %q, %q", out, errs)
	}
	p.whole()
}

// otherHostKeys gives the array others: a client that logged in between knows them, one that did not
// takes it for another one.
func (c *client) otherHostKeys() {
	c.t.Helper()
	known := c.known
	defer func() { c.known = known }()
	login := func(file, options string) bool {
		c.known = file
		out, errs, ok := c.ssh(rig.A, "ann", options+" "+c.byKey(), "'showsshhostkey -public'", "")
		if !ok {
			c.t.Logf("%s: %q, %q", options, out, errs)
		}
		return ok
	}
	knows := func(file string) bool {
		b, err := os.ReadFile(file)
		c.must(err)
		for _, key := range strings.Split(strings.TrimSpace(c.command(rig.A, "showsshhostkey", "-public")), "\n") {
			if !strings.Contains(string(b), " "+key) { // the name is hashed
				return false
			}
		}
		return true
	}
	left := known + ".left"
	b, err := os.ReadFile(known)
	c.must(err)
	c.must(os.WriteFile(left, b, 0o600))
	for _, by := range []string{"ssh-ed25519,rsa-sha2-512", "rsa-sha2-256,ssh-ed25519", "rsa-sha2-512,ssh-ed25519"} {
		c.command(rig.A, "createsshhostkey", "-f")
		if !login(known, "-o UpdateHostKeys=yes -o HostKeyAlgorithms="+by) || !knows(known) {
			b, _ := os.ReadFile(known)
			c.t.Fatalf("over %s a client does not learn the keys to come: it knows\n%s", by, b)
		}
		if !login(known, "-o UpdateHostKeys=no") || !login(left, "-o UpdateHostKeys=no") {
			c.t.Fatal("keys to come are in the place of others already")
		}
		c.command(rig.A, "setsshhostkey", "-f", "-next")
		if !login(known, "-o UpdateHostKeys=no") {
			c.t.Fatalf("over %s: what a client learnt is not what the array has", by)
		}
		if login(left, "-o UpdateHostKeys=no") {
			c.t.Fatal("keys that are gone still prove the array")
		}
		b, err := os.ReadFile(known)
		c.must(err)
		c.must(os.WriteFile(left, b, 0o600))
	}
}

// alone gives single commands, as the Go and Python clients of OpenSVC do.
func (c *client) alone() {
	c.t.Helper()
	for _, way := range []string{c.byKey(), byPassword} {
		out, errs, ok := c.ssh(rig.A, "ann", way, "'setclienv csvtable 1; setclienv nohdtot 1; showrcopy groups; exit'", "")
		lines := strings.Split(out, "\n")
		if !ok || len(lines) != 3 || !strings.HasPrefix(lines[0], group+",array-b,Started,Primary,Sync,\"auto_recover,") ||
			!strings.HasPrefix(lines[1], ","+group+".0,") || !strings.HasSuffix(lines[1], ",Synced,NA") || lines[2] != "" {
			c.t.Errorf("showrcopy groups says %q, %q", out, errs)
		}
	}
	out, errs, ok := c.ssh(rig.A, "ann", c.byKey(), "'showrcopy groups nothing'", "")
	if ok || !strings.Contains(errs, "group matching nothing does not exist") {
		c.t.Errorf("a group that is none: %q, %q", out, errs)
	}
	// Asked at the array that does not serve the group.
	if out, errs, ok := c.ssh(rig.B, "ann", c.byKey(), "'setrcopygroup pol no_auto_recover "+group+"'", ""); !ok || out != "" {
		c.t.Errorf("through the other array: %q, %q", out, errs)
	}
	if text := c.command(rig.A, "showrcopy", "groups", group); strings.Contains(text, "auto_recover") {
		c.t.Errorf("it was not done: %s", text)
	}
	c.command(rig.A, "setrcopygroup", "pol", "auto_recover", group)
	if text := c.command(rig.A, "showeventlog", "-audit", "-csvtable"); !strings.Contains(text, ",array array-b,setrcopygroup pol no_auto_recover g,done") {
		c.t.Errorf("the audit log lacks it:\n%s", text)
	}
}

// shells gives three lines, and takes away what the incumbent's python client does.
func (c *client) shells() {
	c.t.Helper()
	for _, terminal := range []string{"-T", "-tt"} {
		for _, x := range []struct{ command, first string }{
			{"showrcopy links", ""},
			{"showhost", "Name,Persona,-WWN/iSCSI_Name-,Port"},
			{"removehost nothing", "host nothing does not exist"},
		} {
			out, errs, _ := c.ssh(rig.A, "ann", byPassword+" "+terminal, "", "setclienv csvtable 1\n"+x.command+"\nexit\n")
			lines := strings.Split(out, "\r\n")
			want := []string{"setclienv csvtable 1", x.command, "exit", "array-a cli% setclienv csvtable 1", "array-a cli% " + x.command}
			if len(lines) < 8 || strings.Join(lines[:5], "|") != strings.Join(want, "|") || strings.Join(lines[len(lines)-2:], "|") != "array-a cli% exit|" {
				c.t.Errorf("%s %s: %q, %q", terminal, x.command, out, errs)
				continue
			}
			lines = lines[5 : len(lines)-2]
			if lines[0] != x.first || strings.HasPrefix(x.command, "showrcopy") && !strings.Contains(lines[2], "Started") {
				c.t.Errorf("%s %s: %q", terminal, x.command, lines)
			}
		}
	}
}

// many gives a part of the commands alone, rightly and wrongly, and as CSV: what is right ends
// with 0 and says nothing else, what is wrong says one sentence on standard error only.
func (c *client) many() {
	c.t.Helper()
	for _, x := range []struct {
		words, says string
		wrong       bool
	}{
		{"createvv -tpvv cpg0 one 64", "", false},
		{"createvv cpg0 one 64", "exists", true},
		{"showvv -csvtable -nohdtot -showcols Name,VSize_MB one", "one,64\n", false},
		{"setvv -comment hers one", "", false},
		{"createsv -ro one.sv one", "", false},
		{"removevv -f one", "one.sv", true},
		{"removevv -f one.sv", "", false},
		{"removevv one", "say -f", true},
		{"removevv -f one", "", false},
		{"showvlun -t -csvtable -nohdtot -v nothing", "does not exist", true},
		{"showalert -oneline", "0 total", false},
		{"setalert ack 99", "alert 99 does not exist", true},
		{"showrctransport -csvtable -nohdtot", "0:0:1,ready,", false},
		{"statrcopy -hb -d 1 -csvtable", "Hb_Avg_ms", false},
		{"statrcopy -u x", "want k, m or g", true},
		{"checkrclink -time 1 0:0:1", "0 lost, 0 damaged", false},
		{"checkrclink 0:0:9", "does not exist", true},
		{"stoprcopy -f", "groups are started: g", true},
		{"showtask -csvtable -nohdtot -all", "check_link", false},
		{"syncrcopy -w g", "", false},
		{"admitrcopytarget array-b sync g", "Target is already in this group", true},
		{"showeventlog -csvtable -nohdtot -sev Nothing", "want Informational", true},
		{"frobnicate", "unknown command", true},
	} {
		out, errs, ok := c.ssh(rig.A, "ann", c.byKey(), "'"+x.words+"'", "")
		said := out
		if x.wrong {
			said = errs
		}
		if ok == x.wrong || !strings.Contains(said, x.says) || x.says == "" && out != "" || x.wrong && (out != "" || strings.Count(strings.TrimSpace(errs), "\n") > 0) {
			c.t.Errorf("%s: %v, %q, %q", x.words, ok, out, errs)
		}
	}
}

// roles: who may look only changes nothing, and who is nobody gets nowhere.
func (c *client) roles() {
	c.t.Helper()
	before := c.command(rig.A, "showvv", "-d")
	for _, words := range []string{"createvv cpg0 x 64", "removevlun -f g.0 0 host", "setrcopygroup switchover g", "createuser -c correct-horse eve all super", "showeventlog -audit"} {
		if out, errs, ok := c.ssh(rig.A, "bob", byPassword, words, ""); ok || !strings.Contains(errs, "lacks the right") {
			c.t.Errorf("bob: %s: %q, %q", words, out, errs)
		}
	}
	if _, errs, ok := c.ssh(rig.A, "ann", byPassword, "setrcopygroup override -f g", ""); ok || !strings.Contains(errs, "lacks the right") {
		c.t.Errorf("ann forces: %q", errs)
	}
	if after := c.command(rig.A, "showvv", "-d"); after != before {
		c.t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	for user, way := range map[string]string{"eve": byPassword, "bob": c.byKey(), "root": byPassword} {
		if out, _, ok := c.ssh(rig.A, user, way, "status", ""); ok || out != "" {
			c.t.Errorf("%s is in: %q", user, out)
		}
	}
	if out, errs, ok := c.ssh(rig.A, "bob", byPassword, "status", ""); !ok || !strings.Contains(out, "serving array array-a") {
		c.t.Errorf("bob looks: %q, %q", out, errs)
	}
}
