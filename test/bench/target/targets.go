// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/perdure/perdure/test/bench/alone"
)

// initiatorName is that of all load generators.
const initiatorName = "iqn.2026-01.org.example:bench"

// target is one that runs.
type target struct {
	name string
	addr string
	iqn  string
	lun  int
	pid  int
}

func (t *target) url() string { return fmt.Sprintf("iscsi://%s/%s/%d", t.addr, t.iqn, t.lun) }

// stand is all targets of a medium.
type stand struct {
	dir   string
	mib   int // of each volume
	array *alone.Array
	procs []*exec.Cmd
	ours  *target
	tgt   *target
	istgt *target
	echo  *target
}

func start(ctx context.Context, o options, dir string) (s *stand, err error) {
	s = &stand{mib: o.mib}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(dir, "bench-target-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return s, err
	}
	s.array, err = alone.Start(ctx, alone.Options{Bin: o.bin, Dir: s.dir, Hosts: []string{initiatorName}, MiB: o.mib, CacheMiB: 2 * o.mib})
	if err != nil {
		return s, err
	}
	s.ours = &target{name: "perdure", addr: s.array.Addr, iqn: alone.TargetName, pid: s.array.Pid()}
	if s.tgt, err = s.startTgt(ctx, o.mib); err != nil {
		return s, fmt.Errorf("tgt: %w", err)
	}
	if s.istgt, err = s.startIstgt(ctx, o.mib); err != nil {
		return s, fmt.Errorf("istgt: %w", err)
	}
	if s.echo, err = s.startEcho(); err != nil {
		return s, fmt.Errorf("echo: %w", err)
	}
	for _, t := range []*target{s.ours, s.tgt, s.istgt} {
		if err := t.fill(ctx, o.mib); err != nil {
			return s, fmt.Errorf("fill %s: %w", t.name, err)
		}
		if err := t.warm(o.mib); err != nil {
			return s, fmt.Errorf("read all of %s: %w", t.name, err)
		}
	}
	return s, nil
}

// image makes a file for a peer.
func (s *stand) image(name string, mib int) (string, error) {
	path := filepath.Join(s.dir, name+".img")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	return path, errors.Join(f.Truncate(int64(mib)<<20), f.Close())
}

func (s *stand) spawn(cmd *exec.Cmd, log string) error {
	f, err := os.Create(filepath.Join(s.dir, log+".log"))
	if err != nil {
		return err
	}
	defer f.Close()
	if cmd.Stderr = f; cmd.Stdout == nil {
		cmd.Stdout = f
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.procs = append(s.procs, cmd)
	return nil
}

// startTgt starts tgt with a file that it opens to write through.
func (s *stand) startTgt(ctx context.Context, mib int) (*target, error) {
	path, err := s.image("tgt", mib)
	if err != nil {
		return nil, err
	}
	addr, err := alone.FreePort()
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(), "TGT_IPC_SOCKET="+filepath.Join(s.dir, "tgt"))
	cmd := exec.Command("tgtd", "--foreground", "--iscsi", "portal="+addr)
	cmd.Env = env
	if err := s.spawn(cmd, "tgt"); err != nil {
		return nil, err
	}
	if err := listens(ctx, addr); err != nil {
		return nil, err
	}
	const iqn = "iqn.2026-01.org.example:tgt"
	for _, words := range []string{
		"--mode target --op new --tid 1 --targetname " + iqn,
		"--mode logicalunit --op new --tid 1 --lun 1 --bstype rdwr --bsoflags sync --backing-store " + path,
		"--mode target --op bind --tid 1 --initiator-address ALL",
	} {
		admin := exec.CommandContext(ctx, "tgtadm", append([]string{"--lld", "iscsi"}, strings.Fields(words)...)...)
		admin.Env = env
		if out, err := admin.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("tgtadm %s: %w: %s", words, err, out)
		}
	}
	return &target{name: "tgt", addr: addr, iqn: iqn, lun: 1, pid: cmd.Process.Pid}, nil
}

// listens waits until somebody does.
func listens(ctx context.Context, addr string) error {
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return c.Close()
		}
		if time.Since(began) > 10*time.Second || ctx.Err() != nil {
			return err
		}
	}
}

// close ends all of them and removes what they made.
func (s *stand) close() error {
	for _, p := range s.procs {
		_ = p.Process.Kill()
		_ = p.Wait()
	}
	var err error
	if s.array != nil {
		err = s.array.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
