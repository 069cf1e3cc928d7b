// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/iscsi"
	"github.com/perdure/perdure/internal/table"
	"github.com/perdure/perdure/internal/volume"
)

func showSys(n *Node, _ context.Context, a *args) error {
	detail := a.flags.Bool("d", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	all := make([]volume.Capacity, 0, len(n.cpgs))
	for _, p := range n.cpgs {
		all = append(all, p.Capacity())
	}
	sum := volume.Together(all...)
	cols := []string{">ID", "Name", "Model", "Serial", ">Nodes", ">Master", ">TotalCap", ">AllocCap", ">FreeCap", ">FailedCap"}
	if *detail {
		cols = append(cols, "iSCSI_Name", ">Starts", "Key")
	}
	t := table.New(cols...)
	t.Row(n.cfg.SystemID, n.cfg.Name, "Perdure", n.cfg.SystemID, 1, 0, sum.Limit>>20, (sum.Used+sum.Reserved)>>20, sum.Free()>>20, 0, n.cfg.ISCSI.Name, n.start.Count, n.ident.Pin())
	a.table(t)
	return nil
}

func showVersion(_ *Node, _ context.Context, a *args) error {
	brief := a.flags.Bool("s", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	if *brief {
		a.out.WriteString(array.Version + "\n")
		return nil
	}
	a.out.WriteString("Release version " + array.Version + "\n\n")
	t := table.New("Component Name", "Version")
	t.Row("perdured", array.Version)
	a.table(t)
	return nil
}

func showPort(n *Node, _ context.Context, a *args) error {
	portals, links := a.flags.Bool("iscsi", false, ""), a.flags.Bool("rcip", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	if *portals && *links {
		return array.Errorf(array.Invalid, "showport: want one of -iscsi and -rcip; usage: %s", a.cmd.usage)
	}
	t := table.New("N:S:P", "Mode", "State", "Type", "Protocol", "IPAddr", ">TPGT")
	if !*links && n.target != nil {
		for k, addr := range n.target.Addrs() {
			t.Row(portalPort(k), "target", "ready", "host", "iSCSI", addr, k+1)
		}
	}
	if !*portals {
		for _, l := range n.linkPorts() {
			t.Row(linkPort(l.port-1), "peer", "ready", "rcip", "IP", l.Listen, "-")
		}
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
	return nil
}

func showISCSISession(n *Node, _ context.Context, a *args) error {
	if err := a.parse(0, 0); err != nil {
		return err
	}
	var all []iscsi.SessionInfo
	s, err := a.view().sight()
	if err != nil {
		return err
	}
	own := map[string]bool{}
	for _, h := range s.hosts {
		for _, i := range h.Initiators {
			own[i] = true
		}
	}
	for i, l := range n.sessionsOf() {
		if own[i] || a.by.everything() {
			all = append(all, l...)
		}
	}
	slices.SortFunc(all, func(x, y iscsi.SessionInfo) int {
		return cmp.Or(cmp.Compare(x.Tag, y.Tag), cmp.Compare(x.TSIH, y.TSIH))
	})
	t := table.New("N:S:P", "IPAddr", ">TPGT", ">TSIH", ">Conns", "iSCSI_Name")
	for _, s := range all {
		t.Row(portalPort(int(s.Tag)-1), s.Remote, s.Tag, s.TSIH, 1, s.Initiator)
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
	return nil
}
