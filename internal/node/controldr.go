// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
)

func controlForms() []form {
	return []form{
		{"sync", "waits until the other array has what was written until now; -nowaitonsync: does not wait"},
		{"recovery", "the array that is asked serves from now on. If the other one answers: it is brought in sync first (-nosyncbeforerecovery: only if it is), and hosts don't notice; if not: by votes, as 'setrcopygroup failover' (-nofailoveronlinkdown: not at all). -nostart: the group is stopped then"},
	}
}

// maxControlWait bounds -waittime.
const maxControlWait = 720 * time.Minute

// waitTime reads how long a command may take.
func waitTime(text string) (time.Duration, error) {
	if text == "" {
		return maxControlWait, nil
	}
	unit, digits := time.Second, strings.TrimRight(text, "sSmM")
	if strings.HasSuffix(strings.ToLower(text), "m") {
		unit = time.Minute
	}
	count, err := strconv.ParseUint(digits, 10, 32)
	d := time.Duration(count) * unit
	if err != nil || len(text)-len(digits) > 1 || d <= 0 || d > maxControlWait {
		return 0, array.Errorf(array.Invalid, "controldrrcopygroup -waittime %.20q: want a number of seconds (s) or minutes (m), up to 720m", text)
	}
	return d, nil
}

func controlGroup(n *Node, ctx context.Context, a *args) error {
	verb := ""
	if len(a.rest) > 0 {
		verb, a.rest = a.rest[0], a.rest[1:]
	}
	if verb != "sync" && verb != "recovery" {
		return array.Errorf(array.Invalid, "controldrrcopygroup %.40q: want sync or recovery; usage: %s", verb, a.cmd.usage)
	}
	sure := a.confirmation()
	target, wait := a.flags.String("target", "", ""), a.flags.String("waittime", "", "")
	flag := map[string]*bool{}
	for _, name := range []string{"nowaitonsync", "nosyncbeforerecovery", "nofailoveronlinkdown", "nostart", "forceasprimary", "forceassecondary"} {
		flag[name] = a.flags.Bool(name, false, "")
	}
	if err := a.parse(1, 1); err != nil {
		return err
	}
	within, err := waitTime(*wait)
	switch {
	case err != nil:
		return err
	case *flag["forceasprimary"]:
		return array.Errorf(array.Invalid, "controldrrcopygroup -forceasprimary: 'setrcopygroup override -f %s' forces this array's copy, and says what is lost", a.rest[0])
	case *flag["forceassecondary"]:
		return array.Errorf(array.Invalid, "controldrrcopygroup -forceassecondary: 'setrcopygroup discard -f %s' gives this array's copy up", a.rest[0])
	case *target != "" && *target != n.to().Name:
		return array.Errorf(array.NotFound, "target %s does not exist: want %s", *target, n.targetName()).Because(array.NoTarget)
	}
	f, err := n.Group(a.rest[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	do := func(words ...string) error {
		_, err := n.Do(ctx, Asked{By: a.by, Words: append(words, f.Name), Tell: a.tell})
		return err
	}
	inSync := func() error { return do("syncrcopy", "-w") }
	if verb == "sync" {
		if *flag["nowaitonsync"] && f.Period > 0 {
			inSync = func() error { return do("syncrcopy") }
		} else if *flag["nowaitonsync"] {
			inSync = func() error { return do("startrcopygroup") }
		}
		return inSync()
	}
	if *flag["nostart"] && a.by.Over == overTask {
		return n.stopRecovered(f, do)
	}
	// The owner serves, or will in a moment: a switchover would take the group away from here.
	if f.ServedHere && !f.Shared || strings.HasPrefix(f.Role, "Primary") && n.reachable() {
		return array.Errorf(array.Conflict, "group %s is served by array %s already: give this to array %s, to bring it there", f.Name, n.cfg.Name, n.to().Name).Because(array.Served)
	}
	if err := sure("controldrrcopygroup recovery lets array %s serve group %s", n.cfg.Name, f.Name); err != nil {
		return err
	}
	if !*flag["nostart"] {
		return n.recoverHere(f, *flag["nosyncbeforerecovery"], *flag["nofailoveronlinkdown"], do, inSync)
	}
	p, err := n.pledge(a, [][]string{{"controldrrcopygroup", "recovery", "-f", "-nostart", f.Name}}, nil)
	if err != nil {
		return err
	}
	if err := n.recoverHere(f, *flag["nosyncbeforerecovery"], *flag["nofailoveronlinkdown"], do, inSync); err != nil {
		if errors.As(err, new(unanswered)) { // the other array may have handed it over
			n.leaveTo(p, err)
			return fmt.Errorf("%w; if array %s serves group %s by it, the group is stopped as soon as that can be", err, n.cfg.Name, f.Name)
		}
		return errors.Join(err, n.released(p))
	}
	if err := do("stoprcopygroup", "-f"); err != nil {
		n.leaveTo(p, err)
		return fmt.Errorf("group %s is served by array %s, and is stopped as soon as that can be: %w", f.Name, n.cfg.Name, err)
	}
	return n.released(p)
}

// stopRecovered does what is left of a recovery with -nostart that was interrupted: the group is
// stopped if it is served here by it. Else nothing was done, and nothing is.
func (n *Node) stopRecovered(f GroupFact, do func(words ...string) error) error {
	switch {
	case f.ServedHere && !f.Shared:
		return do("stoprcopygroup", "-f")
	case f.ServedHere || n.elsewhere(n.running(f.ID)):
		return array.Errorf(array.NotFound, "group %s is served by array %s: its recovery was not begun", f.Name, n.to().Name).Because(array.NotServed)
	}
	return array.Errorf(array.Busy, "which array serves group %s is not known yet", f.Name)
}

// recoverHere lets this array serve a group.
func (n *Node) recoverHere(f GroupFact, asItIs, onlyInContact bool, do func(words ...string) error, inSync func() error) error {
	switch {
	case n.reachable():
		if !asItIs {
			if err := inSync(); err != nil {
				return err
			}
		}
		if f.Period > 0 {
			return do("setrcopygroup", "reverse")
		}
		return do("setrcopygroup", "switchover")
	case onlyInContact:
		return array.Errorf(array.Unavailable, "array %s does not answer, and -nofailoveronlinkdown is said: group %s stays where it is", n.to().Name, f.Name).Because(array.TargetSilent)
	}
	return do("setrcopygroup", "failover")
}
