// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab

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
	"github.com/perdure/perdure/internal/rig"
)

// step carries out one step of a row.
func (p *player) step(ctx context.Context, step string) error {
	verb, rest, _ := strings.Cut(step, " ")
	what, arg, _ := strings.Cut(rest, " ")
	switch verb {
	case "wait":
		return p.wait(ctx, what, arg)
	case "cut", "heal":
		return p.wires(verb == "cut", what, arg)
	case "isolate":
		return p.r.Lab.Isolate(rig.Node(side(what)), "")
	case "rejoin":
		return p.r.Lab.Rejoin(rig.Node(side(what)), "")
	case "lose":
		percent, err := strconv.ParseFloat(strings.TrimSuffix(arg, "%"), 64)
		return errors.Join(err, p.shape(lab.Shape{Loss: percent / 100}))
	case "delay":
		d, err := time.ParseDuration(arg)
		if what == "links" {
			for _, network := range []string{lab.Link1, lab.Link2} {
				err = errors.Join(err, p.r.Lab.Delay(lab.A, lab.B, network, lab.Both, d))
			}
			return err
		}
		for _, n := range []string{lab.A, lab.B} {
			err = errors.Join(err, p.r.Lab.Delay(n, lab.Witness, lab.Manage, lab.Both, d))
		}
		return err
	case "switchover":
		return p.command(ctx, "setrcopygroup", "switchover", group)
	case "prefer":
		return p.command(ctx, "setrcopygroup", "pol", "prefer="+rig.Name(side(what)), group)
	case "switchover?": // it may fail
		_ = p.command(ctx, "setrcopygroup", "switchover", group)
		return nil
	case "break":
		// Every write beyond the first bytes of a file fails from now on.
		return unix.Prlimit(p.r.Array(side(arg)).Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: 4096}, nil)
	case "repair":
		return nil // the next process has no such limit
	case "wipe":
		return os.Remove(filepath.Join(p.r.Dir, "witness", "identity", "witness.db"))
	}
	return p.process(ctx, verb, what)
}

// process does something to a process, or to the group.
func (p *player) process(ctx context.Context, verb, what string) error {
	if what == "group" {
		switch verb {
		case "stop":
			return p.command(ctx, "stoprcopygroup", "-f", group)
		case "start":
			return p.command(ctx, "startrcopygroup", group)
		}
	}
	proc := p.r.Witness()
	if what != "witness" {
		proc = p.r.Array(side(what))
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
			return p.r.StartWitness()
		}
		return p.r.StartArray(ctx, side(what))
	}
	return fmt.Errorf("unknown step %q %q", verb, what)
}

// command gives a command to the serving array, or to the first that takes it.
func (p *player) command(ctx context.Context, words ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	i, err := p.r.Serving(ctx, group)
	if err == nil {
		_, err = p.r.Command(ctx, i, words...)
	}
	return err
}

// wires cuts or heals.
func (p *player) wires(cut bool, what, arg string) error {
	f := p.r.Lab.Heal
	if cut {
		f = p.r.Lab.Cut
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
		return all([3]string{rig.Node(side(arg)), lab.Witness, lab.Manage})
	case "host":
		n := rig.Node(side(arg))
		return all([3]string{lab.Host, n, lab.Fabric1}, [3]string{lab.Host, n, lab.Fabric2})
	case "fabric1":
		return all([3]string{lab.Host, lab.A, lab.Fabric1}, [3]string{lab.Host, lab.B, lab.Fabric1})
	}
	return fmt.Errorf("nothing to cut or heal is called %q", what)
}

func (p *player) shape(s lab.Shape) error {
	return errors.Join(p.r.Lab.Shape(lab.A, lab.B, lab.Link1, lab.Both, s), p.r.Lab.Shape(lab.A, lab.B, lab.Link2, lab.Both, s))
}

// wait waits for a time or an event.
func (p *player) wait(ctx context.Context, what, arg string) error {
	if d, err := time.ParseDuration(what); err == nil {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wholeIn)
	defer cancel()
	records := func(text string) bool {
		return strings.Contains(p.r.Record(ctx, rig.A, group), text) && strings.Contains(p.r.Record(ctx, rig.B, group), text)
	}
	switch what {
	case "chosen":
		return p.r.Until(ctx, "a side to be chosen in advance", func() bool { return records("chosen in advance") })
	case "armed":
		return p.r.Until(ctx, "the witness to count", func() bool { return records("two of three") })
	case "whole":
		return p.r.UntilSync(ctx, group, wholeIn)
	case "alone":
		return p.r.Until(ctx, arg+" to be alone", func() bool { return strings.Contains(p.r.Record(ctx, side(arg), group), "{"+arg+"}") })
	case "serving":
		return p.r.Until(ctx, arg+" to serve", func() bool { return p.serving(ctx) == arg })
	}
	return fmt.Errorf("unknown wait %q", what)
}

func side(name string) int {
	if name == "B" {
		return rig.B
	}
	return rig.A
}
