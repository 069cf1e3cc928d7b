// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

func showVV(n *Node, _ context.Context, a *args) error {
	if err := a.parse(0, 0); err != nil {
		return err
	}
	names := map[array.VolumeID]string{}
	var vvs []VV
	groups := map[array.GroupID]string{}
	err := n.store.View(func(t *store.Tx) error {
		if err := tables.groups.Each(t, func(_ string, g RCGroup) error {
			if groups[g.ID] = g.Name; g.Private {
				groups[g.ID] = "-"
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.vvs.Each(t, func(_ string, v VV) error {
			names[v.ID] = v.Name
			vvs = append(vvs, v)
			return nil
		})
	})
	if err != nil {
		return err
	}
	a.printf("Id\tName\tProv\tCompr\tCopyOf\tCPG\tSizeMiB\tUsedMiB\tRsvdMiB\tState\tWWN\tRCGroup\tAWrn%%\tALim%%\n")
	for _, v := range vvs {
		u, state := n.usedBy(v)
		compr := "No"
		if v.Compress {
			compr = "Yes"
		}
		a.printf("%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%v\t%s\t%s\t%s\n", uint32(v.ID), v.Name, prov(v), compr, cmp.Or(names[v.Of], names[v.Base], "---"),
			v.CPG, v.Size>>20, mib(u.Stored), mib(u.Reserved), state, array.MakeWWN(v.ID), groups[v.Group], orDash(int64(v.AllocWarn)), orDash(int64(v.AllocLimit)))
	}
	return nil
}

// usedBy returns what a volume takes here, and whether it can be used.
func (n *Node) usedBy(v VV) (volume.Used, string) {
	p := n.cpgs[v.CPG]
	switch {
	case p == nil:
		return volume.Used{}, "failed"
	case p.Volume(v.ID) == nil:
		return volume.Used{}, "missing"
	case v.Copy.State != "":
		return p.Volume(v.ID).Used(), n.copyState(v)
	case v.Taking != 0:
		return p.Volume(v.ID).Used(), "promoting"
	}
	return p.Volume(v.ID).Used(), "normal"
}

// prov is the incumbent's word for how a volume is provisioned.
func prov(v VV) string {
	switch {
	case v.Of != 0 || v.Base != 0:
		return "snp"
	case v.Provisioning == volume.Full:
		return "full"
	case v.Provisioning == volume.Dedup:
		return "tdvv"
	}
	return "tpvv"
}

func mib(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
