// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/wsapi"
)

// The arrays, by index.
const (
	A = 0
	B = 1
)

// Initiator is the host's iSCSI name.
const Initiator = "iqn.2026-01.org.example:host"

// Rig is the whole setting.
type Rig struct {
	Lab *lab.Lab
	// Bin holds the commands, Dir the arrays' data and all logs.
	Bin, Dir string

	arrays  [2]*lab.Proc
	witness *lab.Proc
}

// iscsiPort is where the arrays listen, on all their networks.
const iscsiPort = 3260

var nodes = [2]string{lab.A, lab.B}

// Name returns an array's name.
func Name(i int) string { return [2]string{"array-a", "array-b"}[i] }

// Node returns the lab's name of the machine an array is on.
func Node(i int) string { return nodes[i] }

// New makes networks, keys and configuration, and starts nothing.
func New(bin, dir string, logf func(string, ...any)) (*Rig, error) {
	return NewFrom(cli.Plan{}, bin, dir, logf)
}

// NewFrom does so by a plan, of which it fills in where things are.
func NewFrom(p cli.Plan, bin, dir string, logf func(string, ...any)) (*Rig, error) {
	l, err := lab.New(lab.Options{Dir: filepath.Join(dir, "logs"), Logf: logf})
	if err != nil {
		return nil, err
	}
	r := &Rig{Lab: l, Bin: bin, Dir: dir}
	if err := l.Standard(); err != nil {
		l.Close()
		return nil, err
	}
	at := func(node, network string, port uint16) string {
		return netip.AddrPortFrom(l.Node(node).Addr(network), port).String()
	}
	p.Dir, p.Witness = dir, at(lab.Witness, lab.Manage, 8843)
	for i, n := range nodes {
		p.ISCSI[i] = fmt.Sprintf("0.0.0.0:%d", iscsiPort)
		p.Links[i] = []string{at(n, lab.Link1, 5785), at(n, lab.Link2, 5785)}
	}
	if err := cli.Init(p); err != nil {
		l.Close()
		return nil, err
	}
	return r, nil
}

// Close ends everything.
func (r *Rig) Close() { r.Lab.Close() }

// StartArray starts a daemon and waits until it takes commands.
func (r *Rig) StartArray(ctx context.Context, i int) error {
	p, err := r.Lab.Node(nodes[i]).StartCommand(lab.Command{
		Name: Name(i), Args: []string{filepath.Join(r.Bin, "perdured"), "--config", filepath.Join(r.Dir, Name(i), "perdured.toml")},
	})
	if err != nil {
		return err
	}
	r.arrays[i] = p
	return r.Until(ctx, Name(i)+" takes commands", func() bool {
		_, err := r.Command(ctx, i, "status")
		return err == nil
	})
}

// CheckDisks looks at the disks of both arrays, which must not be running, and returns
// what is wrong with them as an error. An array that was never started has none.
func (r *Rig) CheckDisks(ctx context.Context) error {
	return errors.Join(r.CheckDisk(ctx, A), r.CheckDisk(ctx, B))
}

// CheckDisk does so for one array.
func (r *Rig) CheckDisk(ctx context.Context, i int) error {
	if _, err := os.Stat(filepath.Join(r.Dir, Name(i), "array.db")); err != nil {
		return nil
	}
	c := exec.CommandContext(ctx, filepath.Join(r.Bin, "perdured"), "--config", filepath.Join(r.Dir, Name(i), "perdured.toml"), "check", "--content")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("check the disks of %s: %w\n%s", Name(i), err, out)
	}
	return nil
}

// Array returns the daemon's process.
func (r *Rig) Array(i int) *lab.Proc { return r.arrays[i] }

// Witness returns the witness's process.
func (r *Rig) Witness() *lab.Proc { return r.witness }

// StartPair starts everything and waits until the arrays have found each other and
// the witness.
func (r *Rig) StartPair(ctx context.Context) error {
	if err := r.StartWitness(); err != nil {
		return err
	}
	for i := range nodes {
		if err := r.StartArray(ctx, i); err != nil {
			return err
		}
	}
	return r.Until(ctx, "the arrays to find each other and the witness", func() bool {
		for i := range nodes {
			text, err := r.Command(ctx, i, "status")
			if err != nil || strings.Count(text, "answers") < 2 {
				return false
			}
		}
		return true
	})
}

// StartWitness starts the witness.
func (r *Rig) StartWitness() error {
	p, err := r.Lab.Node(lab.Witness).StartCommand(lab.Command{
		Name: "witness", Args: []string{filepath.Join(r.Bin, "perdure-witness"), "run", "--config", filepath.Join(r.Dir, "witness", "witness.toml")},
	})
	r.witness = p
	return err
}

// Command runs a command of an array.
func (r *Rig) Command(ctx context.Context, i int, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return wsapi.Do(ctx, filepath.Join(r.Dir, Name(i), "perdured.sock"), words)
}

// Protect makes a group of volumes of the given size, exported to the host from
// LUN 0 on, and waits until it is in sync.
func (r *Rig) Protect(ctx context.Context, group string, volumes int, size string) error {
	cmds := [][]string{{"createhost", "host", Initiator}, {"creatercopygroup", group, Name(B) + ":sync"}}
	for v := range volumes {
		name := fmt.Sprintf("%s.%d", group, v)
		cmds = append(cmds, []string{"admitrcopyvv", "-createvv", "-size", size, name, group}, []string{"createvlun", name, fmt.Sprint(v), "host"})
	}
	cmds = append(cmds, []string{"startrcopygroup", "-wait", group})
	for _, c := range cmds {
		if _, err := r.Command(ctx, A, c...); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(c, " "), err)
		}
	}
	return nil
}

// Host opens the host's paths, over both fabrics, to the named arrays, or both.
func (r *Rig) Host(arrays ...int) (*host.Host, error) { return r.HostNamed(Initiator, arrays...) }

// HostNamed opens the paths of a host with another iSCSI name.
func (r *Rig) HostNamed(name string, arrays ...int) (*host.Host, error) {
	if len(arrays) == 0 {
		arrays = []int{A, B}
	}
	node := r.Lab.Node(lab.Host)
	o := host.Options{Name: name, Dial: func(c initiator.Config) (*initiator.Conn, error) {
		c.Dial = node.DialContext
		return initiator.Dial(c)
	}}
	for _, i := range arrays {
		for _, fabric := range []string{lab.Fabric1, lab.Fabric2} {
			o.Portals = append(o.Portals, host.Portal{
				Array: Name(i), Network: fabric, Target: "iqn.2026-01.io.perdure:" + Name(i),
				Addr: netip.AddrPortFrom(r.Lab.Node(nodes[i]).Addr(fabric), iscsiPort).String(),
			})
		}
	}
	return host.Open(o)
}

// CutLinks cuts both links between the arrays, HealLinks joins them.
func (r *Rig) CutLinks() error  { return r.links(r.Lab.Cut) }
func (r *Rig) HealLinks() error { return r.links(r.Lab.Heal) }

func (r *Rig) links(f func(a, b, network string, d lab.Direction) error) error {
	for _, n := range []string{lab.Link1, lab.Link2} {
		if err := f(lab.A, lab.B, n, lab.Both); err != nil {
			return err
		}
	}
	return nil
}

// CutWitness cuts an array's way to the witness, HealWitness joins it.
func (r *Rig) CutWitness(i int) error {
	return r.Lab.Cut(nodes[i], lab.Witness, lab.Manage, lab.Both)
}

// HealWitness joins an array's way to the witness.
func (r *Rig) HealWitness(i int) error {
	return r.Lab.Heal(nodes[i], lab.Witness, lab.Manage, lab.Both)
}

// Until waits for something to become true.
func (r *Rig) Until(ctx context.Context, what string, ok func() bool) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for: %s: %w", what, ctx.Err())
		case <-t.C:
		}
	}
	return nil
}

// UntilSync waits until the group is in sync, at most for the given time.
func (r *Rig) UntilSync(ctx context.Context, group string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := r.Until(ctx, "group "+group+" in sync", func() bool { return r.InSync(ctx, group) })
	if err != nil {
		for i := range 2 {
			if text, e := r.Command(context.Background(), i, "explain", group); e == nil {
				err = fmt.Errorf("%w\n%s:\n%s", err, Name(i), text)
			}
		}
	}
	return err
}
