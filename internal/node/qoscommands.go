// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/qos"
	"github.com/perdure/perdure/internal/table"
)

func qosCommands() []command {
	return []command{
		{name: "setqos", right: people.Change, usage: "setqos [-io [<min>-]<max>] [-bw [<min>-]<max>[k|m|g]] [-lt <goal>[ms|us]] [-pri low|normal|high] [-on|-off|-clear] vvset:<set>", about: "limits what hosts may do to the volumes of a set: commands and KiB a second, a goal for their latency in ms; none takes one off, -clear the rule", run: setQoS},
		{name: "showqos", right: people.Look, usage: "showqos [vvset:<set>...]", about: "lists the rules that limit hosts", run: showQoS},
		{name: "statqos", right: people.Look, usage: "statqos [-iter <n>] [-d <seconds>] [vvset:<set>...]", about: "shows what the rules admitted, delayed and refused in the last second, on each array, and which share of the limits each has", run: statQoS},
	}
}

// setOf is the set that a rule is for.
func setOf(command, target string) (string, error) {
	name, is := strings.CutPrefix(target, "vvset:")
	if !is || !validName(name) {
		return "", array.Errorf(array.Invalid, "%s %.60q: want vvset: and the name of a set of volumes", command, target)
	}
	return name, nil
}

func setQoS(n *Node, ctx context.Context, a *args) error {
	if len(a.rest) > 1 && strings.HasPrefix(a.rest[0], "vvset:") { // as some scripts have it
		a.rest = append(a.rest[1:], a.rest[0])
	}
	text := func(name string) *string { return a.flags.String(name, "", "") }
	io, bw, lt, pri := text("io"), text("bw"), text("lt"), text("pri")
	on, off, clear := a.flags.Bool("on", false, ""), a.flags.Bool("off", false, ""), a.flags.Bool("clear", false, "")
	a.flags.Bool("f", false, "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	name, err := setOf("setqos", a.rest[0])
	if err != nil {
		return err
	}
	if *on && *off || *clear && a.flags.NFlag() > 1 || a.flags.NFlag() == 0 {
		return array.Errorf(array.Invalid, "setqos vvset:%s: want -io, -bw, -lt, -pri, and one of -on and -off; or -clear alone; usage: %s", name, a.cmd.usage)
	}
	s, err := n.volumeSet(name)
	if err != nil || s == nil {
		return orElse(err, array.Errorf(array.NotFound, "volume set %s does not exist", name).Because(array.NoVolumeSet))
	}
	return n.changeVVSet(ctx, name, func(s *VVSet) error {
		if *clear {
			if s.QoS == nil {
				return array.Errorf(array.NotFound, "volume set %s has no QoS rule", name).Because(array.NoQoS)
			}
			s.QoS = nil
			return nil
		}
		r := QoSRule{Enabled: true, Rule: qos.Rule{Priority: qos.Normal}}
		if s.QoS != nil {
			r = *s.QoS
		}
		if err := r.change(name, *io, *bw, *lt, *pri); err != nil {
			return err
		}
		r.Enabled = (r.Enabled || *on) && !*off
		s.QoS = &r
		return r.check(name)
	})
}

// change sets what is given.
func (r *QoSRule) change(set, io, bw, lt, pri string) (err error) {
	if io != "" {
		if r.Rule.MinIOPS, r.Rule.MaxIOPS, err = parseSpan(io, 1); err != nil {
			return array.Errorf(array.Invalid, "volume set %s: -io %.40q: want [<min>-]<max> commands a second, or none", set, io)
		}
	}
	if bw != "" {
		if r.Rule.MinBytes, r.Rule.MaxBytes, err = parseSpan(bw, 1<<10); err != nil {
			return array.Errorf(array.Invalid, "volume set %s: -bw %.40q: want [<min>-]<max> KiB a second, or with m or g, or none", set, bw)
		}
	}
	if lt != "" {
		if r.Rule.Goal, err = parseGoal(lt); err != nil {
			return array.Errorf(array.Invalid, "volume set %s: -lt %.40q: want milliseconds, or with us, or none", set, lt)
		}
	}
	switch pri {
	case "":
	case "low":
		r.Rule.Priority = qos.Low
	case "normal":
		r.Rule.Priority = qos.Normal
	case "high":
		r.Rule.Priority = qos.High
	default:
		return array.Errorf(array.Invalid, "volume set %s: -pri %.40q: want low, normal or high", set, pri)
	}
	return nil
}

// parseSpan reads min-max, or max alone, in multiples of unit.
func parseSpan(text string, unit int64) (low, high int64, err error) {
	if text == "none" {
		return 0, 0, nil
	}
	first, last, two := strings.Cut(text, "-")
	if !two && strings.Trim(text, "0") == "" { // a slip, or meant to stop all; none says what it would do
		return 0, 0, strconv.ErrRange
	}
	if !two {
		first, last = "0", first
	}
	if low, err = parseRate(first, unit); err != nil {
		return 0, 0, err
	}
	high, err = parseRate(last, unit)
	return low, high, err
}

func parseRate(text string, unit int64) (int64, error) {
	if unit > 1 {
		for suffix, size := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
			if n, ok := strings.CutSuffix(strings.ToLower(text), suffix); ok {
				text, unit = n, size
			}
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (n < 0 || n > maxQoSBytes/unit) {
		err = strconv.ErrRange
	}
	return n * unit, err
}

func parseGoal(text string) (time.Duration, error) {
	if text == "none" {
		return 0, nil
	}
	unit, number := time.Millisecond, text
	if n, ok := strings.CutSuffix(text, "us"); ok {
		unit, number = time.Microsecond, n
	} else if n, ok := strings.CutSuffix(text, "ms"); ok {
		number = n
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err == nil && (n < 0 || n > int64(maxQoSGoal/unit)) {
		err = strconv.ErrRange
	}
	return time.Duration(n) * unit, err
}

// rules returns those that a command names, or all.
func (n *Node) rules(a *args) ([]QoSFact, error) {
	if err := a.parse(0, -1); err != nil {
		return nil, err
	}
	for _, w := range a.rest {
		if _, is := strings.CutPrefix(w, "vvset:"); !is {
			return nil, array.Errorf(array.Invalid, "%s %.60q: want vvset: and the name of a set of volumes", a.cmd.name, w)
		}
	}
	facts, err := a.view().QoS()
	if err != nil || len(a.rest) == 0 {
		return facts, err
	}
	var some []QoSFact
	found := map[string]bool{}
	for _, f := range facts {
		if a.names("vvset:"+f.Set, found) {
			some = append(some, f)
		}
	}
	for _, w := range a.rest {
		if !found[w] {
			return nil, array.Errorf(array.NotFound, "there is no QoS rule for %s", w).Because(array.NoQoS)
		}
	}
	return some, nil
}

func showQoS(n *Node, _ context.Context, a *args) error {
	facts, err := n.rules(a)
	if err != nil {
		return err
	}
	t := table.New(">Id", "Type", "Name", "QoS", "Pri", ">Min_IO", ">Max_IO", ">Min_BW_KB", ">Max_BW_KB", ">LT_Goal_ms")
	for _, f := range facts {
		goal := "-"
		if f.Rule.Goal > 0 {
			goal = strconv.FormatFloat(float64(f.Rule.Goal.Microseconds())/1000, 'f', -1, 64)
		}
		t.Row(array.NumberOfName(f.Set), "vvset", f.Set, map[bool]string{true: "on", false: "off"}[f.Enabled], priorityName(f.Rule.Priority),
			orDash(f.Rule.MinIOPS), orDash(f.Rule.MaxIOPS), orDash(f.Rule.MinBytes>>10), orDash(f.Rule.MaxBytes>>10), goal)
	}
	t.Total(t.Rows(), "total")
	a.table(t)
	return nil
}

func priorityName(p qos.Priority) string {
	return map[qos.Priority]string{qos.Low: "low", qos.Normal: "normal", qos.High: "high"}[p]
}

func statQoS(n *Node, ctx context.Context, a *args) error {
	turns, every := a.flags.Int("iter", 1, ""), a.flags.Int("d", 1, "")
	facts, err := n.rules(a)
	if err != nil {
		return err
	}
	if err := turnsWithin("statqos", *turns, *every); err != nil {
		return err
	}
	for turn := range *turns {
		if turn > 0 {
			if !pause(ctx, time.Duration(*every)*time.Second) {
				return ctx.Err()
			}
			if facts, err = n.rulesAgain(facts); err != nil {
				return err
			}
		}
		t := table.New("Type", "Name", ">IO_per_s", ">KB_per_s", ">Wait_ms", ">Svct_ms", ">Rej_per_s", "Array", ">Share_pct")
		for _, f := range facts {
			for _, x := range f.Arrays {
				t.Row("vvset", f.Set, x.IOPS, x.Bytes>>10, ms(x.Wait), ms(x.Took), x.Refused, x.Array, math.Round(100*x.Share))
			}
		}
		a.table(t)
	}
	return nil
}

// rulesAgain returns how those rules stand now, as far as there still are.
func (n *Node) rulesAgain(was []QoSFact) (now []QoSFact, err error) {
	all, err := n.QoS()
	for _, f := range all {
		if slices.ContainsFunc(was, func(o QoSFact) bool { return o.Set == f.Set }) {
			now = append(now, f)
		}
	}
	return now, err
}
