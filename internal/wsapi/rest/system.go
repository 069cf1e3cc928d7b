// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
)

// What clients compare: the build is of the incumbent's last release before volumes came
// without a CPG for snapshots, with all that Remote Copy needs.
const (
	apiMajor, apiMinor = 1, 6
	apiBuild           = 30303200
	apiVersion         = "3.3.3.200"
)

type version struct {
	Major    int `json:"major"`
	Minor    int `json:"minor"`
	Revision int `json:"revision"`
	Build    int `json:"build"`
}

func versionRoute() route {
	return route{method: "GET", path: "/api", open: true, about: "the version of the interface", out: version{}, do: func(*call) (answer, error) {
		return ok(version{Major: apiMajor, Minor: apiMinor, Build: apiBuild})
	}}
}

func systemRoutes() []route {
	return []route{
		{method: "GET", path: "/system", right: people.Look, about: "the array", out: system{}, do: getSystem},
		{method: "GET", path: "/capacity", right: people.Look, about: "how full the array is", out: capacity{}, do: getCapacity},
		{method: "GET", path: "/wsapiconfiguration", right: people.Look, about: "this interface", out: configuration{}, do: getConfiguration},
		{method: "GET", path: "/openapi.json", open: true, about: "this description", do: getOpenAPI, own: true},
	}
}

type system struct {
	ID                   uint32   `json:"id"`
	Name                 string   `json:"name"`
	SystemVersion        string   `json:"systemVersion"`
	IPv4Addr             string   `json:"IPv4Addr"`
	Model                string   `json:"model"`
	SerialNumber         string   `json:"serialNumber"`
	TotalNodes           int      `json:"totalNodes"`
	MasterNode           int      `json:"masterNode"`
	OnlineNodes          []int    `json:"onlineNodes"`
	ClusterNodes         []int    `json:"clusterNodes"`
	ChunkletSizeMiB      int      `json:"chunkletSizeMiB"`
	TotalCapacityMiB     float64  `json:"totalCapacityMiB"`
	AllocatedCapacityMiB float64  `json:"allocatedCapacityMiB"`
	FreeCapacityMiB      float64  `json:"freeCapacityMiB"`
	FailedCapacityMiB    float64  `json:"failedCapacityMiB"`
	TimeZone             string   `json:"timeZone"`
	LicenseInfo          licenses `json:"licenseInfo"`
	// Starts counts the starts of the daemon; Target is the other array.
	Starts   uint64 `json:"starts"`
	Target   string `json:"target,omitempty"`
	TargetID uint32 `json:"targetId,omitempty"`
	// IdentityKey is what another array has to know of this one to be its target.
	IdentityKey string `json:"identityKey"`
}

type licenses struct {
	Licenses []license `json:"licenses"`
}

type license struct {
	Name string `json:"name"`
}

// licensed are the incumbent's licences whose features are here.
func licensed() licenses {
	var l licenses
	for _, n := range []string{"Compression", "Peer Persistence", "Remote Copy", "Thin Provisioning", "Thin Deduplication", "Virtual Copy"} {
		l.Licenses = append(l.Licenses, license{n})
	}
	return l
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func getSystem(c *call) (answer, error) {
	s := c.array().System()
	cpgs, err := c.array().CPGs()
	if err != nil {
		return answer{}, err
	}
	out := system{
		ID: uint32(s.ID), Name: s.Name, SystemVersion: apiVersion, Model: "Perdure", SerialNumber: strconv.FormatUint(uint64(s.ID), 10), TotalNodes: 1,
		OnlineNodes: []int{0}, ClusterNodes: []int{0}, TimeZone: s.Now.Location().String(), LicenseInfo: licensed(),
		Starts: s.Start.Count, Target: s.Target, TargetID: uint32(s.TargetID), IdentityKey: s.Key.String(),
	}
	for _, p := range c.array().Ports() {
		if !p.Link {
			out.IPv4Addr = p.Address
			break
		}
	}
	sum := node.Together(cpgs)
	out.TotalCapacityMiB, out.AllocatedCapacityMiB, out.FreeCapacityMiB = mib(sum.Cap), mib(sum.Used+sum.Reserved), mib(sum.Free())
	return ok(out)
}

type capacity struct {
	All capacityOf `json:"allCapacity"`
}

type capacityOf struct {
	TotalMiB               float64   `json:"totalMiB"`
	Allocated              allocated `json:"allocated"`
	FreeMiB                float64   `json:"freeMiB"`
	FreeInitializedMiB     float64   `json:"freeInitializedMiB"`
	FreeUninitializedMiB   float64   `json:"freeUninitializedMiB"`
	UnavailableCapacityMiB float64   `json:"unavailableCapacityMiB"`
	FailedCapacityMiB      float64   `json:"failedCapacityMiB"`
	// WrittenMiB is what volumes and snapshots hold, CompactionRatio that to what it takes.
	WrittenMiB      float64 `json:"writtenMiB"`
	CompactionRatio float64 `json:"compactionRatio"`
}

type allocated struct {
	TotalAllocatedMiB float64         `json:"totalAllocatedMiB"`
	Volumes           volumesCapacity `json:"volumes"`
}

type volumesCapacity struct {
	TotalVolumesMiB float64 `json:"totalVolumesMiB"`
	CPGsMiB         float64 `json:"CPGsMiB"`
	CPGUserMiB      float64 `json:"CPGUserMiB"`
	CPGUserUsedMiB  float64 `json:"CPGUserUsedMiB"`
	CPGUserUnused   float64 `json:"CPGUserUnusedMiB"`
}

func getCapacity(c *call) (answer, error) {
	cpgs, err := c.array().CPGs()
	if err != nil {
		return answer{}, err
	}
	var o capacityOf
	sum := node.Together(cpgs)
	o.TotalMiB, o.FreeMiB, o.WrittenMiB = mib(sum.Cap), mib(sum.Free()), mib(sum.Written)
	v := &o.Allocated.Volumes
	v.CPGUserUsedMiB, v.CPGUserUnused = mib(sum.Used), mib(sum.Reserved)
	v.CPGUserMiB = v.CPGUserUsedMiB + v.CPGUserUnused
	v.CPGsMiB, v.TotalVolumesMiB, o.Allocated.TotalAllocatedMiB = v.CPGUserMiB, v.CPGUserMiB, v.CPGUserMiB
	o.FreeInitializedMiB = o.FreeMiB
	if v.CPGUserUsedMiB > 0 {
		o.CompactionRatio = o.WrittenMiB / v.CPGUserUsedMiB
	}
	return ok(capacity{All: o})
}

type configuration struct {
	HTTPState     string `json:"httpState"`
	HTTPPort      int    `json:"httpPort"`
	HTTPSState    string `json:"httpsState"`
	HTTPSPort     int    `json:"httpsPort"`
	Version       string `json:"version"`
	SessionsInUse int    `json:"sessionsInUse"`
	// SystemResourceUsage is what the incumbent reserves for sessions.
	SystemResourceUsage int    `json:"systemResourceUsage"`
	EventStream         string `json:"eventStreamState"`
	APIURL              string `json:"API_URL"`
}

func getConfiguration(c *call) (answer, error) {
	return ok(configuration{
		HTTPState: "Disabled", HTTPSState: "Enabled", HTTPSPort: portOf(c.s.cfg.Listen), Version: "1.6", EventStream: "Enabled", APIURL: "https://" + c.r.Host + base,
		SessionsInUse: len(c.s.cfg.People.Sessions(time.Now())),
	})
}

// stamps are a time as the incumbent tells it: in seconds and for people.
func stamps(t time.Time) (sec int64, iso string) {
	if t.IsZero() {
		return 0, ""
	}
	return t.Unix(), t.UTC().Format(time.RFC3339)
}
