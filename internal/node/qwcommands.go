// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// targetForms are those of setrcopytarget.
func targetForms() []form {
	return []form{
		{"witness create [-remote] -key <key> <address>[:<port>] <target>", "names the quorum witness; both arrays need the same. It is used when it is started"},
		{"witness start [-remote] <target>", "uses it: an array that loses the other one asks it"},
		{"witness stop [-remote] <target>", "does not use it: the array that serves goes on alone, the other one does not take over"},
		{"witness remove [-remote] <target>", "forgets it, after it was stopped"},
		{"witness check [-remote] [-key <key>] [<address>[:<port>]] <target>", "asks it, or the one at that address, and changes nothing"},
		{"pol mirror_config <target>", "what is said of a group is told to the other array: always"},
	}
}

// witnessPort is where a witness listens if nothing else is said.
const witnessPort = 8843

func setTarget(n *Node, ctx context.Context, a *args) error {
	if len(a.rest) < 2 {
		return a.parse(3, -1)
	}
	what, verb := a.rest[0], a.rest[1]
	switch what {
	case "witness":
		if !slices.Contains([]string{"create", "start", "stop", "remove", "check"}, verb) {
			return array.Errorf(array.Invalid, "setrcopytarget witness %.20q: want create, start, stop, remove or check", verb)
		}
		a.rest = a.rest[2:]
		return n.setWitness(ctx, a, verb)
	case "pol":
		a.rest = a.rest[1:]
		if err := a.parse(2, 2); err != nil {
			return err
		}
		switch {
		case a.rest[1] != n.to().Name || !n.paired():
			return array.Errorf(array.NotFound, "target %.40s does not exist: want %s", a.rest[1], n.targetName()).Because(array.NoTarget)
		case a.rest[0] == "mirror_config":
			return nil // it is so
		}
		return array.Errorf(array.Invalid, "setrcopytarget pol %.40q: want mirror_config, which always holds: what is said of a group is told to the other array", a.rest[0])
	}
	return array.Errorf(array.Invalid, "setrcopytarget %.20q: want witness or pol; a target is named as the array calls itself, and is used while there is a link", what)
}

// setWitness is setrcopytarget witness. The command is for one array; with -remote for the
// target.
func (n *Node) setWitness(ctx context.Context, a *args, verb string) error {
	remote := a.flags.Bool("remote", false, "")
	key := a.flags.String("key", "", "")
	low, high := 1, 1
	switch verb {
	case "create":
		low, high = 2, 2
	case "check":
		low, high = 1, 2
	}
	if err := a.parse(low, high); err != nil {
		return err
	}
	if n := a.flags.Lookup("key"); n.Value.String() != "" && verb != "create" && verb != "check" {
		return array.Errorf(array.Invalid, "setrcopytarget witness %s -key: want it with create or check", verb)
	}
	r := *n.rel.Load()
	if name := a.rest[len(a.rest)-1]; (verb != "check" || len(a.rest) == 2) && !r.isTarget(name) {
		return array.Errorf(array.NotFound, "target %.40s does not exist: want %s", name, n.targetName()).Because(array.NoTarget)
	}
	if verb == "check" && len(a.rest) == 1 && !r.isTarget(a.rest[0]) && *key == "" && !strings.ContainsAny(a.rest[0], ".:") {
		return array.Errorf(array.NotFound, "target %.40s does not exist: want %s, or the address of a witness", a.rest[0], n.targetName()).Because(array.NoTarget)
	}
	if *remote {
		return n.setWitnessThere(ctx, a, r, verb, *key)
	}
	switch verb {
	case "check":
		return n.checkWitness(ctx, a, r, *key)
	case "create":
		return n.createWitness(ctx, a, r, *key)
	case "start":
		return n.startWitness(r)
	case "stop":
		return n.stopWitness(r)
	}
	return n.removeWitness(r)
}

// isTarget reports whether that is the name of the pair's other array.
func (r relation) isTarget(name string) bool { return r.ties != nil && name == r.target.Name }

// setWitnessThere passes the command on, with the target's name for this array.
func (n *Node) setWitnessThere(ctx context.Context, a *args, r relation, verb, key string) error {
	if r.ties == nil {
		return array.Errorf(array.NotFound, "setrcopytarget -remote: there is no target").Because(array.NoTarget)
	}
	words := []string{"setrcopytarget", "witness", verb}
	if key != "" {
		words = append(words, "-key", key)
	}
	if verb == "create" || verb == "check" && (len(a.rest) == 2 || !r.isTarget(a.rest[0])) {
		words = append(words, a.rest[0])
	}
	words = append(words, n.cfg.Name)
	a.then = func(ctx context.Context) error {
		text, err := n.pass(ctx, Asked{By: a.by, Words: words})
		a.out.WriteString(text)
		return err
	}
	return ctx.Err()
}

// witnessWord reads the address and the key of a witness.
func (n *Node) witnessWord(address, key string, known Witness) (Witness, error) {
	if net.ParseIP(strings.Trim(address, "[]")) != nil || !strings.Contains(address, ":") {
		address = net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(witnessPort))
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || nowhere(host) || hostPort("", address) != nil {
		return Witness{}, array.Errorf(array.Invalid, "witness %.80q: want its address, or address:port", address)
	}
	w := Witness{Address: address, Key: known.Key}
	if key != "" {
		if w.Key, err = pki.ParsePin(key); err != nil {
			return w, array.Errorf(array.Invalid, "witness -key: %v; 'perdure-witness key' prints it", err)
		}
	}
	switch {
	case w.Key.IsZero():
		return w, array.Errorf(array.Invalid, "witness %s: say its key with -key: 'perdure-witness key' prints it", address)
	case w.Key == n.to().Key || w.Key == n.ident.Pin():
		return w, array.Errorf(array.Invalid, "witness -key %s: it is an array's: the witness is a third", w.Key)
	}
	return w, nil
}

// ownWitness refuses to change by command what the configuration file says.
func (n *Node) ownWitness(r relation) error {
	if !r.byCommand {
		return array.Errorf(array.Conflict, "the witness is part of the configuration file of array %s: change it there", n.cfg.Name)
	}
	return nil
}

func (n *Node) createWitness(_ context.Context, a *args, r relation, key string) error {
	if err := n.ownWitness(r); err != nil {
		return err
	}
	if r.witness.Address != "" {
		return array.Errorf(array.Exists, "target %s has the witness %s already: stop and remove it first", r.target.Name, r.witness.Address)
	}
	w, err := n.witnessWord(a.rest[0], key, Witness{})
	if err != nil {
		return err
	}
	r.witness, r.stopped = w, true
	return n.changeTarget(r)
}

// noWitness says that there is none.
func (r relation) noWitness() error {
	return array.Errorf(array.NotFound, "target %s has no witness: 'setrcopytarget witness create' names it", r.target.Name)
}

func (n *Node) startWitness(r relation) error {
	switch {
	case r.witness.Address == "":
		return r.noWitness()
	case !r.stopped:
		return array.Errorf(array.Conflict, "witness %s is started already", r.witness.Address)
	}
	r.stopped = false
	if err := n.changeTarget(r); err != nil {
		return err
	}
	r.ties.pair.SetWitness(n.witnessClient(r.witness))
	n.tellPolicies()
	return nil
}

func (n *Node) stopWitness(r relation) error {
	switch {
	case r.witness.Address == "":
		return r.noWitness()
	case r.stopped:
		return array.Errorf(array.Conflict, "witness %s is stopped already", r.witness.Address)
	}
	r.stopped = true
	if err := n.changeTarget(r); err != nil {
		return err
	}
	n.tellPolicies()
	r.ties.pair.SetWitness(nil)
	n.warn("the quorum witness was stopped: until it is started, no group is taken over by itself but by the array that serves it")
	return nil
}

func (n *Node) removeWitness(r relation) error {
	if err := n.ownWitness(r); err != nil {
		return err
	}
	switch {
	case r.witness.Address == "":
		return r.noWitness()
	case !r.stopped:
		return array.Errorf(array.Conflict, "witness %s is started: 'setrcopytarget witness stop %s' first", r.witness.Address, r.target.Name)
	}
	r.witness, r.stopped = Witness{}, false
	return n.changeTarget(r)
}

// tellPolicies tells the groups whether there is a witness.
func (n *Node) tellPolicies() {
	for _, r := range n.shared() {
		r.g.SetPolicy(n.policy(r.rec))
	}
}

// checkWithin is how long a witness may take to answer when a person asks.
const checkWithin = 5 * time.Second

func (n *Node) checkWitness(_ context.Context, a *args, r relation, key string) error {
	address := a.rest[0]
	if len(a.rest) == 1 && r.isTarget(address) {
		if address = r.witness.Address; address == "" {
			return array.Errorf(array.NotFound, "target %s has no quorum witness: 'setrcopytarget witness create' makes one known", r.target.Name)
		}
	}
	w, err := n.witnessWord(address, key, r.witness)
	if err != nil {
		return err
	}
	// Others need not wait for it.
	a.then = func(ctx context.Context) error {
		k, err := n.askWitness(ctx, w)
		if err != nil {
			return err
		}
		a.printf("witness\t%s\tanswers array %s, round trip %v, version %s\n", k.Address, n.cfg.Name, k.RoundTrip, k.Version)
		return nil
	}
	return nil
}

// WitnessCheck is what a witness answered when it was asked.
type WitnessCheck struct {
	Address   string
	RoundTrip time.Duration
	Version   string
}

// askWitness asks one who it is, and changes nothing.
func (n *Node) askWitness(ctx context.Context, w Witness) (WitnessCheck, error) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	c := n.witnessClient(w)
	defer c.Close()
	began := time.Now()
	s, err := c.Status(ctx)
	if err != nil {
		return WitnessCheck{}, array.Errorf(array.Unavailable, "the witness can't be used from array %s: %v", n.cfg.Name, err)
	}
	return WitnessCheck{Address: w.Address, RoundTrip: time.Since(began).Round(time.Microsecond), Version: s.Version}, nil
}

// CheckWitness asks the witness that is known.
func (v *View) CheckWitness(ctx context.Context) (WitnessCheck, error) {
	w := v.n.rel.Load().witness
	if w.Address == "" {
		return WitnessCheck{}, array.Errorf(array.NotFound, "there is no quorum witness: 'setrcopytarget witness create' makes one known")
	}
	return v.n.askWitness(ctx, w)
}
