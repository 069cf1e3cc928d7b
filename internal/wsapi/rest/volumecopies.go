// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/wsapi"
)

// volumeAction makes something of a volume. The members of parameters depend on the action.
type volumeAction struct {
	Action     string          `json:"action"`
	Parameters json.RawMessage `json:"parameters"`
}

type snapshotOf struct {
	Name            string `json:"name"`
	Comment         string `json:"comment,omitempty"`
	ReadOnly        bool   `json:"readOnly,omitempty"`
	ExpirationHours int64  `json:"expirationHours,omitempty"`
	RetentionHours  int64  `json:"retentionHours,omitempty"`
}

type physicalCopyOf struct {
	DestVolume   string `json:"destVolume"`
	DestCPG      string `json:"destCPG,omitempty"`
	Online       bool   `json:"online,omitempty"`
	TPVV         *bool  `json:"tpvv,omitempty"`
	TDVV         bool   `json:"tdvv,omitempty"`
	Reduce       bool   `json:"reduce,omitempty"`
	Compression  bool   `json:"compression,omitempty"`
	SnapCPG      string `json:"snapCPG,omitempty"`
	SaveSnapshot bool   `json:"saveSnapshot,omitempty"`
	Priority     int64  `json:"priority,omitempty"`
}

func postVolumeAction(c *call) (answer, error) {
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	var in volumeAction
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	switch in.Action {
	case "createSnapshot":
		return makeSnapshot(c, which, in)
	case "createPhysicalCopy":
		return makeCopy(c, which, in)
	case "":
		return answer{}, fail(wsapi.Missing, "action", "action is missing")
	}
	return answer{}, fail(wsapi.BadEnum, "action", "action %.40q: want createSnapshot or createPhysicalCopy", in.Action)
}

// parameters decodes them.
func (c *call) parameters(raw json.RawMessage, to any) error {
	if len(raw) == 0 {
		return fail(wsapi.Missing, "parameters", "parameters are missing")
	}
	inner := *c
	inner.body = raw
	return inner.decode(to)
}

// patterns stand for the volume and the time in a snapshot's name.
var patterns = regexp.MustCompile(`@(vvname|vvid|y|m|d|H|M|S|s|count)@`)

// snapshotName is name for one that may have patterns in it.
func snapshotName(ref, s string) error {
	if s == "" {
		return fail(wsapi.Missing, ref, "%s is missing", ref)
	}
	plain := patterns.ReplaceAllString(s, "x")
	if len(s) > 4*maxName {
		return fail(wsapi.TooLong, ref, "%s has %d characters", ref, len(s))
	}
	return name(ref, plain)
}

// life returns the options for a snapshot's times and comment.
func (s snapshotOf) life() (words []string, err error) {
	if err := text("comment", s.Comment, maxComment); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		ref, option string
		hours       int64
	}{{"expirationHours", "-exp", s.ExpirationHours}, {"retentionHours", "-retain", s.RetentionHours}} {
		if err := between(x.ref, x.hours, 0, maxHours); err != nil {
			return nil, err
		}
		if x.hours > 0 {
			words = append(words, x.option, fmt.Sprintf("%dh", x.hours))
		}
	}
	if s.ExpirationHours > 0 && s.RetentionHours > s.ExpirationHours {
		return nil, fail(wsapi.BadInput, "retentionHours", "retentionHours is more than expirationHours")
	}
	if s.Comment != "" {
		words = append(words, "-comment="+s.Comment)
	}
	return words, nil
}

func makeSnapshot(c *call, of string, in volumeAction) (answer, error) {
	var p snapshotOf
	if err := c.parameters(in.Parameters, &p); err != nil {
		return answer{}, err
	}
	if err := snapshotName("name", p.Name); err != nil {
		return answer{}, err
	}
	words, err := p.life()
	if err != nil {
		return answer{}, err
	}
	words = append([]string{"createsv"}, words...)
	if p.ReadOnly {
		words = append(words, "-ro")
	}
	if err := c.run(append(words, p.Name, of)...); err != nil {
		return answer{}, err
	}
	if strings.Contains(p.Name, "@") {
		return created("") // its name is made when it is
	}
	return created(base + "/volumes/" + p.Name)
}

func makeCopy(c *call, of string, in volumeAction) (answer, error) {
	var p physicalCopyOf
	if err := c.parameters(in.Parameters, &p); err != nil {
		return answer{}, err
	}
	if err := required("destVolume", p.DestVolume); err != nil {
		return answer{}, err
	}
	if p.Priority != 0 && (p.Priority < 1 || p.Priority > 3) {
		return answer{}, fail(wsapi.BadEnum, "priority", "priority %d: want 1, 2 or 3", p.Priority)
	}
	words := []string{"createvvcopy", "-p", of}
	if p.SaveSnapshot {
		words = append(words, "-s")
	}
	switch {
	case p.Online:
		if err := required("destCPG", p.DestCPG); err != nil {
			return answer{}, err
		}
		if err := c.hasCPG("destCPG", p.DestCPG); err != nil {
			return answer{}, err
		}
		if p.SnapCPG != "" {
			if err := c.hasCPG("snapCPG", p.SnapCPG); err != nil {
				return answer{}, err
			}
		}
		how, err := newVolume{TPVV: p.TPVV, TDVV: p.TDVV, Reduce: p.Reduce, Compression: p.Compression}.how()
		if err != nil {
			return answer{}, err
		}
		words = append(append(append(words, "-online"), how...), p.DestCPG)
	default:
		if ref := p.forOnline(); ref != "" {
			return answer{}, fail(wsapi.ParamConflict, ref, "%s goes with online only: without, destVolume exists", ref)
		}
	}
	if _, err := c.array().Volume(of); err != nil {
		return answer{}, err
	}
	return c.task("vv_copy", p.DestVolume, base+"/volumes/"+p.DestVolume, append(words, p.DestVolume)...)
}

// forOnline is a member that only a new volume takes, if one is given.
func (p physicalCopyOf) forOnline() string {
	for _, x := range []struct {
		ref   string
		given bool
	}{{"destCPG", p.DestCPG != ""}, {"tpvv", p.TPVV != nil && *p.TPVV}, {"tdvv", p.TDVV}, {"reduce", p.Reduce}, {"compression", p.Compression}, {"snapCPG", p.SnapCPG != ""}} {
		if x.given {
			return x.ref
		}
	}
	return ""
}

// snapshotSet makes snapshots of all volumes of a set, of one moment.
func snapshotSet(c *call, members []string, in volumeAction) (answer, error) {
	var p snapshotOf
	if in.Action != "createSnapshot" {
		return answer{}, fail(wsapi.BadEnum, "action", "action %.40q: want createSnapshot", in.Action)
	}
	if err := c.parameters(in.Parameters, &p); err != nil {
		return answer{}, err
	}
	if err := snapshotName("name", p.Name); err != nil {
		return answer{}, err
	}
	if !p.ReadOnly {
		return answer{}, fail(wsapi.Unsupported, "readOnly", "snapshots of a set are read-only: say readOnly, and make volumes from them")
	}
	words, err := p.life()
	if err != nil {
		return answer{}, err
	}
	if len(members) > 1 && !strings.Contains(p.Name, "@count@") && !strings.Contains(p.Name, "@vvname@") && !strings.Contains(p.Name, "@vvid@") {
		return answer{}, fail(wsapi.BadInput, "name", "%q is the same for all volumes of the set: want @count@, @vvname@ or @vvid@ in it", p.Name)
	}
	words = append([]string{"creategroupsv", "-ro"}, words...)
	for i, m := range members {
		words = append(words, strings.ReplaceAll(p.Name, "@count@", strconv.Itoa(i))+":"+m)
	}
	if err := c.run(words...); err != nil {
		return answer{}, err
	}
	return created(base + "/volumesets/" + c.r.PathValue("set"))
}
