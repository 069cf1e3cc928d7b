// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"fmt"
	"strings"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// overSSH is an administrator with OpenSSH's client.
type overSSH struct{ *day }

// give gives an array a command, which must be done.
func (o *overSSH) give(array int, words string) string {
	o.t.Helper()
	out, errs, ok := o.ssh(array, "admin", byPassword, "'"+words+"'", "")
	if !ok {
		o.t.Fatalf("%s: %s: %s%s", rig.Name(array), words, out, errs)
	}
	return out
}

func (o *overSSH) pair() {
	o.t.Helper()
	for i := range 2 {
		line := strings.Split(strings.TrimSpace(o.give(i, "showsys -d -csvtable -nohdtot")), ",")
		o.keys[i] = line[len(line)-1]
	}
	for i := range 2 {
		at := o.Lab.Node(rig.Node(1 - i))
		o.give(i, fmt.Sprintf("creatercopytarget -sysid %s -key %s %s IP 0:0:1:%v 0:0:2:%v", o.ids[1-i], o.keys[1-i], o.names[1-i], at.Addr(lab.Link1), at.Addr(lab.Link2)))
	}
	for i := range 2 {
		o.eventually("the target", func() bool {
			return strings.Contains(o.give(i, "showrcopy -csvtable -nohdtot targets"), ",IP,ready,")
		})
	}
	for _, remote := range []string{"", "-remote "} {
		o.give(rig.A, "setrcopytarget witness check "+remote+"-key "+o.witness[1]+" "+o.witness[0]+" array-b")
		o.give(rig.A, "setrcopytarget witness create "+remote+"-key "+o.witness[1]+" "+o.witness[0]+" array-b")
		o.give(rig.A, "setrcopytarget witness start "+remote+"array-b")
	}
}

func (o *overSSH) unpair() {
	o.t.Helper()
	for i := range 2 {
		for _, words := range []string{"setrcopytarget witness stop ", "setrcopytarget witness remove ", "removercopytarget -f "} {
			o.give(i, words+o.names[1-i])
		}
	}
}

func (o *overSSH) furnish() {
	o.t.Helper()
	o.give(rig.A, "createhost web "+rig.Initiator)
	o.give(rig.A, "createhost test "+testHost)
	var names []string
	for k := range dayVolumes {
		name := fmt.Sprintf("v%d", k)
		o.give(rig.A, "createvv -tpvv cpg0 "+name+" 64m")
		names = append(names, name)
	}
	o.give(rig.A, "createvvset apps "+strings.Join(names, " "))
}

func (o *overSSH) protect() {
	o.t.Helper()
	o.give(rig.A, "protectvvset -wait -pol no_auto_failover -host web apps "+group+" array-b:sync")
}

func (o *overSSH) failOver() {
	o.t.Helper()
	o.eventually("array-b to take over", func() bool {
		_, _, ok := o.ssh(rig.B, "admin", byPassword, "'setrcopygroup failover "+group+"'", "")
		return ok
	})
}

func (o *overSSH) rejoin() {
	o.t.Helper()
	o.eventually("the group to be in sync", func() bool {
		_, _, ok := o.ssh(rig.B, "admin", byPassword, "'syncrcopy -w "+group+"'", "")
		return ok
	})
}

func (o *overSSH) home() {
	o.t.Helper()
	o.give(rig.B, "setrcopygroup restore "+group)
}

func (o *overSSH) drill() {
	o.t.Helper()
	o.give(rig.B, "startrcopydrill -host test "+group)
}

func (o *overSSH) drilled() {
	o.t.Helper()
	o.give(rig.B, "stoprcopydrill -f "+group)
}

func (o *overSSH) clear() {
	o.t.Helper()
	for _, l := range strings.Fields(o.give(rig.A, "showvlun -t -csvtable -nohdtot")) {
		f := strings.Split(l, ",")
		o.give(rig.A, "removevlun -f "+f[1]+" "+f[0]+" "+f[2])
	}
	o.give(rig.A, "removevvset -f apps")
	for k := range dayVolumes {
		o.give(rig.A, fmt.Sprintf("dismissrcopyvv -f -destroy v%d %s", k, group))
	}
	o.give(rig.A, "removercopygroup -f -destroy "+group)
	o.give(rig.A, "removehost -f web")
	o.give(rig.A, "removehost -f test")
}
