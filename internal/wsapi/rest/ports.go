// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

func portRoutes() []route {
	return []route{
		{method: "GET", path: "/ports", right: people.Look, about: "the iSCSI portals, and the addresses for links", out: collection[port]{}, query: filtered, do: getPorts},
		{method: "GET", path: "/ports/{port}", right: people.Look, about: "one of them: node:slot:port", out: port{}, do: getPort},
	}
}

// portPos is a port's place. A daemon has one node; slot 0 has links, slot 1 portals.
type portPos struct {
	Node     int `json:"node"`
	Slot     int `json:"slot"`
	CardPort int `json:"cardPort"`
}

func hostPort(number int) *portPos { return &portPos{Slot: 1, CardPort: number} }

type port struct {
	PortPos   portPos `json:"portPos"`
	Protocol  int     `json:"protocol"`
	Mode      int     `json:"mode"`
	Type      int     `json:"type"`
	LinkState int     `json:"linkState"`
	Label     string  `json:"label"`
	IPAddr    string  `json:"IPAddr"`
	// TCPPort is where it listens.
	TCPPort       int        `json:"tcpPort"`
	ISCSIName     string     `json:"iSCSIName,omitempty"`
	FailoverState int        `json:"failoverState"`
	ISCSIPortInfo *iscsiInfo `json:"iSCSIPortInfo,omitempty"`
	ISCSIVlans    []string   `json:"iSCSIVlans,omitempty"`
	Sessions      int        `json:"sessions"`
}

type iscsiInfo struct {
	IPAddr    string `json:"IPAddr"`
	ISCSIName string `json:"iSCSIName"`
}

// The incumbent's enumerations.
const (
	protocolISCSI, protocolIP = 2, 4
	modeTarget, modePeer      = 2, 4
	portISCSI, portRCIP       = 8, 7
	linkReady, linkOffline    = 4, 10
	failoverNone              = 1
)

func portOfFact(f node.PortFact, up map[string]bool) port {
	if f.Link {
		p := port{
			PortPos: portPos{CardPort: f.Number}, Protocol: protocolIP, Mode: modePeer, Type: portRCIP, Label: f.Name, IPAddr: f.Address, TCPPort: f.Port,
			LinkState: linkOffline, FailoverState: failoverNone,
		}
		if up[f.Name] {
			p.LinkState = linkReady
		}
		return p
	}
	return port{
		PortPos: *hostPort(f.Number), Protocol: protocolISCSI, Mode: modeTarget, Type: portISCSI, LinkState: linkReady, Label: fmt.Sprintf("portal%d", f.Number),
		IPAddr: f.Address, TCPPort: f.Port, ISCSIName: f.Name, FailoverState: failoverNone, ISCSIPortInfo: &iscsiInfo{f.Address, f.Name}, Sessions: f.Sessions,
	}
}

func ports(c *call) (all []port) {
	up := map[string]bool{}
	if t, ok := c.array().Target(); ok {
		for _, l := range t.Links {
			up[l.Name] = l.Up
		}
	}
	for _, f := range c.array().Ports() {
		all = append(all, portOfFact(f, up))
	}
	return all
}

func getPorts(c *call) (answer, error) { return collect(c, ports(c)) }

func getPort(c *call) (answer, error) {
	var pos [3]int
	parts := strings.Split(c.r.PathValue("port"), ":")
	if len(parts) != 3 {
		return answer{}, fail(wsapi.BadPort, "", "want node:slot:port")
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil {
			return answer{}, fail(wsapi.BadPort, "", "want node:slot:port, in numbers")
		}
		pos[i] = n
	}
	for _, p := range ports(c) {
		if p.PortPos == (portPos{pos[0], pos[1], pos[2]}) {
			return ok(p)
		}
	}
	return answer{}, fail(wsapi.NoPort, "", "port %d:%d:%d does not exist", pos[0], pos[1], pos[2])
}
