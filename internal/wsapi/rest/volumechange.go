// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/wsapi"
)

const (
	// maxComment bounds what people write of a volume, maxHours what a snapshot lives.
	maxComment = 511
	maxHours   = 1825 * 24
)

// newVolume is what a volume is to be. Members that have no meaning here are taken, if
// they ask for nothing that would be missed.
type newVolume struct {
	Name                  string        `json:"name"`
	CPG                   string        `json:"cpg"`
	SizeMiB               *int64        `json:"sizeMiB"`
	Comment               string        `json:"comment,omitempty"`
	Policies              *volumePolicy `json:"policies,omitempty"`
	SnapCPG               string        `json:"snapCPG,omitempty"`
	SsSpcAllocWarningPct  int           `json:"ssSpcAllocWarningPct,omitempty"`
	SsSpcAllocLimitPct    int           `json:"ssSpcAllocLimitPct,omitempty"`
	TPVV                  *bool         `json:"tpvv,omitempty"`
	TDVV                  bool          `json:"tdvv,omitempty"`
	Reduce                bool          `json:"reduce,omitempty"`
	Compression           bool          `json:"compression,omitempty"`
	UsrSpcAllocWarningPct int64         `json:"usrSpcAllocWarningPct,omitempty"`
	UsrSpcAllocLimitPct   int64         `json:"usrSpcAllocLimitPct,omitempty"`
	ObjectKeyValues       []keyValue    `json:"objectKeyValues,omitempty"`
}

// how returns the options for how it is stored. Who says nothing gets a thin volume.
func (v newVolume) how() (words []string, err error) {
	thin := v.TPVV != nil && *v.TPVV
	switch {
	case thin && (v.TDVV || v.Reduce):
		return nil, fail(wsapi.ParamConflict, "tpvv", "tpvv goes with neither tdvv nor reduce")
	case v.TDVV || v.Reduce:
		words = append(words, "-tdvv")
	case v.TPVV != nil && !thin:
		words = append(words, "-full")
	}
	if v.Compression || v.Reduce {
		words = append(words, "-compr")
	}
	return words, nil
}

func (p *volumePolicy) check() error {
	switch {
	case p == nil:
	case p.OneHost:
		return fail(wsapi.BadVolumePolicy, "policies.oneHost", "exports are not limited to one host here")
	case p.System:
		return fail(wsapi.BadVolumePolicy, "policies.system", "there are no system volumes")
	}
	return nil
}

func (v newVolume) check(c *call) error {
	if err := required("name", v.Name); err != nil {
		return err
	}
	if err := required("cpg", v.CPG); err != nil {
		return err
	}
	if err := c.hasCPG("cpg", v.CPG); err != nil {
		return err
	}
	if v.SnapCPG != "" {
		if err := c.hasCPG("snapCPG", v.SnapCPG); err != nil {
			return err
		}
	}
	if v.SizeMiB == nil {
		return fail(wsapi.Missing, "sizeMiB", "sizeMiB is missing")
	}
	if *v.SizeMiB > maxMiB {
		return fail(wsapi.TooLarge, "sizeMiB", "sizeMiB is %d: want at most %d", *v.SizeMiB, maxMiB)
	}
	if err := between("sizeMiB", *v.SizeMiB, 1, maxMiB); err != nil {
		return err
	}
	for ref, pct := range map[string]int64{"usrSpcAllocWarningPct": v.UsrSpcAllocWarningPct, "usrSpcAllocLimitPct": v.UsrSpcAllocLimitPct} {
		if err := between(ref, pct, 0, 100); err != nil {
			return err
		}
	}
	if err := text("comment", v.Comment, maxComment); err != nil {
		return err
	}
	for _, k := range v.ObjectKeyValues {
		if err := k.check(); err != nil {
			return err
		}
	}
	return v.Policies.check()
}

func postVolume(c *call) (answer, error) {
	var in newVolume
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := in.check(c); err != nil {
		return answer{}, err
	}
	words, err := in.how()
	if err != nil {
		return answer{}, err
	}
	words = append([]string{"createvv"}, words...)
	if in.UsrSpcAllocWarningPct > 0 {
		words = append(words, "-usr_aw", fmt.Sprint(in.UsrSpcAllocWarningPct))
	}
	if in.UsrSpcAllocLimitPct > 0 {
		words = append(words, "-usr_al", fmt.Sprint(in.UsrSpcAllocLimitPct))
	}
	for _, k := range in.ObjectKeyValues {
		words = append(words, "-setkv", k.Key+"="+k.Value)
	}
	if in.Comment != "" {
		words = append(words, "-comment="+in.Comment)
	}
	if err := c.run(append(words, in.CPG, in.Name, fmt.Sprint(*in.SizeMiB))...); err != nil {
		return answer{}, err
	}
	return created(base + "/volumes/" + in.Name)
}

// The actions on a volume.
const (
	actionStopCopy = 1
	actionResync   = 2
	actionGrow     = 3
	actionPromote  = 4
	actionStopProm = 5
	actionTune     = 6
)

type volumeMods struct {
	Action  *int   `json:"action,omitempty"`
	SizeMiB *int64 `json:"sizeMiB,omitempty"`
	// Of action 4.
	Online                bool `json:"online,omitempty"`
	AllowRemoteCopyParent bool `json:"allowRemoteCopyParent,omitempty"`
	Priority              int  `json:"priority,omitempty"`

	NewName               string        `json:"newName,omitempty"`
	Comment               *string       `json:"comment,omitempty"`
	SnapCPG               string        `json:"snapCPG,omitempty"`
	UserCPG               string        `json:"userCPG,omitempty"`
	Policies              *volumePolicy `json:"policies,omitempty"`
	SsSpcAllocWarningPct  int           `json:"ssSpcAllocWarningPct,omitempty"`
	SsSpcAllocLimitPct    int           `json:"ssSpcAllocLimitPct,omitempty"`
	UsrSpcAllocWarningPct *int64        `json:"usrSpcAllocWarningPct,omitempty"`
	UsrSpcAllocLimitPct   *int64        `json:"usrSpcAllocLimitPct,omitempty"`
	RmUsrSpcAllocWarning  bool          `json:"rmUsrSpcAllocWarning,omitempty"`
	RmUsrSpcAllocLimit    bool          `json:"rmUsrSpcAllocLimit,omitempty"`
	RmSsSpcAllocWarning   bool          `json:"rmSsSpcAllocWarning,omitempty"`
	RmSsSpcAllocLimit     bool          `json:"rmSsSpcAllocLimit,omitempty"`
	ExpirationHours       *int64        `json:"expirationHours,omitempty"`
	RetentionHours        *int64        `json:"retentionHours,omitempty"`
	RmExpTime             bool          `json:"rmExpTime,omitempty"`
}

func putVolume(c *call) (answer, error) {
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	var in volumeMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if in.Action != nil {
		return actOnVolume(c, which, in)
	}
	words, err := in.words(c)
	if err != nil {
		return answer{}, err
	}
	if len(words) > 0 {
		if err := c.run(append(append([]string{"setvv"}, words...), which)...); err != nil {
			return answer{}, err
		}
	} else if _, err := c.array().Volume(which); err != nil {
		return answer{}, err
	}
	if in.NewName != "" {
		which = in.NewName
	}
	return done(base + "/volumes/" + which)
}

func (m volumeMods) words(c *call) (words []string, err error) {
	if m.SizeMiB != nil {
		return nil, fail(wsapi.ParamConflict, "sizeMiB", "sizeMiB goes with action 3 only")
	}
	if m.NewName != "" {
		if err := name("newName", m.NewName); err != nil {
			return nil, err
		}
		words = append(words, "-name", m.NewName)
	}
	if m.Comment != nil {
		if err := text("comment", *m.Comment, maxComment); err != nil {
			return nil, err
		}
		words = append(words, "-comment="+*m.Comment)
	}
	for ref, g := range map[string]string{"snapCPG": m.SnapCPG, "userCPG": m.UserCPG} {
		if g == "" {
			continue
		}
		if err := c.hasCPG(ref, g); err != nil {
			return nil, err
		}
	}
	if f, err := c.array().Volume(c.r.PathValue("volume")); err == nil && m.UserCPG != "" && m.UserCPG != f.CPG {
		return nil, fail(wsapi.Unsupported, "userCPG", "a volume can't be moved to another CPG: copy it")
	}
	for _, x := range []struct {
		ref, option string
		value       *int64
		none        bool
		most        int64
		unit        string
	}{
		{"usrSpcAllocWarningPct", "-usr_aw", m.UsrSpcAllocWarningPct, m.RmUsrSpcAllocWarning, 100, ""},
		{"usrSpcAllocLimitPct", "-usr_al", m.UsrSpcAllocLimitPct, m.RmUsrSpcAllocLimit, 100, ""},
		{"expirationHours", "-exp", m.ExpirationHours, m.RmExpTime, maxHours, "h"},
		{"retentionHours", "-retain", m.RetentionHours, false, maxHours, "h"},
	} {
		switch {
		case x.none:
			words = append(words, x.option, "0")
		case x.value != nil:
			if err := between(x.ref, *x.value, 0, x.most); err != nil {
				return nil, err
			}
			if *x.value == 0 {
				x.unit = ""
			}
			words = append(words, x.option, fmt.Sprint(*x.value)+x.unit)
		}
	}
	return words, m.Policies.check()
}

func actOnVolume(c *call, which string, in volumeMods) (answer, error) {
	f, err := c.array().Volume(which)
	if err != nil {
		return answer{}, err
	}
	switch at := base + "/volumes/" + which; *in.Action {
	case actionGrow:
		if in.SizeMiB == nil || *in.SizeMiB < 1 {
			return answer{}, fail(wsapi.BadGrowth, "sizeMiB", "want sizeMiB, by how much to grow, of at least 1")
		}
		if f.Of != 0 {
			return answer{}, fail(wsapi.NotGrowable, "", "%s is a read-only snapshot, which never changes", which)
		}
		if *in.SizeMiB > maxMiB-f.Size>>20 {
			return answer{}, fail(wsapi.GrowthTooLarge, "sizeMiB", "volume %s has %d MiB: want at most %d", which, f.Size>>20, maxMiB)
		}
		if err := c.run("growvv", which, fmt.Sprint(*in.SizeMiB)); err != nil {
			return answer{}, err
		}
		return done(at)
	case actionPromote:
		if f.Of == 0 {
			return answer{}, array.Errorf(array.Invalid, "%s is not a read-only snapshot", which).Because(array.NotSnapshot)
		}
		if f.Group != "" && !in.AllowRemoteCopyParent {
			return answer{}, fail(wsapi.InRemoteCopy, "allowRemoteCopyParent", "the volume of %s is in Remote Copy group %s: say allowRemoteCopyParent", which, f.Group)
		}
		return c.task("promote_sv", which, at, "promotesv", which)
	case actionStopCopy:
		if err := c.run("createvvcopy", "-halt", which); err != nil {
			return answer{}, err
		}
		return done(at)
	case actionResync, actionStopProm, actionTune:
		return answer{}, fail(wsapi.Unsupported, "action", "action %d is not offered", *in.Action)
	}
	return answer{}, fail(wsapi.BadEnum, "action", "action %d: want 1, 3 or 4", *in.Action)
}
