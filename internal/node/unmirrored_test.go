// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/group"
)

// TestAnUnmirroredVolumeIsNoGroup for people: what is told of it names the volume, also by
// its newest name.
func TestAnUnmirroredVolumeIsNoGroup(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	for _, name := range []string{"v", "w"} {
		a.run("createvv", "cpg0", name, "16m")
	}
	a.run("setvv", "-name", "renamed", "w")
	for _, name := range []string{"v", "renamed"} {
		v := a.stored(name)
		a.mu.RLock()
		g := a.groups[v.Group].g
		a.mu.RUnlock()
		g.Damaged(v.ID, 0) // nothing can repair it here
		a.until("it to be told", func() bool { return len(a.told("volume "+name+": ")) > 0 })
		g.Close()
		if _, err := g.Info(); err == nil || !strings.Contains(err.Error(), "volume "+name+" is closed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if bad := a.told("group"); len(bad) > 0 {
		t.Errorf("people are told of groups that they did not make:\n%s", strings.Join(bad, "\n"))
	}
}

// TestCopiesThatDiffer are an alert until they are found to be alike, or gone.
func TestCopiesThatDiffer(t *testing.T) {
	t.Parallel()
	a, _ := paired(t)
	differ := func() {
		a.verified("g", group.Verified{Pages: 9, Different: 1}, "group g was verified: 1 different")
		a.alert("New Major copies g")
	}
	differ()
	a.lookAtCopies()
	a.look(goneFor)
	a.alert("New Major copies g")
	a.run("verify", "g")
	a.alert("Fixed Major copies g")
	differ()
	a.run("stoprcopygroup", "-f", "g")
	a.run("removercopygroup", "-f", "-destroy", "g")
	a.lookAtCopies()
	if strings.Contains(a.stand(), "New Major copies") {
		t.Errorf("the alerts are %s", a.stand())
	}
	if AlertCode(kindCopies) != 0x578000d {
		t.Errorf("its code is %#x", AlertCode(kindCopies))
	}
}
