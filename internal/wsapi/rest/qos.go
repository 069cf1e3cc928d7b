// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/qos"
	"github.com/perdure/perdure/internal/wsapi"
)

func qosRoutes() []route {
	return []route{
		{method: "GET", path: "/qos", right: people.Look, about: "rules that limit what hosts may do", out: collection[rule]{}, query: filtered, do: getRules},
		{method: "GET", path: "/qos/{target}", right: people.Look, about: "one of them: vvset:<set>", out: rule{}, do: getRule},
		{method: "POST", path: "/qos", right: people.Change, about: "limit what hosts may do to the volumes of a set", in: newRule{}, status: 201, do: postRule},
		{method: "PUT", path: "/qos/{target}", right: people.Change, about: "change a rule", in: ruleMods{}, do: putRule},
		{method: "DELETE", path: "/qos/{target}", right: people.Change, about: "remove a rule; the set stays", do: deleteRule},
	}
}

const (
	// ruleForSet is the kind of target that a rule has.
	ruleForSet = 1
	// allOthers is the incumbent's rule for what no rule is for.
	allOthers = "sys:all_others"
	// opZero and opNoLimit stand for numbers.
	opZero, opNoLimit = 1, 2
	kib               = 1 << 10
	maxKiB            = 1 << 40
	maxIOs            = 1 << 31
	maxGoal           = 10 * time.Second
)

type rule struct {
	ID          uint32 `json:"id"`
	Name        string `json:"name"`
	Type        int    `json:"type"`
	Enabled     bool   `json:"enabled"`
	Priority    int    `json:"priority"`
	IOMinGoal   int64  `json:"ioMinGoal,omitempty"`
	IOMaxLimit  int64  `json:"ioMaxLimit,omitempty"`
	BWMinGoalKB int64  `json:"bwMinGoalKB,omitempty"`
	BWMaxLimit  int64  `json:"bwMaxLimitKB,omitempty"`
	// LatencyGoal is in milliseconds, the other one in microseconds.
	LatencyGoal   int64  `json:"latencyGoal,omitempty"`
	LatencyGoalUs int64  `json:"latencyGoaluSecs,omitempty"`
	Links         []link `json:"links"`
}

func ruleOf(f node.QoSFact) rule {
	return rule{
		ID: array.NumberOfName(f.Set), Name: f.Set, Type: ruleForSet, Enabled: f.Enabled, Priority: int(f.Rule.Priority),
		IOMinGoal: f.Rule.MinIOPS, IOMaxLimit: f.Rule.MaxIOPS, BWMinGoalKB: f.Rule.MinBytes / kib, BWMaxLimit: f.Rule.MaxBytes / kib,
		LatencyGoal: f.Rule.Goal.Milliseconds(), LatencyGoalUs: f.Rule.Goal.Microseconds(),
		Links: []link{{base + "/qos/vvset:" + f.Set, "self"}, {base + "/volumesets/" + f.Set, "volumeset"}},
	}
}

func getRules(c *call) (answer, error) {
	facts, err := c.array().QoS()
	if err != nil {
		return answer{}, err
	}
	all := make([]rule, len(facts))
	for i, f := range facts {
		all[i] = ruleOf(f)
	}
	return collect(c, all)
}

// rule finds the rule of the path, by its target.
func (c *call) rule() (f node.QoSFact, err error) {
	target := c.r.PathValue("target")
	set, is := strings.CutPrefix(target, "vvset:")
	if !is {
		return f, fail(wsapi.NoQoS, "", "there is no rule for %.80q: rules are for vvset: and the name of a set of volumes", target)
	}
	facts, err := c.array().QoS()
	for _, f := range facts {
		if f.Set == set {
			return f, err
		}
	}
	if err == nil {
		err = fail(wsapi.NoQoS, "", "there is no rule for %.80q", target)
	}
	return f, err
}

func getRule(c *call) (answer, error) {
	f, err := c.rule()
	if err != nil {
		return answer{}, err
	}
	return ok(ruleOf(f))
}

// ruleMods are the members of a rule that can be set. A number may be said by its OP instead:
// 1 is zero, 2 no limit.
type ruleMods struct {
	Enable         *bool  `json:"enable,omitempty"`
	Priority       *int   `json:"priority,omitempty"`
	IOMinGoal      *int64 `json:"ioMinGoal,omitempty"`
	IOMinGoalOP    *int   `json:"ioMinGoalOP,omitempty"`
	IOMaxLimit     *int64 `json:"ioMaxLimit,omitempty"`
	IOMaxLimitOP   *int   `json:"ioMaxLimitOP,omitempty"`
	BWMinGoalKB    *int64 `json:"bwMinGoalKB,omitempty"`
	BWMinGoalOP    *int   `json:"bwMinGoalOP,omitempty"`
	BWMaxLimitKB   *int64 `json:"bwMaxLimitKB,omitempty"`
	BWMaxLimitOP   *int   `json:"bwMaxLimitOP,omitempty"`
	LatencyGoal    *int64 `json:"latencyGoal,omitempty"`
	LatencyGoalUs  *int64 `json:"latencyGoaluSecs,omitempty"`
	DefaultLatency *bool  `json:"defaultLatency,omitempty"`
}

type newRule struct {
	Name string `json:"name"`
	Type int    `json:"type"`
	ruleMods
}

// number sets a member that may be said in two ways.
func number(ref string, value *int64, op *int, zero bool, most, unit int64, to *int64) error {
	switch {
	case value != nil && op != nil:
		return fail(wsapi.ParamConflict, ref, "%s and %sOP exclude each other", ref, ref)
	case value != nil:
		if err := between(ref, *value, 0, most); err != nil {
			return err
		}
		*to = *value * unit
	case op != nil && (*op == opNoLimit || *op == opZero && zero):
		*to = 0
	case op != nil && *op == opZero:
		return fail(wsapi.Unsupported, ref+"OP", "%sOP 1: a limit of zero would leave hosts nothing; take their exports away", ref)
	case op != nil:
		return fail(wsapi.BadEnum, ref+"OP", "%sOP is %d: want 1 for zero, or 2 for no limit", ref, *op)
	}
	return nil
}

// of sets what is said.
func (m ruleMods) of(r *node.QoSRule) error {
	for _, x := range []struct {
		ref        string
		value      *int64
		op         *int
		zero       bool
		most, unit int64
		to         *int64
	}{
		{"ioMinGoal", m.IOMinGoal, m.IOMinGoalOP, true, maxIOs, 1, &r.Rule.MinIOPS},
		{"ioMaxLimit", m.IOMaxLimit, m.IOMaxLimitOP, false, maxIOs, 1, &r.Rule.MaxIOPS},
		{"bwMinGoalKB", m.BWMinGoalKB, m.BWMinGoalOP, true, maxKiB, kib, &r.Rule.MinBytes},
		{"bwMaxLimitKB", m.BWMaxLimitKB, m.BWMaxLimitOP, false, maxKiB, kib, &r.Rule.MaxBytes},
	} {
		if err := number(x.ref, x.value, x.op, x.zero, x.most, x.unit, x.to); err != nil {
			return err
		}
	}
	if m.Enable != nil {
		r.Enabled = *m.Enable
	}
	if m.Priority != nil {
		if *m.Priority < int(qos.Low) || *m.Priority > int(qos.High) {
			return fail(wsapi.BadEnum, "priority", "priority is %d: want 1 low, 2 normal or 3 high", *m.Priority)
		}
		r.Rule.Priority = qos.Priority(*m.Priority)
	}
	return m.goal(r)
}

func (m ruleMods) goal(r *node.QoSRule) error {
	switch {
	case m.LatencyGoal != nil && m.LatencyGoalUs != nil:
		return fail(wsapi.ParamConflict, "latencyGoal", "latencyGoal and latencyGoaluSecs exclude each other")
	case m.DefaultLatency != nil && *m.DefaultLatency:
		r.Rule.Goal = 0
	case m.LatencyGoal != nil:
		if err := between("latencyGoal", *m.LatencyGoal, 0, maxGoal.Milliseconds()); err != nil {
			return err
		}
		r.Rule.Goal = time.Duration(*m.LatencyGoal) * time.Millisecond
	case m.LatencyGoalUs != nil:
		if err := between("latencyGoaluSecs", *m.LatencyGoalUs, 0, maxGoal.Microseconds()); err != nil {
			return err
		}
		r.Rule.Goal = time.Duration(*m.LatencyGoalUs) * time.Microsecond
	}
	return nil
}

// set gives a set its rule, by the command of people.
func (c *call) set(name string, r node.QoSRule) error {
	x := r.Rule
	state := "-off"
	if r.Enabled {
		state = "-on"
	}
	pri := map[qos.Priority]string{qos.Low: "low", qos.Normal: "normal", qos.High: "high"}[x.Priority]
	return c.run("setqos", "-io", fmt.Sprintf("%d-%d", x.MinIOPS, x.MaxIOPS), "-bw", fmt.Sprintf("%d-%d", x.MinBytes/kib, x.MaxBytes/kib),
		"-lt", fmt.Sprintf("%dus", x.Goal.Microseconds()), "-pri", pri, state, "vvset:"+name)
}

func postRule(c *call) (answer, error) {
	var in newRule
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	switch {
	case in.Name == allOthers || in.Name == strings.TrimPrefix(allOthers, "sys:"):
		return answer{}, fail(wsapi.Unsupported, "name", "there is no rule %s: volumes without a rule are not limited", allOthers)
	case in.Type == 0:
		return answer{}, fail(wsapi.Missing, "type", "type is missing: want 1, a set of volumes")
	}
	if err := required("name", in.Name); err != nil {
		return answer{}, err
	}
	if in.Type != ruleForSet {
		return answer{}, fail(wsapi.BadEnum, "type", "type is %d: want 1, a set of volumes", in.Type)
	}
	facts, err := c.array().QoS()
	if err != nil {
		return answer{}, err
	}
	for _, f := range facts {
		if f.Set == in.Name {
			return answer{}, array.Errorf(array.Exists, "volume set %s has a QoS rule already", in.Name).Because(array.QoSExists)
		}
	}
	r := node.QoSRule{Enabled: true, Rule: qos.Rule{Priority: qos.Normal}}
	if err := in.of(&r); err != nil {
		return answer{}, err
	}
	if err := c.set(in.Name, r); err != nil {
		return answer{}, err
	}
	return created(base + "/qos/vvset:" + in.Name)
}

func putRule(c *call) (answer, error) {
	if c.r.PathValue("target") == allOthers {
		return answer{}, fail(wsapi.Unsupported, "", "there is no rule %s: volumes without a rule are not limited", allOthers)
	}
	f, err := c.rule()
	if err != nil {
		return answer{}, err
	}
	var in ruleMods
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if err := in.of(&f.QoSRule); err != nil {
		return answer{}, err
	}
	if err := c.set(f.Set, f.QoSRule); err != nil {
		return answer{}, err
	}
	return done(base + "/qos/vvset:" + f.Set)
}

func deleteRule(c *call) (answer, error) {
	f, err := c.rule()
	if err != nil {
		return answer{}, err
	}
	if err := c.run("setqos", "-clear", "vvset:"+f.Set); err != nil {
		return answer{}, err
	}
	return done("")
}
