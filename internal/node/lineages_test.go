// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
)

// TestTwoLineages: a person makes an array serve that the other one left out. What says so
// says what that loses, and each screen names the command that ends it, once.
func TestTwoLineages(t *testing.T) {
	long(t)
	t.Parallel()
	a, b := paired(t)
	b.Close()
	a.alone()
	a.Close()
	b.open()
	b.refuses("'setrcopygroup failover -f g' makes array array-b serve it without the votes: what only array array-a holds is then lost", "setrcopygroup", "failover", "g")
	b.says("group g is served by array array-b now, from its own copy: it went from #0.", "setrcopygroup", "failover", "-f", "g")
	b.alone()
	a.open()

	const ends = "'setrcopygroup discard -f g' on the array whose copy is to be given up"
	record := func(x *testArray) string {
		for _, l := range strings.Split(x.run("explain", "g"), "\n") {
			if s, is := strings.CutPrefix(l, "record"); is {
				return strings.TrimSpace(s)
			}
		}
		return "none"
	}
	a.until("a to find out", func() bool { return strings.Contains(a.run("status"), ends) })
	b.until("b to find out", func() bool { return strings.Contains(b.run("explain", "g"), ends) })
	for _, x := range []*testArray{a, b} {
		x.says(ends, "explain", "g")
		r := x.shared()[0]
		all := x.groupConditions(r)
		if len(all) != 1 || strings.Count(all[0].text, "lineage") != 1 || strings.Count(all[0].text, ends) != 1 {
			t.Errorf("%s alerts of %v", x.cfg.Name, all)
		}
		for _, words := range [][]string{{"startrcopygroup", "g"}, {"startrcopygroup", "-wait", "g"}, {"syncrcopy", "-w", "g"}, {"setrcopygroup", "recover", "g"}, {"setrcopygroup", "switchover", "g"}} {
			x.refuses(ends, words...)
		}
	}
	a.refuses("holds "+record(b)+", a lineage of its own: 'setrcopygroup discard -f g' here gives up the copy of this array; to keep it instead, stop the other array and say 'setrcopygroup override -f g' here", "setrcopygroup", "failover", "-f", "g")
	a.run("setrcopygroup", "discard", "-f", "g")
	b.run("startrcopygroup", "-wait", "g")
	if s := b.run("explain", "g"); strings.Contains(s, ends) {
		t.Error(s)
	}
}
