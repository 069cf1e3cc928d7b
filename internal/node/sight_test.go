// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

func twoHosts() *sight {
	return &sight{
		hosts: map[string]Host{"h1": {Name: "h1", Initiators: []string{"iqn.x:1"}}, "h2": {Name: "h2", Initiators: []string{"iqn.x:2"}}},
		sets:  map[string]HostSet{"both": {Name: "both", Hosts: []string{"h1", "h2"}}},
		vvs:   map[array.VolumeID]VV{1: {ID: 1, Name: "v1", Group: 7}, 2: {ID: 2, Name: "v2", Group: 8}},
	}
}

func TestALUNIsOneVolume(t *testing.T) {
	for name, c := range map[string]struct {
		vluns []VLUN
		want  string
	}{
		"of two hosts":                {[]VLUN{{0, 1, "h1"}, {0, 2, "h2"}}, ""},
		"of a host and its set":       {[]VLUN{{0, 1, "h1"}, {0, 2, "set:both"}}, "LUN 0 is taken"},
		"the same, twice the volume":  {[]VLUN{{0, 1, "h1"}, {0, 1, "set:both"}}, ""},
		"at another LUN":              {[]VLUN{{0, 1, "h1"}, {1, 2, "set:both"}}, ""},
		"of a set that doesn't exist": {[]VLUN{{0, 1, "h1"}, {0, 2, "set:none"}}, ""},
	} {
		s := twoHosts()
		s.vluns = c.vluns
		_, err := s.seen()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func TestLUNsThatAreTaken(t *testing.T) {
	s := twoHosts()
	s.vluns = []VLUN{{0, 1, "h1"}, {3, 2, "set:both"}}
	if got := s.takenFor("h1"); len(got) != 2 || !got[0] || !got[3] {
		t.Errorf("h1: %v; want 0 and 3", got)
	}
	if got := s.takenFor("h2"); len(got) != 1 || !got[3] {
		t.Errorf("h2: %v; want 3", got)
	}
	if got := s.takenFor("set:both"); len(got) != 2 {
		t.Errorf("the set: %v; want 0 and 3", got)
	}
}

// TestADescriptionLeavesOwnHostsAlone: volume 2 is this array's own, seen by h2.
func TestADescriptionLeavesOwnHostsAlone(t *testing.T) {
	shared := func(v array.VolumeID) bool { return v == 1 }
	other := Host{Name: "h2", Initiators: []string{"iqn.x:other"}}
	for name, c := range map[string]struct {
		hosts []Host
		vluns []VLUN
		want  string
	}{
		"the same host":                   {[]Host{{Name: "h2", Initiators: []string{"iqn.x:2"}}}, []VLUN{{5, 1, "h2"}}, ""},
		"another host of the name":        {[]Host{other}, []VLUN{{5, 1, "h2"}}, "host h2 is another one"},
		"a host that sees nothing here":   {[]Host{{Name: "h1", Initiators: []string{"iqn.x:new"}}}, []VLUN{{5, 1, "h1"}}, ""},
		"an initiator under another name": {[]Host{{Name: "y", Initiators: []string{"iqn.x:2"}}}, []VLUN{{5, 1, "y"}}, "belongs to host h2 and to host y"},
		"a LUN that is taken":             {nil, []VLUN{{0, 1, "h2"}}, "LUN 0 is taken"},
	} {
		s := twoHosts()
		s.vluns = []VLUN{{0, 2, "h2"}}
		d := Description{Group: RCGroup{ID: 7}, Hosts: c.hosts, VLUNs: c.vluns, VVs: []VV{{ID: 1, Name: "v1", Group: 7}}}
		after, err := s.with(d, "array-b", shared)
		if err == nil {
			_, err = after.seen()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
