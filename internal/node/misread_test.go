// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
)

// TestWrongWordsAreTold: what is wrong names the object, the value, and what would be right;
// and nothing is changed by it.
func TestWrongWordsAreTold(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a := as[0]
	a.run("createvv", "cpg0", "v", "64")
	a.run("createhost", "h", iqn1)
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "w", "g")
	a.run("startrcopygroup", "-wait", "g")
	before := a.run("showvv", "-d") + a.run("showhost", "-d") + a.run("showrcopy", "-d", "groups")
	long := strings.Repeat("x", 40)
	for words, tells := range map[string][]string{
		"createvv cpg0 x":                                     {"createvv", "2, want 3", "usage: createvv"},
		"createvv cpg0 " + long + " 64":                       {long, "1 to 31"},
		"createvv cpg9 x 64":                                  {"CPG cpg9", "array-a", "cpg0"},
		"createvv cpg0 .x 64":                                 {`".x"`, "neither '.' nor '-' first"},
		"createvv cpg0 x 10k":                                 {"volume x", `"10k"`, "MiB"},
		"createvv -bogus cpg0 x 10":                           {"there is no option -bogus"},
		"createvv -usr_aw lots cpg0 x 10":                     {`-usr_aw "lots"`, "want a number"},
		"createvv -usr_aw 101 cpg0 x 10":                      {"volume x", "-usr_aw 101", "1 to 100"},
		"createvv -setkv a cpg0 x 10":                         {"volume x", `-setkv "a"`, "key=value"},
		"createvv cpg0 x 10 -comment":                         {"4, want 3", "-comment stands after 10", "options come first"},
		"growvv v much":                                       {"volume v", `"much"`},
		"createhost -persona 77 i iqn.2026-01.org.example:9":  {"host i", "-persona 77", "11 (VMware)"},
		"createhost i nonsense":                               {"host i", `"nonsense"`, "iqn."},
		"createhost -chap u i iqn.2026-01.org.example:9":      {"host i", "-chap", "12 to 64"},
		"sethost h -persona 1":                                {"-persona stands after h"},
		"createvlun v x h":                                    {"volume v", `"x"`, "0 to 16383"},
		"removevlun -f v 1 h":                                 {"volume v", "LUN 1", "showvlun -v v"},
		"setuser u":                                           {"-role"},
		"promotesv v":                                         {"volume v", "not a read-only snapshot"},
		"createvvcopy -p v v":                                 {"volume v", "to itself"},
		"createsched -x a b":                                  {"there is no option -x"},
		"setsched -s foo none":                                {`"foo"`, "minute hour dom month dow"},
		"creatercopygroup h nobody:sync":                      {"group h", `"nobody"`, "array-b"},
		"admitrcopyvv -createvv -size 5x n g":                 {"volume n", `"5x"`},
		"admitrcopyvv -createvv -size 5 -cpg c n g":           {"CPG c", "cpg0"},
		"admitrcopyvv -createvv -size 5 " + long + " g":       {long, "1 to 31"},
		"dismissrcopyvv -f w none":                            {"group none does not exist"},
		"setrcopygroup fly g":                                 {`"fly"`, "switchover", "help setrcopygroup"},
		"showvv -cpg none":                                    {"CPG none", "cpg0"},
		"showvlun -v none":                                    {"volume none"},
		"showvlun -host set:none":                             {"host set none"},
		"showvlun -l x":                                       {`-l "x"`, "want a number"},
		"showeventlog -sev Info":                              {`"Info"`, "Informational, Minor or Major"},
		"setcpg -sdgw x cpg0":                                 {"CPG cpg0", `"x"`},
		"createvv -usr_al 99999999999999999999999 cpg0 x 10":  {"want a smaller number"},
		"createvv -tpvv=maybe cpg0 x 10":                      {`-tpvv "maybe"`, "true or false"},
		"setvv -vvset none v":                                 {"volume set none", "createvvset none v"},
		"removevv v":                                          {"volume v", "say -f"},
		"createsched hourly createsv_v 0":                     {"createsv or creategroupsv"},
		"createhostset -comment":                              {"-comment needs a value"},
		"setrcopygroup pol prefer=array-b,auto_failover none": {"group none does not exist"},
	} {
		for _, want := range tells {
			a.refuses(want, strings.Fields(words)...)
		}
	}
	for _, words := range [][]string{
		{"setvv", "-comment", "a\x1b[2J", "v"},
		{"setvv", "-comment", "one\ntwo", "v"},
		{"setvv", "-setkv", "a=\u009b", "v"},
		{"createvv", "-comment", "\xff", "cpg0", "x", "64"},
		{"sethost", "-loc", "\x07", "h"},
		{"createhostset", "-comment", "\r", "s"},
		{"createvv", "cpg0", "x\x00", "64"},
	} {
		a.refuses("printable characters only", words...)
	}
	if after := a.run("showvv", "-d") + a.run("showhost", "-d") + a.run("showrcopy", "-d", "groups"); after != before {
		t.Errorf("what was refused changed something:\n%s\n%s", before, after)
	}
}
