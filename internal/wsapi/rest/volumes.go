// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// maxMiB is the largest volume, 64 TiB, as growth and limits are in MiB.
const maxMiB = 64 << 20

func volumeRoutes() []route {
	return []route{
		{method: "GET", path: "/volumes", right: people.Look, about: "volumes and snapshots", out: collection[volume]{}, query: filtered, do: getVolumes},
		{method: "POST", path: "/volumes", right: people.Make, about: "create a volume on this array alone", in: newVolume{}, status: 201, do: postVolume},
		{method: "GET", path: "/volumes/{volume}", right: people.Look, about: "one of them", out: volume{}, do: getVolume},
		{method: "PUT", path: "/volumes/{volume}", right: people.Change, about: "change it, or carry an action out: 1 stop a physical copy, 3 grow, 4 promote", in: volumeMods{}, out: taskStarted{}, do: putVolume},
		{method: "POST", path: "/volumes/{volume}", right: people.Make, about: "createSnapshot or createPhysicalCopy", in: volumeAction{}, out: taskStarted{}, status: 201, do: postVolumeAction},
		{method: "DELETE", path: "/volumes/{volume}", right: people.Change, about: "remove it", do: deleteVolume},
	}
}

type volume struct {
	// ID is unique over both arrays of a pair.
	ID                  uint64       `json:"id"`
	Name                string       `json:"name"`
	ProvisioningType    int          `json:"provisioningType"`
	CopyType            int          `json:"copyType"`
	CopyOf              string       `json:"copyOf,omitempty"`
	ReadOnly            bool         `json:"readOnly"`
	State               int          `json:"state"`
	FailedStates        []string     `json:"failedStates"`
	DegradedStates      []string     `json:"degradedStates"`
	AdditionalStates    []string     `json:"additionalStates"`
	AdminSpace          volumeSpace  `json:"adminSpace"`
	SnapshotSpace       volumeSpace  `json:"snapshotSpace"`
	UserSpace           volumeSpace  `json:"userSpace"`
	TotalReservedMiB    float64      `json:"totalReservedMiB"`
	TotalUsedMiB        float64      `json:"totalUsedMiB"`
	SizeMiB             int64        `json:"sizeMiB"`
	HostWriteMiB        float64      `json:"hostWriteMiB"`
	WWN                 string       `json:"wwn"`
	UUID                string       `json:"uuid"`
	UserCPG             string       `json:"userCPG"`
	SnapCPG             string       `json:"snapCPG"`
	Comment             string       `json:"comment,omitempty"`
	CreationTimeSec     int64        `json:"creationTimeSec,omitempty"`
	CreationTime8601    string       `json:"creationTime8601,omitempty"`
	ExpirationTimeSec   int64        `json:"expirationTimeSec,omitempty"`
	ExpirationTime8601  string       `json:"expirationTime8601,omitempty"`
	RetentionTimeSec    int64        `json:"retentionTimeSec,omitempty"`
	RetentionTime8601   string       `json:"retentionTime8601,omitempty"`
	UsrSpcAllocWarning  int          `json:"usrSpcAllocWarningPct,omitempty"`
	UsrSpcAllocLimit    int          `json:"usrSpcAllocLimitPct,omitempty"`
	CompressionState    int          `json:"compressionState"`
	DeduplicationState  int          `json:"deduplicationState"`
	Policies            volumePolicy `json:"policies"`
	Domain              string       `json:"domain,omitempty"`
	RcopyGroup          string       `json:"rcopyGroup,omitempty"`
	ServedByThisArray   bool         `json:"servedByThisArray"`
	VolumeSets          []string     `json:"volumeSets,omitempty"`
	NumberOfKeyedValues int          `json:"objectKeyValueCount,omitempty"`
	Links               []link       `json:"links"`
}

type volumeSpace struct {
	ReservedMiB    float64 `json:"reservedMiB"`
	RawReservedMiB float64 `json:"rawReservedMiB"`
	UsedMiB        float64 `json:"usedMiB"`
	FreeMiB        float64 `json:"freeMiB"`
}

type volumePolicy struct {
	StaleSS    bool `json:"staleSS"`
	OneHost    bool `json:"oneHost"`
	ZeroDetect bool `json:"zeroDetect"`
	System     bool `json:"system"`
	Caching    bool `json:"caching"`
	Fsvc       bool `json:"fsvc"`
	HostDIF    int  `json:"hostDIF"`
}

type link struct {
	Href string `json:"href"`
	Rel  string `json:"rel"`
}

// The incumbent's enumerations.
const (
	provFull, provThin, provSnapshot, provDedup = 1, 2, 3, 6
	copyBase, copyPhysical, copyVirtual         = 1, 2, 3
	stateNormal, stateDegraded, stateFailed     = 1, 2, 3
	stateYes, stateNo                           = 1, 2
)

func volumeOf(f node.VolumeFact, s node.SystemFact) volume {
	v := volume{
		ID: s.Number(uint64(f.ID)), Name: f.Name, CopyOf: f.CopyOf, ReadOnly: f.Of != 0, SizeMiB: f.Size >> 20, WWN: strings.ToUpper(f.WWN.String()), UUID: uuidOf(f.WWN),
		UserCPG: f.CPG, SnapCPG: f.CPG, Comment: f.Comment, RcopyGroup: f.Group, Domain: f.Domain, ServedByThisArray: f.Serving, VolumeSets: f.Sets, NumberOfKeyedValues: len(f.Keys),
		UsrSpcAllocWarning: f.AllocWarn, UsrSpcAllocLimit: f.AllocLimit, CopyType: copyBase, State: stateNormal, ProvisioningType: provThin,
		FailedStates: []string{}, DegradedStates: []string{}, AdditionalStates: []string{}, CompressionState: stateNo, DeduplicationState: stateNo,
		Policies: volumePolicy{StaleSS: true, ZeroDetect: true, Caching: true, HostDIF: 1},
		Links:    []link{{base + "/volumes/" + f.Name, "self"}, {base + "/volumes/" + f.Name + "/objectKeyValues", "objectKeyValues"}},
	}
	switch f.Prov() {
	case "full":
		v.ProvisioningType = provFull
	case "tdvv":
		v.ProvisioningType, v.DeduplicationState = provDedup, stateYes
	case "snp":
		v.ProvisioningType, v.CopyType = provSnapshot, copyVirtual
	}
	if f.Copy.Name != "" {
		v.CopyType, v.CopyOf = copyPhysical, f.Copy.Name
	}
	if f.Compress {
		v.CompressionState = stateYes
	}
	v.setState(f.State)
	used, reserved := mib(f.Used.Stored), mib(f.Used.Stored+f.Used.Reserved)
	v.UserSpace = volumeSpace{ReservedMiB: reserved, RawReservedMiB: reserved, UsedMiB: used, FreeMiB: reserved - used}
	v.TotalReservedMiB, v.TotalUsedMiB, v.HostWriteMiB = reserved, used, mib(f.Used.Written)
	v.CreationTimeSec, v.CreationTime8601 = stamps(f.Made)
	v.ExpirationTimeSec, v.ExpirationTime8601 = stamps(f.Expires)
	v.RetentionTimeSec, v.RetentionTime8601 = stamps(f.Retain)
	return v
}

// setState translates what showvv says.
func (v *volume) setState(state string) {
	switch {
	case state == "normal":
	case state == "failed" || state == "missing" || state == "copyfailed":
		v.State, v.FailedStates = stateFailed, []string{state}
	default:
		v.State, v.DegradedStates = stateDegraded, []string{state}
	}
}

// uuidOf spells a WWN as an UUID: as unique, and as stable.
func uuidOf(w [16]byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i, x := range w {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b.WriteByte('-')
		}
		b.WriteByte(digits[x>>4])
		b.WriteByte(digits[x&15])
	}
	return b.String()
}

func getVolumes(c *call) (answer, error) {
	facts, err := c.array().Volumes()
	if err != nil {
		return answer{}, err
	}
	s := c.array().System()
	all := make([]volume, len(facts))
	for i, f := range facts {
		all[i] = volumeOf(f, s)
	}
	return collect(c, all)
}

func getVolume(c *call) (answer, error) {
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	f, err := c.array().Volume(which)
	if err != nil {
		return answer{}, err
	}
	return ok(volumeOf(f, c.array().System()))
}

func deleteVolume(c *call) (answer, error) {
	which, err := c.named("volume")
	if err != nil {
		return answer{}, err
	}
	if err := c.run("removevv", "-f", which); err != nil {
		return answer{}, meant(err, wsapi.InCopy, array.CopyTarget)
	}
	return done("")
}
