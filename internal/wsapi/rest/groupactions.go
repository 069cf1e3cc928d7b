// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

// groupMods changes a group. Which members there may be depends on the action.
type groupMods struct {
	Action *int `json:"action,omitempty"`
	// Of admission and dismissal.
	VolumeName         string           `json:"volumeName,omitempty"`
	Targets            []groupTargetMod `json:"targets,omitempty"`
	SnapshotName       string           `json:"snapshotName,omitempty"`
	VolumeAutoCreation bool             `json:"volumeAutoCreation,omitempty"`
	DifferentWWN       bool             `json:"differentSecondaryWWN,omitempty"`
	KeepSnap           bool             `json:"keepSnap,omitempty"`
	RemoveVolume       bool             `json:"removeVolume,omitempty"`
	RemoveSecondary    bool             `json:"removeSecondaryVolume,omitempty"`
	// Of start, stop and sync.
	SkipInitialSync   bool            `json:"skipInitialSync,omitempty"`
	TargetName        string          `json:"targetName,omitempty"`
	StartingSnapshots []startSnapshot `json:"startingSnapshots,omitempty"`
	NoSnapshot        bool            `json:"noSnapshot,omitempty"`
	NoResyncSnapshot  bool            `json:"noResyncSnapshot,omitempty"`
	FullSync          bool            `json:"fullSync,omitempty"`
	// Of changes without an action. Force ends activeActive though a host is not logged in
	// at the array that is to serve alone.
	Force        bool   `json:"force,omitempty"`
	LocalUserCPG string `json:"localUserCPG,omitempty"`
	LocalSnapCPG string `json:"localSnapCPG,omitempty"`
	UnsetUserCPG bool   `json:"unsetUserCPG,omitempty"`
	UnsetSnapCPG bool   `json:"unsetSnapCPG,omitempty"`
}

type groupTargetMod struct {
	TargetName      string      `json:"targetName,omitempty"`
	SecVolumeName   string      `json:"secVolumeName,omitempty"`
	Policies        *policyMods `json:"policies,omitempty"`
	Mode            int         `json:"mode,omitempty"`
	SyncPeriod      *int64      `json:"syncPeriod,omitempty"`
	RmSyncPeriod    bool        `json:"rmSyncPeriod,omitempty"`
	SnapFrequency   *int64      `json:"snapFrequency,omitempty"`
	RmSnapFrequency bool        `json:"rmSnapFrequency,omitempty"`
	RemoteUserCPG   string      `json:"remoteUserCPG,omitempty"`
	RemoteSnapCPG   string      `json:"remoteSnapCPG,omitempty"`
}

type policyMods struct {
	AutoRecover                *bool `json:"autoRecover,omitempty"`
	OverPeriodAlert            *bool `json:"overPeriodAlert,omitempty"`
	AutoFailover               *bool `json:"autoFailover,omitempty"`
	PathManagement             *bool `json:"pathManagement,omitempty"`
	MultiTargetPeerPersistence *bool `json:"multiTargetPeerPersistence,omitempty"`
	ActiveActive               *bool `json:"activeActive,omitempty"`
	AutoSynchronize            *bool `json:"autoSynchronize,omitempty"`
	FollowWrites               *bool `json:"followWrites,omitempty"`
	PermanentLoss              *bool `json:"permanentLoss,omitempty"`
	// PreferredArray: empty for the array that serves.
	PreferredArray *string `json:"preferredArray,omitempty"`
}

type startSnapshot struct {
	VolumeName   string `json:"volumeName"`
	SnapshotName string `json:"snapshotName,omitempty"`
}

// The actions on a group by PUT.
const (
	actionAdmit   = 1
	actionDismiss = 2
	actionStart   = 3
	actionStop    = 4
	actionSync    = 5
)

func putGroup(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	var in groupMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.Action != nil {
		switch *in.Action {
		case actionAdmit, actionDismiss, actionStart, actionStop, actionSync:
		default:
			return answer{}, fail(wsapi.BadEnum, "action", "action %d: want 1 to 5", *in.Action)
		}
		if err := in.goesWith(*in.Action); err != nil {
			return answer{}, err
		}
	}
	if err := in.oneTarget(); err != nil {
		return answer{}, err
	}
	if _, is := outside(f, in.TargetName); is && in.Action != nil {
		return actOutside(c, f, in)
	}
	if err := ofTarget(c, in.TargetName); err != nil {
		return answer{}, err
	}
	if in.Action == nil {
		return changeGroup(c, f, in)
	}
	switch *in.Action {
	case actionAdmit:
		return admit(c, f, in)
	case actionDismiss:
		return dismiss(c, f, in)
	case actionStart:
		return start(c, f, in)
	case actionStop:
		if err := c.run("stoprcopygroup", "-f", f.Name); err != nil {
			return answer{}, groupBusy(err)
		}
		return done(atGroup(f))
	case actionSync:
		if in.FullSync {
			return answer{}, fail(wsapi.Unsupported, "fullSync", "what differs is known and sent: verify compares all")
		}
		if err := maySync(f); err != nil {
			return answer{}, err
		}
		return c.task("remote_copy_sync", f.Name, atGroup(f), "syncrcopy", "-w", f.Name)
	}
	return answer{}, fail(wsapi.BadEnum, "action", "action %d: want 1 to 5", *in.Action)
}

// oneTarget takes the one of targets that start, stop or sync is for as if targetName named it.
func (in *groupMods) oneTarget() error {
	if len(in.Targets) == 0 || in.Action == nil || !slices.Contains([]int{actionStart, actionStop, actionSync}, *in.Action) {
		return nil
	}
	t := in.Targets[0]
	switch {
	case len(in.Targets) > 1:
		return fail(wsapi.WrongTargetCount, "targets", "there are %d targets: want one", len(in.Targets))
	case t.TargetName == "":
		return fail(wsapi.Missing, "targets.targetName", "targets.targetName is missing")
	case t != groupTargetMod{TargetName: t.TargetName}:
		return fail(wsapi.ParamConflict, "targets", "action %d is for target %s, and changes nothing else of it: want targetName alone", *in.Action, t.TargetName)
	case in.TargetName != "" && in.TargetName != t.TargetName:
		return fail(wsapi.ParamConflict, "targets", "targetName is %.40q, and targets names %.40q: want one", in.TargetName, t.TargetName)
	}
	in.TargetName = t.TargetName
	return nil
}

func atGroup(f node.GroupFact) string { return base + "/remotecopygroups/" + f.Name }

func empty(f node.GroupFact) bool {
	return !slices.ContainsFunc(f.VVs, func(v node.VV) bool { return v.Of == 0 })
}

// ofTarget refuses a name that is not the other array's.
func ofTarget(c *call, target string) error {
	if target == "" || target == c.array().System().Target {
		return nil
	}
	return fail(wsapi.NoSuchTarget, "targetName", "%.40q is no target of the group", target)
}

// start follows the incumbent in what it refuses.
func start(c *call, f node.GroupFact, in groupMods) (answer, error) {
	switch {
	case in.SkipInitialSync:
		return answer{}, fail(wsapi.Unsupported, "skipInitialSync", "a copy is never taken for the same without being compared: what differs is sent, no more")
	case len(in.StartingSnapshots) > 0:
		return answer{}, fail(wsapi.Unsupported, "startingSnapshots", "what differs is known without snapshots: leave startingSnapshots out")
	case empty(f):
		return answer{}, fail(wsapi.GroupEmpty, "", "group %s has no volumes", f.Name)
	case f.State == "Started" || f.State == "Starting":
		return answer{}, fail(wsapi.GroupStarted, "", "group %s is started already", f.Name)
	}
	if err := c.run("startrcopygroup", f.Name); err != nil {
		return answer{}, groupBusy(err)
	}
	return done(atGroup(f))
}

// changeGroup is PUT without an action. It is one change, so that all of it is made or nothing;
// the mode changes by itself: what goes with it depends on how that ended.
func changeGroup(c *call, f node.GroupFact, in groupMods) (answer, error) {
	if err := in.changeAlone(); err != nil {
		return answer{}, err
	}
	var words []string
	var timing groupTargetMod
	for _, t := range in.Targets {
		if _, is := outside(f, t.TargetName); is && len(in.Targets) == 1 {
			return changeOutside(c, f, t)
		}
		w, err := t.words(c, f)
		if err != nil {
			return answer{}, err
		}
		words, timing = append(words, w...), t
	}
	if len(in.Targets) > 1 {
		return answer{}, fail(wsapi.WrongTargetCount, "targets", "there are %d targets: want one", len(in.Targets))
	}
	if in.UnsetUserCPG || in.UnsetSnapCPG {
		return answer{}, fail(wsapi.Unsupported, "unsetUserCPG", "the CPGs of a group are those of its volumes")
	}
	for ref, cpg := range map[string]string{"localUserCPG": in.LocalUserCPG, "localSnapCPG": in.LocalSnapCPG} {
		if cpg == "" {
			continue
		}
		if err := c.hasCPG(ref, cpg); err != nil {
			return answer{}, err
		}
	}
	target := c.array().System().Target
	changes := timing.Mode != 0 && modeWord(timing.Mode) != modeWord(modeOf(f))
	if changes && (len(words) > 0 || timing.SyncPeriod != nil) {
		return answer{}, fail(wsapi.ParamConflict, "mode", "the mode changes by itself: change policies and period before or after")
	}
	var command []string
	switch {
	case changes:
		command = []string{"setrcopygroup", "mode", modeWord(timing.Mode), target, f.Name}
	case timing.SyncPeriod != nil && len(words) == 0:
		command = []string{"setrcopygroup", "period", strconv.FormatInt(*timing.SyncPeriod, 10) + "s", target, f.Name}
	case len(words) > 0:
		command = []string{"setrcopygroup", "pol"}
		if in.Force {
			command = append(command, "-f")
		}
		if timing.SyncPeriod != nil {
			command = append(command, "-period", strconv.FormatInt(*timing.SyncPeriod, 10)+"s")
		}
		command = append(command, strings.Join(words, ","), f.Name)
	default:
		return done(atGroup(f))
	}
	if err := c.run(command...); err != nil {
		return answer{}, groupBusy(err)
	}
	return done(atGroup(f))
}

// The incumbent's bounds of a period, but for the shortest, which is the newer arrays'.
const minPeriod, maxPeriod = 15, 31622400

// timing refuses what no period or mode can be.
func (t groupTargetMod) timing(f node.GroupFact) error {
	switch {
	case t.SyncPeriod != nil && *t.SyncPeriod < minPeriod:
		return fail(wsapi.BelowRange, "syncPeriod", "syncPeriod is %d: want at least %d, and of a periodic group", *t.SyncPeriod, minPeriod)
	case t.SyncPeriod != nil && *t.SyncPeriod > maxPeriod:
		return fail(wsapi.AboveRange, "syncPeriod", "syncPeriod is %d: want at most %d, and of a periodic group", *t.SyncPeriod, maxPeriod)
	case f.Period == 0 && (t.SyncPeriod != nil || t.RmSyncPeriod || t.SnapFrequency != nil || t.RmSnapFrequency):
		return fail(wsapi.NotPeriodic, "syncPeriod", "group %s is synchronous: it has no period", f.Name)
	case t.RmSyncPeriod || t.SnapFrequency != nil || t.RmSnapFrequency:
		return fail(wsapi.Unsupported, "rmSyncPeriod", "a periodic group has a period, and its moments are sent as they are taken: set syncPeriod")
	case t.Mode == 4:
		return fail(wsapi.Unsupported, "mode", "mode 4, streaming: want 1, synchronous, or 2, periodic")
	case t.Mode != 0 && modeWord(t.Mode) == "":
		return fail(wsapi.BadEnum, "mode", "mode %d: want 1, synchronous, or 2, periodic", t.Mode)
	}
	return nil
}

// words are the policies that are to change.
func (t groupTargetMod) words(c *call, f node.GroupFact) (words []string, err error) {
	if err := ofTarget(c, t.TargetName); err != nil {
		return nil, err
	}
	if err := t.timing(f); err != nil {
		return nil, err
	}
	for ref, cpg := range map[string]string{"remoteUserCPG": t.RemoteUserCPG, "remoteSnapCPG": t.RemoteSnapCPG} {
		if cpg == "" {
			continue
		}
		if err := c.hasCPG(ref, cpg); err != nil {
			return nil, err
		}
	}
	p := t.Policies
	if p == nil {
		return nil, nil
	}
	for _, x := range []struct {
		ref string
		on  *bool
		may bool
	}{{"overPeriodAlert", p.OverPeriodAlert, f.Period > 0}, {"multiTargetPeerPersistence", p.MultiTargetPeerPersistence, false}} {
		if x.on != nil && *x.on && !x.may {
			return nil, fail(wsapi.BadPolicy, "policies."+x.ref, "%s is not a policy of group %s, which is %s", x.ref, f.Name, strings.ToLower(f.Mode()))
		}
	}
	for _, x := range []struct {
		word string
		on   *bool
	}{
		{"active_active", p.ActiveActive}, // first: it sets the others
		{"auto_failover", p.AutoFailover},
		{"path_management", p.PathManagement},
		{"auto_recover", p.AutoRecover},
		{"auto_synchronize", p.AutoSynchronize},
		{"follow_writes", p.FollowWrites},
		{"permanent_loss", p.PermanentLoss},
		{"over_per_alert", p.OverPeriodAlert},
	} {
		switch {
		case x.on == nil:
		case *x.on:
			words = append(words, x.word)
		default:
			words = append(words, "no_"+x.word)
		}
	}
	switch {
	case p.PreferredArray == nil:
	case strings.ContainsRune(*p.PreferredArray, ','):
		return nil, fail(wsapi.BadPolicy, "policies.preferredArray", "array %q is not of this pair", *p.PreferredArray)
	case *p.PreferredArray == "":
		words = append(words, "no_prefer")
	default:
		words = append(words, "prefer="+*p.PreferredArray)
	}
	return words, nil
}

// recovery says which array is to serve a group. Options are taken where what they ask for is
// what happens: see can.
type recovery struct {
	Action               int    `json:"action"`
	TargetName           string `json:"targetName,omitempty"`
	SkipStart            bool   `json:"skipStart,omitempty"`
	SkipSync             bool   `json:"skipSync,omitempty"`
	DiscardNewData       bool   `json:"discardNewData,omitempty"`
	SkipPromote          bool   `json:"skipPromote,omitempty"`
	NoSnapshot           bool   `json:"noSnapshot,omitempty"`
	StopGroups           bool   `json:"stopGroups,omitempty"`
	LocalGroupsDirection bool   `json:"localGroupsDirection,omitempty"`
	// Force promotes a copy without votes, which may lose what only the other array has.
	Force bool `json:"force,omitempty"`
}

// The actions on a group by POST.
const (
	actionReverse    = 6
	actionFailover   = 7
	actionSwitchover = 8
	actionRecover    = 9
	actionRestore    = 10
	actionOverride   = 11
)

func postGroupAction(c *call) (answer, error) {
	f, err := c.group()
	if err != nil {
		return answer{}, err
	}
	var in recovery
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := in.can(f); err != nil && in.Action >= actionReverse && in.Action <= actionOverride {
		return answer{}, err
	}
	x, is := outside(f, in.TargetName)
	if !is {
		if err := ofTarget(c, in.TargetName); err != nil {
			return answer{}, err
		}
	}
	if is && in.Action == actionReverse {
		if err := c.run("setrcopygroup", "reverse", "-t", x.Target, f.Name); err != nil {
			return answer{}, err
		}
		return done(atGroup(f))
	}
	words, err := in.words(f)
	if err != nil {
		return answer{}, err
	}
	if err := c.run(append(words, f.Name)...); err != nil {
		return answer{}, err
	}
	return done(atGroup(f))
}

func (in recovery) words(f node.GroupFact) ([]string, error) {
	set := func(words ...string) ([]string, error) { return append([]string{"setrcopygroup"}, words...), nil }
	switch in.Action {
	case actionReverse:
		return set("reverse")
	case actionFailover:
		switch {
		case in.Force:
			return set("failover", "-f")
		case f.ServedHere && !slices.ContainsFunc(f.Outside, func(x node.FarFact) bool { return x.Copy }):
			return nil, fail(wsapi.RoleConflict, "", "group %s is served by this array already", f.Name)
		case f.State == "Started" && f.Contact:
			return nil, fail(wsapi.NotStopped, "", "group %s is started and served by the other array: switch it over", f.Name)
		}
		return set("failover")
	case actionSwitchover:
		return set("switchover")
	case actionRecover:
		return set("recover")
	case actionRestore:
		return set("restore")
	case actionOverride:
		return set("override", "-f")
	}
	return nil, fail(wsapi.BadEnum, "action", "action %d: want 6 to 11", in.Action)
}

// member refuses a volume that is not of the group.
func member(f node.GroupFact, which string) error {
	if slices.ContainsFunc(f.VVs, func(v node.VV) bool { return v.Name == which }) {
		return nil
	}
	return array.Errorf(array.NotFound, "volume %s is not in group %s", which, f.Name).Because(array.NotInGroup)
}
