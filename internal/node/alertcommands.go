// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

func alertCommands() []command {
	always := func([]string) bool { return true }
	return []command{
		{name: "showalert", right: people.Look, usage: "showalert [-n|-a|-f|-all] [-d|-oneline] [-svc] [<id>...]", about: "lists what is wrong with this array now, and since when: -n: what nobody acknowledged (the default), -a: what somebody did, -f: what has ended; -oneline: a line each, -svc changes nothing", run: showAlert},
		{name: "setalert", right: people.Maintain, usage: "setalert new|ack|fixed <id>...|-a", about: "acknowledges alerts, or takes that back; what lasts can't be fixed by a word", forms: alertForms(), free: always, run: setAlert},
		{name: "removealert", right: people.Maintain, usage: "removealert [-f] <id>...|-a", about: "removes alerts that have ended, or with -a all of them", free: always, run: removeAlert},
	}
}

// AlertCode is a number of an alert's kind, which stays.
func AlertCode(kind string) int {
	const codes = 0x5780000
	for i, k := range []string{
		kindSilence, kindStuck, kindWitness, kindLink, kindSlow, kindGroup, kindPeriod, kindUnopened, kindCPG, kindAllocation,
		kindPage, kindCertificate, kindCopies, kindTarget, kindService, kindPledge, kindJoins,
	} { // new ones at the end
		if k == kind {
			return codes + i + 1
		}
	}
	return codes
}

// alertIDs are the numbers that words are.
func (a *args) alertIDs() (ids []event.AlertID, err error) {
	for _, w := range a.rest {
		id, err := strconv.ParseUint(w, 10, 53)
		if err != nil || id == 0 {
			return nil, array.Errorf(array.Invalid, "%s: alert %.40q: want its number", a.cmd.name, w)
		}
		ids = append(ids, event.AlertID(id))
	}
	return ids, nil
}

func showAlert(n *Node, _ context.Context, a *args) error {
	which := map[event.State]*bool{event.New: a.flags.Bool("n", false, ""), event.Acknowledged: a.flags.Bool("a", false, ""), event.Fixed: a.flags.Bool("f", false, "")}
	all, detail, line := a.flags.Bool("all", false, ""), a.flags.Bool("d", false, ""), a.flags.Bool("oneline", false, "")
	a.flags.Bool("svc", false, "")
	a.flags.Bool("wide", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	if *detail && *line {
		return array.Errorf(array.Invalid, "showalert: want one of -d and -oneline")
	}
	ids, err := a.alertIDs()
	if err != nil {
		return err
	}
	var chosen []event.Alert
	for _, id := range ids {
		x, err := a.view().Alert(id)
		if err != nil {
			return err
		}
		chosen = append(chosen, x)
	}
	none := !*which[event.New] && !*which[event.Acknowledged] && !*which[event.Fixed]
	for _, x := range a.view().Alerts() {
		if s := x.State(); len(ids) == 0 && (*all || *which[s] || none && s == event.New) {
			chosen = append(chosen, x)
		}
	}
	if *line || a.style.CSV {
		n.alertLines(a, chosen, *detail)
		return nil
	}
	for _, x := range chosen {
		a.printf("Id\t: %d\nState\t: %s\nMessage Code\t: 0x%07x\nTime\t: %s\nSeverity\t: %s\nType\t: %s\nMessage\t: %s\n",
			x.ID, x.State(), AlertCode(x.Kind), showTime(x.Since), x.Severity, alertType(x), x.Text)
		if *detail {
			a.printf("Fixed\t: %s\n", showTime(x.Ended))
		}
		a.printf("\n")
	}
	if !a.style.NoHdTot {
		a.printf("%s\n", counted(len(chosen), "alert"))
	}
	return nil
}

// alertType is what it is about.
func alertType(x event.Alert) string { return strings.TrimSpace(x.Kind + " " + x.Object) }

func (n *Node) alertLines(a *args, alerts []event.Alert, detail bool) {
	columns := []string{">Id", "State", "MessageCode", "Time", "Severity", "Message"}
	if detail {
		columns = append(columns, "Type", "Fixed")
	}
	t := table.New(columns...)
	for _, x := range alerts {
		row := []any{uint64(x.ID), x.State(), fmt.Sprintf("0x%07x", AlertCode(x.Kind)), showTime(x.Since), x.Severity, x.Text}
		if detail {
			row = append(row, alertType(x), showTime(x.Ended))
		}
		t.Row(row...)
	}
	t.Total(fmt.Sprintf("%d total", t.Rows()))
	a.table(t)
}

// chosenAlerts are those that words name, or, with -a, all of which some are meant.
func (a *args) chosenAlerts(n *Node, all bool, meant func(event.Alert) bool) (ids []event.AlertID, err error) {
	if all == (len(a.rest) > 0) {
		return nil, array.Errorf(array.Invalid, "%s: want numbers of alerts, or -a for all; usage: %s", a.cmd.name, a.cmd.usage)
	}
	if !all {
		return a.alertIDs()
	}
	for _, x := range a.view().Alerts() {
		if meant(x) && a.mayIn(x.Domain) == nil {
			ids = append(ids, x.ID)
		}
	}
	return ids, nil
}

// alertForms are those of setalert.
func alertForms() []form {
	return []form{
		{"new <id>...|-a", "nobody has seen to it"},
		{"ack <id>...|-a", "somebody sees to it"},
		{"fixed <id>...|-a", "for those that have ended: what lasts can't be fixed by a word"},
	}
}

func setAlert(n *Node, _ context.Context, a *args) error {
	words := a.rest
	states := map[string]event.State{"new": event.New, "ack": event.Acknowledged, "fixed": event.Fixed}
	if len(words) == 0 || states[words[0]] == "" {
		return array.Errorf(array.Invalid, "setalert: want new, ack or fixed; usage: %s", a.cmd.usage)
	}
	to := states[words[0]]
	a.rest = words[1:]
	all := a.flags.Bool("a", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	ids, err := a.chosenAlerts(n, *all, func(x event.Alert) bool { return x.Ended.IsZero() })
	if err != nil {
		return err
	}
	return a.eachAlert(ids, func(id event.AlertID) error { return n.alerts.Change(id, to) })
}

// eachAlert does it for those that exist, after it is known that all do.
func (a *args) eachAlert(ids []event.AlertID, do func(event.AlertID) error) error {
	for _, id := range ids {
		x, err := a.view().Alert(id)
		if err == nil {
			err = a.mayIn(x.Domain)
		}
		if err != nil {
			return err
		}
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, do(id))
	}
	return errors.Join(errs...)
}

func removeAlert(n *Node, _ context.Context, a *args) error {
	sure, all := a.confirmation(), a.flags.Bool("a", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	ids, err := a.chosenAlerts(n, *all, func(x event.Alert) bool { return !x.Ended.IsZero() })
	if err != nil {
		return err
	}
	for _, id := range ids {
		if x, err := a.view().Alert(id); err != nil {
			return err
		} else if x.Ended.IsZero() {
			return n.alerts.Remove(id) // which says why not
		}
	}
	if err := sure("removealert forgets %s already ended", counted(len(ids), "alert")); err != nil {
		return err
	}
	return a.eachAlert(ids, n.alerts.Remove)
}
