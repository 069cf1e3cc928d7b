// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/table"
	"github.com/perdure/perdure/internal/volume"
)

// cpgLimits are what a person set for a CPG of this array, in bytes; 0 for none.
type cpgLimits struct {
	Warn  int64 `json:"warn"`
	Limit int64 `json:"limit"`
}

func (n *Node) limitsOf(cpg string) (l cpgLimits, err error) {
	err = n.store.View(func(t *store.Tx) (err error) { l, _, err = tables.limits.Get(t, cpg); return err })
	return l, err
}

// capCPGs bounds what hosts may take of the CPGs.
func (n *Node) capCPGs() error {
	for name, p := range n.cpgs {
		l, err := n.limitsOf(name)
		if err != nil {
			return err
		}
		p.SetCap(l.Limit)
	}
	return nil
}

// parseLimit reads a size, or 0 for none.
func parseLimit(text string) (int64, error) {
	if text == "0" {
		return 0, nil
	}
	return parseSize(text)
}

func setCPG(n *Node, _ context.Context, a *args) error {
	warn, limit := a.flags.String("sdgw", "", ""), a.flags.String("sdgl", "", "")
	a.flags.Bool("f", false, "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	p := n.cpgs[a.rest[0]]
	switch {
	case p == nil:
		return n.noCPG(a.rest[0])
	case *warn == "" && *limit == "":
		return array.Errorf(array.Invalid, "setcpg: want -sdgw or -sdgl; usage: %s", a.cmd.usage)
	}
	l, err := n.limitsOf(a.rest[0])
	if err != nil {
		return err
	}
	for _, x := range []struct {
		text string
		to   *int64
	}{{*warn, &l.Warn}, {*limit, &l.Limit}} {
		if x.text == "" {
			continue
		}
		if *x.to, err = parseLimit(x.text); err != nil {
			return in("CPG", a.rest[0], err)
		}
	}
	if has := p.Capacity().Limit; *limit != "" && l.Limit > has {
		return array.Errorf(array.Invalid, "CPG %s: a limit of %d MiB would never come, the CPG has %d: want at most that, or 0 for no limit of its own", a.rest[0], l.Limit>>20, has>>20)
	}
	if l.Limit > 0 && l.Warn > l.Limit {
		return array.Errorf(array.Invalid, "CPG %s: a warning at %d MiB would never come, the limit is %d", a.rest[0], l.Warn>>20, l.Limit>>20)
	}
	if used := p.Capacity().Used; *limit != "" && l.Limit > 0 && l.Limit < used {
		return array.Errorf(array.Invalid, "CPG %s: a limit of %d MiB would refuse hosts' writes at once, %d MiB are in use: want at least that, or 0 for no limit of its own", a.rest[0], l.Limit>>20, (used+1<<20-1)>>20)
	}
	if err := n.store.Update(func(t *store.Tx) error { return tables.limits.Put(t, a.rest[0], l) }); err != nil {
		return err
	}
	p.SetCap(l.Limit)
	return nil
}

// mayTake is what pages of the volume itself may take, in bytes; 0 for no limit.
func (v VV) mayTake() int64 { return v.Size / 100 * int64(v.AllocLimit) }

// alloc are the options for a volume's allocation warning and limit.
type alloc struct{ warn, limit *int }

func allocFlags(a *args) alloc {
	return alloc{a.flags.Int("usr_aw", -1, ""), a.flags.Int("usr_al", -1, "")}
}

// of sets what the options say.
func (a alloc) of(v *VV) error {
	for _, x := range []struct {
		name  string
		value int
		to    *int
	}{{"-usr_aw", *a.warn, &v.AllocWarn}, {"-usr_al", *a.limit, &v.AllocLimit}} {
		if x.value < -1 || x.value > 100 {
			return array.Errorf(array.Invalid, "volume %s: %s %d: want a percentage of its size, 1 to 100, or 0 for none", v.Name, x.name, x.value)
		}
		if x.value >= 0 {
			*x.to = x.value
		}
	}
	switch {
	case v.Of != 0:
		return array.Errorf(array.Invalid, "%s is a snapshot: nothing is allocated to it by writes of hosts", v.Name)
	case v.Provisioning == volume.Full && v.AllocWarn+v.AllocLimit > 0:
		return array.Errorf(array.Invalid, "volume %s is fully provisioned: all of it is allocated", v.Name)
	case v.AllocLimit > 0 && v.AllocWarn > v.AllocLimit:
		return array.Errorf(array.Invalid, "volume %s: a warning at %d percent would never come, the limit is %d", v.Name, v.AllocWarn, v.AllocLimit)
	}
	return nil
}

func orDash(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func showCPG(n *Node, _ context.Context, a *args) error {
	a.domainFlag()
	detail := a.flags.Bool("d", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	count := map[string][3]int{} // volumes, thin ones, snapshots
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.Each(t, func(_ string, v VV) error {
			c := count[v.CPG]
			c[0]++
			if v.Of != 0 {
				c[2]++
			} else if v.Provisioning != volume.Full {
				c[1]++
			}
			count[v.CPG] = c
			return nil
		})
	}); err != nil {
		return err
	}
	cols := []string{"Name", ">VVs", ">TPVVs", ">Snps", ">Used_MB", ">Rsvd_MB", ">Free_MB", ">Total_MB", ">Written_MB", ">Savings", ">SDGw_MB", ">SDGl_MB"}
	if *detail {
		cols = append(cols, "Domain")
	}
	domains, err := a.view().scope()
	if err != nil {
		return err
	}
	t := table.New(cols...)
	found := map[string]bool{}
	var sum volume.Capacity
	var free int64
	for _, c := range n.cfg.CPGs {
		if !domains.object(cpgKind, c.Name) || len(a.rest) > 0 && !a.names(c.Name, found) {
			continue
		}
		s := n.cpgs[c.Name].Capacity()
		l, err := n.limitsOf(c.Name)
		if err != nil {
			return err
		}
		savings := "-"
		if s.Used > 0 {
			savings = fmt.Sprintf("%.2f:1", float64(s.Written)/float64(s.Used))
		}
		room := max(0, s.Cap-s.Used-s.Reserved)
		k := count[c.Name]
		t.Row(c.Name, k[0], k[1], k[2], mib(s.Used), mib(s.Reserved), mib(room), s.Limit>>20, mib(s.Written), savings, orDash(l.Warn>>20), orDash(l.Limit>>20), orDashText(domains.in[keyOf(cpgKind, c.Name)]))
		sum.Used, sum.Reserved, sum.Limit, sum.Written, free = sum.Used+s.Used, sum.Reserved+s.Reserved, sum.Limit+s.Limit, sum.Written+s.Written, free+room
	}
	if err := a.unnamed("CPG", found); err != nil {
		return err
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()), nil, nil, nil, mib(sum.Used), mib(sum.Reserved), mib(free), sum.Limit>>20, mib(sum.Written))
	a.table(t)
	return nil
}
