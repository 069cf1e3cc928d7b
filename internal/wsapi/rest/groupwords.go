// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"reflect"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

// What a member of a request on a group asks for is done, or the request is refused: nothing
// that a client says is left out in silence.

// goesWith refuses members that an action does not know.
func (in groupMods) goesWith(action int) error {
	known := map[int][]string{
		actionAdmit:   {"volumeName", "targets", "snapshotName", "volumeAutoCreation", "differentSecondaryWWN", "skipInitialSync"},
		actionDismiss: {"volumeName", "keepSnap", "removeVolume", "removeSecondaryVolume"},
		actionStart:   {"targetName", "targets", "skipInitialSync", "startingSnapshots"},
		actionStop:    {"targetName", "targets", "noSnapshot"},
		actionSync:    {"targetName", "targets", "noResyncSnapshot", "fullSync"},
	}[action]
	v := reflect.ValueOf(in)
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name != "action" && !v.Field(i).IsZero() && !slices.Contains(known, name) {
			return fail(wsapi.ParamConflict, name, "%s does not go with action %d: want %s", name, action, strings.Join(known, ", "))
		}
	}
	return nil
}

// changeAlone refuses members that belong to an action where there is none.
func (in groupMods) changeAlone() error {
	v := reflect.ValueOf(in)
	known := []string{"targets", "force", "localUserCPG", "localSnapCPG", "unsetUserCPG", "unsetSnapCPG"}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if !v.Field(i).IsZero() && !slices.Contains(known, name) {
			return fail(wsapi.ParamConflict, name, "%s goes with an action, and there is none: want %s", name, strings.Join(known, ", "))
		}
	}
	for _, t := range in.Targets {
		if t.SecVolumeName != "" {
			return fail(wsapi.ParamConflict, "targets.secVolumeName", "secVolumeName goes with action 1 alone")
		}
	}
	return nil
}

// can refuses what no recovery here does. The snapshots that noSnapshot and skipPromote are
// about are those of a periodic group: of a synchronous one there are none.
func (in recovery) can(f node.GroupFact) error {
	periodic := f.Period > 0 || len(f.Outside) > 0
	for _, x := range []struct {
		ref string
		not bool
		why string
	}{
		{"skipStart", in.SkipStart, "a group goes on when it is known who serves it: stop it afterwards"},
		{"skipSync", in.SkipSync, "what the other copy lacks is sent as soon as both arrays know who serves"},
		{"noSnapshot", in.NoSnapshot && periodic, "a periodic group has its points as snapshots"},
		{"skipPromote", in.SkipPromote && periodic, "a periodic group goes on from its newest point"},
		{
			"discardNewData", in.DiscardNewData && !in.Force && in.Action != actionOverride,
			"nothing that only one array holds is thrown away without force",
		},
		{"localGroupsDirection", in.LocalGroupsDirection, "a group has one direction, which both arrays know"},
	} {
		if x.not {
			return fail(wsapi.Unsupported, x.ref, "%s is not offered: %s", x.ref, x.why)
		}
	}
	if in.Force && in.Action != actionFailover && in.Action != actionOverride {
		return fail(wsapi.ParamConflict, "force", "force goes with action 7, failover: what only the other array holds is lost with it")
	}
	return nil
}

func keepsNoSnap() error {
	return fail(wsapi.Unsupported, "keepSnap", "snapshots go with their volume: leave the volume, or leave keepSnap out")
}

// groupBusy is what a group can't be changed for because of a copy to or from a volume of it.
func groupBusy(err error) error {
	return meant(err, wsapi.GroupBusy, array.Copied, array.CopyTarget)
}

// maySync refuses to wait for a copy that nothing will make.
func maySync(f node.GroupFact) error {
	switch {
	case empty(f):
		return fail(wsapi.GroupEmpty, "", "group %s has no volumes", f.Name)
	case !f.Contact:
		return fail(wsapi.TargetNotReady, "", "group %s can't get in sync: the other array does not answer; it will by itself when that returns", f.Name)
	case f.State == "Stopped":
		return fail(wsapi.NotStarted, "", "group %s is stopped: start it, by action 3", f.Name)
	}
	return nil
}
