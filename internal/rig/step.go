// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/lab"
)

// stepIn is how long what a step waits for may take.
const stepIn = 40 * time.Second

// Step carries out one step of a row of the failure matrix (internal/matrix/rows.txt
// says which there are) on the rig and its group.
func (r *Rig) Step(ctx context.Context, group, step string) error {
	verb, rest, _ := strings.Cut(step, " ")
	what, arg, _ := strings.Cut(rest, " ")
	switch verb {
	case "wait":
		return r.wait(ctx, group, what, arg)
	case "cut", "heal":
		return r.wires(verb == "cut", what, arg)
	case "isolate":
		return r.Lab.Isolate(Node(side(what)), "")
	case "rejoin":
		return r.Lab.Rejoin(Node(side(what)), "")
	case "lose":
		percent, err := strconv.ParseFloat(strings.TrimSuffix(arg, "%"), 64)
		return errors.Join(err, r.shape(lab.Shape{Loss: percent / 100}))
	case "delay":
		d, err := time.ParseDuration(arg)
		if what == "links" {
			for _, network := range []string{lab.Link1, lab.Link2} {
				err = errors.Join(err, r.Lab.Delay(lab.A, lab.B, network, lab.Both, d))
			}
			return err
		}
		for _, n := range []string{lab.A, lab.B} {
			err = errors.Join(err, r.Lab.Delay(n, lab.Witness, lab.Manage, lab.Both, d))
		}
		return err
	case "switchover":
		return r.order(ctx, group, "setrcopygroup", "switchover", group)
	case "prefer":
		return r.order(ctx, group, "setrcopygroup", "pol", "prefer="+Name(side(what)), group)
	case "switchover?": // it may fail
		_ = r.order(ctx, group, "setrcopygroup", "switchover", group)
		return nil
	case "break":
		// Every write beyond the first bytes of a file fails from now on.
		return unix.Prlimit(r.arrays[side(arg)].Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: 4096}, nil)
	case "repair":
		return nil // the next process has no such limit
	case "wipe":
		return os.Remove(filepath.Join(r.Dir, "witness", "identity", "witness.db"))
	}
	return r.process(ctx, group, verb, what)
}

// process does something to a process, or to the group.
func (r *Rig) process(ctx context.Context, group, verb, what string) error {
	if what == "group" {
		switch verb {
		case "stop":
			return r.order(ctx, group, "stoprcopygroup", "-f", group)
		case "start":
			return r.order(ctx, group, "startrcopygroup", group)
		}
	}
	proc := r.witness
	if what != "witness" {
		proc = r.arrays[side(what)]
	}
	switch verb {
	case "kill":
		return proc.Kill()
	case "freeze":
		return proc.Stop()
	case "thaw":
		return proc.Cont()
	case "terminate":
		return proc.Terminate(15 * time.Second)
	case "start":
		if what == "witness" {
			return r.StartWitness()
		}
		return r.StartArray(ctx, side(what))
	}
	return fmt.Errorf("unknown step %q %q", verb, what)
}

// order gives a command to the serving array, or to the first that takes it.
func (r *Rig) order(ctx context.Context, group string, words ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	i, err := r.Serving(ctx, group)
	if err == nil {
		_, err = r.Command(ctx, i, words...)
	}
	return err
}

// wires cuts or heals.
func (r *Rig) wires(cut bool, what, arg string) error {
	f := r.Lab.Heal
	if cut {
		f = r.Lab.Cut
	}
	all := func(pairs ...[3]string) (err error) {
		for _, w := range pairs {
			err = errors.Join(err, f(w[0], w[1], w[2], lab.Both))
		}
		return err
	}
	switch what {
	case "links":
		from, to, d := lab.A, lab.B, lab.Both
		if arg != "" {
			d = lab.OneWay
		}
		if arg == "B>A" {
			from, to = to, from
		}
		return errors.Join(f(from, to, lab.Link1, d), f(from, to, lab.Link2, d))
	case "link1":
		return all([3]string{lab.A, lab.B, lab.Link1})
	case "witness":
		return all([3]string{Node(side(arg)), lab.Witness, lab.Manage})
	case "host":
		return r.fabrics(cut, [2]string{Node(side(arg)), lab.Fabric1}, [2]string{Node(side(arg)), lab.Fabric2})
	case "fabric1":
		return r.fabrics(cut, [2]string{lab.A, lab.Fabric1}, [2]string{lab.B, lab.Fabric1})
	}
	return fmt.Errorf("nothing to cut or heal is called %q", what)
}

// fabrics cuts or heals the ways between arrays and all hosts.
func (r *Rig) fabrics(cut bool, ends ...[2]string) (err error) {
	f := r.Lab.Rejoin
	if cut {
		f = r.Lab.Isolate
	}
	for _, e := range ends {
		err = errors.Join(err, f(e[0], e[1]))
	}
	return err
}

func (r *Rig) shape(s lab.Shape) error {
	return errors.Join(r.Lab.Shape(lab.A, lab.B, lab.Link1, lab.Both, s), r.Lab.Shape(lab.A, lab.B, lab.Link2, lab.Both, s))
}

// wait waits for a time or an event.
func (r *Rig) wait(ctx context.Context, group, what, arg string) error {
	if d, err := time.ParseDuration(what); err == nil {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stepIn)
	defer cancel()
	records := func(text string) bool {
		return strings.Contains(r.Record(ctx, A, group), text) && strings.Contains(r.Record(ctx, B, group), text)
	}
	switch what {
	case "chosen":
		return r.Until(ctx, "a side to be chosen in advance", func() bool { return records("chosen in advance") })
	case "armed":
		return r.Until(ctx, "the witness to count", func() bool { return records("two of three") })
	case "whole":
		return r.UntilSync(ctx, group, stepIn)
	case "alone":
		return r.Until(ctx, arg+" to be alone", func() bool { return strings.Contains(r.Record(ctx, side(arg), group), "{"+arg+"}") })
	case "serving":
		return r.Until(ctx, arg+" to serve", func() bool { return r.Says(ctx, side(arg), group) })
	}
	return fmt.Errorf("unknown wait %q", what)
}

func side(name string) int {
	if name == "B" {
		return B
	}
	return A
}
