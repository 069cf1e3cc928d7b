// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

const (
	group   = "g"
	size    = "64m"
	desk    = "desk" // the node from which hosts are given scripts
	setUpIn = 60 * time.Second
	wholeIn = 60 * time.Second
)

// A kind is a kind of group, with the hosts that it has.
type kind struct {
	name     string
	policies string // "" for those of every group
	hosts    []site
	size     string // of each host's volume, "" for what is enough for fio
}

// A site is a host and the arrays that it sees.
type site struct {
	name   string
	arrays []int
}

// kinds are a group that one array serves at a time, and one that both do: to hosts that
// see both arrays, and to hosts that see one.
func kinds() []kind {
	both := []int{rig.A, rig.B}
	return []kind{
		{name: "classic", hosts: []site{{lab.Host, both}}},
		{
			name: "active", policies: "active_active,permanent_loss",
			hosts: []site{{lab.Host, both}, {"west", []int{rig.A}}, {"east", []int{rig.B}}},
		},
	}
}

// world is a pair of arrays with its hosts.
type world struct {
	kept bool // the logs are, when all is over
	*rig.Rig
	kind  kind
	hosts []*linux
	dir   string
}

// newWorld starts everything.
func newWorld(ctx context.Context, bin string, build maker, k kind, s settings, logf func(string, ...any)) (*world, error) {
	dir, err := os.MkdirTemp("", "pk-") // short: the arrays' sockets are in it
	if err != nil {
		return nil, err
	}
	r, err := rig.New(bin, dir, logf)
	if err != nil {
		return nil, err
	}
	w := &world{Rig: r, kind: k, dir: dir}
	if err := w.start(ctx, build, s); err != nil {
		w.close()
		return nil, fmt.Errorf("set up a pair for %s groups, logs are in %s: %w", k.name, dir, err)
	}
	return w, nil
}

func (w *world) start(ctx context.Context, build maker, s settings) error {
	if _, err := w.Lab.AddNode(desk, lab.Manage); err != nil {
		return err
	}
	pair, cancel := context.WithTimeout(ctx, setUpIn)
	defer cancel()
	if err := w.StartPair(pair); err != nil {
		return err
	}
	if err := w.protect(pair); err != nil {
		return err
	}
	for _, h := range w.kind.hosts {
		if w.Lab.Node(h.name) == nil {
			if _, err := w.Lab.AddNode(h.name, lab.Manage, lab.Fabric1, lab.Fabric2); err != nil {
				return err
			}
		}
		l, err := newLinux(build, w.Rig, h.name, h.arrays...)
		if err != nil {
			return err
		}
		w.hosts = append(w.hosts, l)
	}
	boots := make(chan error, len(w.hosts))
	for _, h := range w.hosts {
		go func() { boots <- h.boot(ctx, w.Rig, s) }()
	}
	var err error
	for range w.hosts {
		err = errors.Join(err, <-boots)
	}
	return err
}

// protect makes the group, with a volume for each host.
func (w *world) protect(ctx context.Context) error {
	cmds := [][]string{{"creatercopygroup", group, rig.Name(rig.B) + ":sync"}}
	for n := range w.kind.hosts {
		cmds = append(cmds, []string{"admitrcopyvv", "-createvv", "-size", cmp.Or(w.kind.size, size), volume(n), group})
	}
	cmds = append(cmds, []string{"startrcopygroup", "-wait", group})
	if w.kind.policies != "" {
		cmds = append(cmds, []string{"setrcopygroup", "pol", w.kind.policies, group})
	}
	for n, h := range w.kind.hosts {
		cmds = append(cmds, []string{"createhost", h.name, iqn(h.name)}, []string{"createvlun", volume(n), "0", h.name})
		if w.kind.policies != "" {
			cmds = append(cmds, []string{"admitrcopyhost", "-proximity", "all", group, h.name})
		}
	}
	for _, c := range cmds {
		if _, err := w.Command(ctx, rig.A, c...); err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
	}
	if err := w.UntilSync(ctx, group, setUpIn); err != nil {
		return err
	}
	return w.Step(ctx, group, "wait armed")
}

func volume(n int) string { return fmt.Sprintf("%s.%d", group, n) }

// close ends everything.
func (w *world) close() {
	for _, h := range w.hosts {
		_ = h.PowerOff()
	}
	w.Close()
}

// remove removes what the world wrote, unless somebody is to read it.
func (w *world) remove() {
	if !w.kept {
		_ = os.RemoveAll(w.dir)
	}
}

// keep copies what the hosts' kernels said to the logs.
func (w *world) keep() {
	w.kept = true
	for _, h := range w.hosts {
		_ = os.WriteFile(filepath.Join(w.dir, "logs", h.name+".console"), []byte(h.Console()), 0o644)
	}
}
