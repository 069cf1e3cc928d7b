// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func vlunRoutes() []route {
	return []route{
		{method: "GET", path: "/vluns", right: people.Look, about: "exports: templates, and as active ones the sessions that see them here", out: collection[vlun]{}, query: filtered, do: getVLUNs},
		{method: "POST", path: "/vluns", right: people.Make, about: "export a volume", in: newVLUN{}, status: 201, do: postVLUN},
		{method: "GET", path: "/vluns/{vlun}", right: people.Look, about: "one export: volume,lun,host", out: vlun{}, do: getVLUN},
		{method: "DELETE", path: "/vluns/{vlun}", right: people.Change, about: "end an export: volume,lun,host", do: deleteVLUN},
	}
}

type vlun struct {
	LUN        int      `json:"lun"`
	VolumeName string   `json:"volumeName"`
	Hostname   string   `json:"hostname"`
	RemoteName string   `json:"remoteName,omitempty"`
	PortPos    *portPos `json:"portPos,omitempty"`
	Type       int      `json:"type"`
	VolumeWWN  string   `json:"volumeWWN"`
	Domain     string   `json:"domain,omitempty"`

	Multipathing       int    `json:"multipathing"`
	FailedPathPol      int    `json:"failedPathPol"`
	FailedPathInterval int    `json:"failedPathInterval"`
	HostDeviceName     string `json:"hostDeviceName"`
	Active             bool   `json:"active"`
}

// The types of exports, and the one way of many paths.
const (
	typeHost    = 3
	typeHostSet = 5
	roundRobin  = 2
	maxLUN      = 16383
)

func templateOf(f node.VLUNFact) vlun {
	v := vlun{
		LUN: int(f.LUN), VolumeName: f.Volume, Domain: f.Domain, Hostname: f.Host, Type: typeHost, VolumeWWN: strings.ToUpper(f.WWN.String()), Multipathing: roundRobin, FailedPathPol: 1,
	}
	if strings.HasPrefix(f.Host, "set:") {
		v.Type = typeHostSet
	}
	return v
}

func vluns(c *call) (all []vlun, err error) {
	facts, err := c.array().VLUNs()
	if err != nil {
		return nil, err
	}
	hosts, err := c.array().Hosts()
	for _, f := range facts {
		t := templateOf(f)
		all = append(all, t)
		for _, h := range hosts {
			for _, p := range h.Paths {
				if !slices.Contains(f.Initiators, p.Initiator) {
					continue
				}
				a := t
				a.Active, a.Hostname, a.RemoteName, a.PortPos = true, h.Name, p.Initiator, hostPort(p.Port)
				all = append(all, a)
			}
		}
	}
	return all, err
}

func getVLUNs(c *call) (answer, error) {
	all, err := vluns(c)
	if err != nil {
		return answer{}, err
	}
	return collect(c, all)
}

// hostOrSet finds out whether a text is a host's name or set: and a set's.
func hostOrSet(ref, s string) error { return name(ref, strings.TrimPrefix(s, "set:")) }

// parsed reads volume,lun,host[,n:s:p] of the path.
func (c *call) vlunOf() (volume string, lun int, host string, err error) {
	parts := strings.Split(c.r.PathValue("vlun"), ",")
	if len(parts) < 3 || len(parts) > 4 || parts[2] == "" {
		return "", 0, "", fail(wsapi.Missing, "", "want volume,lun,host")
	}
	if len(parts) == 4 && parts[3] != "" {
		return "", 0, "", fail(wsapi.BadPort, "", "volumes are exported through all ports: leave %.20q out", parts[3])
	}
	if err := name("volume", parts[0]); err != nil {
		return "", 0, "", err
	}
	if lun, err = strconv.Atoi(parts[1]); err != nil {
		return "", 0, "", fail(wsapi.WrongType, "lun", "the LUN is %.20q: want a number", parts[1])
	}
	if err := between("lun", int64(lun), 0, maxLUN); err != nil {
		return "", 0, "", err
	}
	return parts[0], lun, parts[2], hostOrSet("host", parts[2])
}

func getVLUN(c *call) (answer, error) {
	volume, lun, host, err := c.vlunOf()
	if err != nil {
		return answer{}, err
	}
	facts, err := c.array().VLUNsOf(volume)
	if err != nil {
		return answer{}, err
	}
	for _, f := range facts {
		if f.Volume == volume && int(f.LUN) == lun && f.Host == host {
			return ok(templateOf(f))
		}
	}
	return answer{}, fail(wsapi.NoVLUN, "", "volume %s is not LUN %d of %s", volume, lun, host)
}

type newVLUN struct {
	VolumeName            string   `json:"volumeName"`
	LUN                   *int64   `json:"lun,omitempty"`
	Hostname              string   `json:"hostname,omitempty"`
	PortPos               *portPos `json:"portPos,omitempty"`
	AutoLUN               bool     `json:"autoLun,omitempty"`
	MaxAutoLUN            int64    `json:"maxAutoLun,omitempty"`
	NoVCN                 bool     `json:"noVcn,omitempty"`
	OverrideLowerPriority bool     `json:"overrideLowerPriority,omitempty"`
}

func (v newVLUN) lun() (string, error) {
	switch {
	case v.AutoLUN:
		return "auto", nil
	case v.LUN == nil:
		return "", fail(wsapi.Missing, "lun", "lun is missing: want a number, or autoLun")
	case *v.LUN > maxLUN:
		return "", fail(wsapi.TooLarge, "lun", "lun is %d: want at most %d", *v.LUN, maxLUN)
	}
	return fmt.Sprint(*v.LUN), between("lun", *v.LUN, 0, maxLUN)
}

func postVLUN(c *call) (answer, error) {
	var in newVLUN
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := required("volumeName", in.VolumeName); err != nil {
		return answer{}, err
	}
	switch {
	case in.Hostname == "" && in.PortPos == nil:
		return answer{}, fail(wsapi.NothingToExport, "hostname", "hostname is missing")
	case in.PortPos != nil:
		return answer{}, fail(wsapi.BadPort, "portPos", "volumes are exported through all ports: leave portPos out")
	}
	if err := hostOrSet("hostname", in.Hostname); err != nil {
		return answer{}, err
	}
	lun, err := in.lun()
	if err != nil {
		return answer{}, err
	}
	if err := c.run("createvlun", in.VolumeName, lun, in.Hostname); err != nil {
		return answer{}, meant(err, wsapi.CopyTarget, array.CopyTarget)
	}
	facts, err := c.array().VLUNsOf(in.VolumeName)
	if err != nil {
		return answer{}, err
	}
	for _, f := range facts {
		if f.Volume == in.VolumeName && f.Host == in.Hostname {
			return created(fmt.Sprintf("%s/vluns/%s,%d,%s", base, f.Volume, f.LUN, f.Host))
		}
	}
	return created(fmt.Sprintf("%s/vluns/%s,%s,%s", base, in.VolumeName, lun, in.Hostname))
}

func deleteVLUN(c *call) (answer, error) {
	volume, lun, host, err := c.vlunOf()
	if err != nil {
		return answer{}, err
	}
	if err := c.run("removevlun", "-f", volume, fmt.Sprint(lun), host); err != nil {
		return answer{}, err
	}
	return done("")
}
