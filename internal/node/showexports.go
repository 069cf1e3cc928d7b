// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/iscsi"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/table"
)

// sessionsOf returns the iSCSI sessions of initiators, by name and port.
func (n *Node) sessionsOf() map[string][]iscsi.SessionInfo {
	by := map[string][]iscsi.SessionInfo{}
	if n.target == nil {
		return by
	}
	for _, s := range n.target.Sessions() {
		if !s.Discovery {
			by[s.Initiator] = append(by[s.Initiator], s)
		}
	}
	for _, l := range by {
		slices.SortFunc(l, func(a, b iscsi.SessionInfo) int {
			return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Remote, b.Remote))
		})
	}
	return by
}

func (n *Node) sightNow() (s *sight, err error) {
	err = n.store.View(func(t *store.Tx) error {
		if s, err = loadSight(t); err == nil {
			err = s.placed(t)
		}
		return err
	})
	return s, err
}

func showHost(n *Node, _ context.Context, a *args) error {
	a.domainFlag()
	detail := a.flags.Bool("d", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	s, err := a.view().sight()
	if err != nil {
		return err
	}
	cols := []string{"Name", "Persona", "-WWN/iSCSI_Name-", "Port"}
	if *detail {
		cols = append(cols, "IP_addr", "CHAP", "Proximity", "Domain")
	}
	t := table.New(cols...)
	found, sessions := map[string]bool{}, n.sessionsOf()
	hosts := 0
	for _, name := range sortedKeys(s.hosts) {
		h := s.hosts[name]
		if len(a.rest) > 0 && !a.names(name, found) {
			continue
		}
		hosts++
		slices.Sort(h.Initiators)
		near, domain := s.nearness(name), orDashText(s.in[keyOf(hostKind, name)])
		for _, i := range h.Initiators {
			ports := sessions[i]
			if len(ports) == 0 {
				t.Row(name, personaName(h.Persona), i, "---", "-", yesNo(h.CHAPUser != ""), near, domain)
			}
			for _, x := range ports {
				t.Row(name, personaName(h.Persona), i, portalPort(int(x.Tag)-1), x.Remote, yesNo(h.CHAPUser != ""), near, domain)
			}
		}
	}
	if err := a.unnamed("host", found); err != nil {
		return err
	}
	t.Total(fmt.Sprintf("%d total", hosts))
	a.table(t)
	return nil
}

// nearness is what a host prefers, by itself or by a set that it is in, as group:proximity.
func (s *sight) nearness(host string) string {
	var all []string
	for _, g := range s.groups {
		for _, x := range g.Near {
			if slices.ContainsFunc(s.hostsOf(x.Host), func(h Host) bool { return h.Name == host }) {
				all = append(all, g.Name+":"+x.Proximity)
			}
		}
	}
	slices.Sort(all)
	return cmp.Or(strings.Join(all, ","), "-")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// vlunFilter says which exports are shown; names are patterns.
type vlunFilter struct {
	vv, host string
	lun      int
}

func (f vlunFilter) shows(l VLUN, s *sight) bool {
	return likeName(f.vv, s.vvs[l.Volume].Name) && likeName(f.host, l.Host) && (f.lun < 0 || f.lun == int(l.LUN))
}

// likeName reports whether a pattern of names, with * and ?, is of a name; an empty one is
// of all.
func likeName(pattern, name string) bool {
	is, err := path.Match(pattern, name)
	return pattern == "" || err == nil && is
}

// there says if the filter names what does not exist.
func (f vlunFilter) there(s *sight) error {
	if f.vv != "" {
		known := false
		for _, v := range s.vvs {
			known = known || likeName(f.vv, v.Name)
		}
		if !known {
			return array.Errorf(array.NotFound, "volume %s does not exist", f.vv).Because(array.NoVolume)
		}
	}
	if set, is := strings.CutPrefix(f.host, "set:"); is {
		if !anyLike(set, s.sets) {
			return array.Errorf(array.NotFound, "host set %s does not exist", set).Because(array.NoHostSet)
		}
	} else if f.host != "" && !anyLike(f.host, s.hosts) {
		return array.Errorf(array.NotFound, "host %s does not exist", f.host).Because(array.NoHost)
	}
	return nil
}

// anyLike reports whether a pattern is of any name.
func anyLike[V any](pattern string, named map[string]V) bool {
	for name := range named {
		if pattern != "" && likeName(pattern, name) {
			return true
		}
	}
	return false
}

func showVLUN(n *Node, _ context.Context, a *args) error {
	templates, active := a.flags.Bool("t", false, ""), a.flags.Bool("a", false, "")
	a.domainFlag()
	vv, host, lun := a.flags.String("v", "", ""), a.flags.String("host", "", ""), a.flags.Int("l", -1, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	if *templates && *active {
		return array.Errorf(array.Invalid, "showvlun: want one of -t and -a; usage: %s", a.cmd.usage)
	}
	s, err := a.view().sight()
	if err != nil {
		return err
	}
	slices.SortFunc(s.vluns, func(x, y VLUN) int {
		return cmp.Or(cmp.Compare(x.LUN, y.LUN), cmp.Compare(s.vvs[x.Volume].Name, s.vvs[y.Volume].Name), cmp.Compare(x.Host, y.Host))
	})
	f := vlunFilter{*vv, *host, *lun}
	if err := f.there(s); err != nil {
		return err
	}
	if !*templates {
		a.title("Active VLUNs")
		n.showActive(a, s, f)
	}
	if !*templates && !*active {
		a.title("")
	}
	if !*active {
		a.title("VLUN Templates")
		t := table.New(">Lun", "VVName", "HostName", "-Host_WWN/iSCSI_Name-", "Port", "Type")
		for _, l := range s.vluns {
			if f.shows(l, s) {
				t.Row(l.LUN, s.vvs[l.Volume].Name, l.Host, "----------------", "---", vlunType(l))
			}
		}
		t.Total(t.Rows(), "total")
		a.table(t)
	}
	return nil
}

func vlunType(l VLUN) string {
	if strings.HasPrefix(l.Host, "set:") {
		return "host set"
	}
	return "host"
}

// showActive lists what hosts that are logged in see.
func (n *Node) showActive(a *args, s *sight, f vlunFilter) {
	t := table.New(">Lun", "VVName", "HostName", "-Host_WWN/iSCSI_Name-", "Port", "Type", "Status", ">ID")
	sessions := n.sessionsOf()
	host := map[string]string{}
	for _, h := range s.hosts {
		for _, i := range h.Initiators {
			host[i] = h.Name
		}
	}
	for _, l := range s.vluns {
		for _, i := range s.initiators(l.Host) {
			g := f
			if likeName(f.host, host[i]) {
				g.host = "" // seen by way of a set
			}
			for _, x := range sessions[i] {
				if g.shows(l, s) {
					t.Row(l.LUN, s.vvs[l.Volume].Name, host[i], i, portalPort(int(x.Tag)-1), vlunType(l), "active", x.TSIH)
				}
			}
		}
	}
	t.Total(t.Rows(), "total")
	a.table(t)
}
