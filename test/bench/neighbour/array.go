// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perdure/perdure/internal/cli"
	"github.com/perdure/perdure/internal/wsapi"
)

const (
	targetName = "iqn.2026-01.io.perdure:array-a"
	quietName  = "iqn.2026-01.org.example:quiet"
	noisyName  = "iqn.2026-01.org.example:noisy"
)

// daemon is the array under test.
type daemon struct {
	cmd *exec.Cmd
	dir string
}

// startArray makes an array without another one, with a volume for each host.
func startArray(ctx context.Context, b *bench) (a *daemon, err error) {
	parent := b.dir
	if parent == "" {
		parent = ".cache"
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	a = &daemon{}
	if a.dir, err = os.MkdirTemp(parent, "bench-neighbour-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.dir, err = filepath.Abs(a.dir); err != nil {
		return a, err
	}
	if b.addr, err = freePort(); err != nil {
		return a, err
	}
	conf, err := a.configure(b.addr)
	if err != nil {
		return a, err
	}
	a.cmd = exec.Command(filepath.Join(b.bin, "perdured"), "--config", conf)
	if a.cmd.Stderr, err = os.Create(filepath.Join(a.dir, "log")); err != nil {
		return a, err
	}
	if err = a.cmd.Start(); err != nil {
		return a, err
	}
	return a, a.volumes(ctx, b.mib)
}

// configure makes identity and configuration, and returns the latter's path.
func (a *daemon) configure(addr string) (string, error) {
	// init makes a pair; the second array, its links and the witness are left unused.
	p := cli.Plan{Dir: a.dir, ISCSI: [2]string{addr, "127.0.0.1:4"}, Links: [2][]string{{"127.0.0.1:1"}, {"127.0.0.1:2"}}, Witness: "127.0.0.1:3"}
	if err := cli.Init(p); err != nil {
		return "", err
	}
	conf := filepath.Join(a.dir, "array-a", "alone.toml")
	text := fmt.Sprintf("name = \"array-a\"\nsystem_id = 1\ndata_dir = %q\n[iscsi]\nname = %q\nportals = [%q]\n",
		filepath.Join(a.dir, "array-a"), targetName, addr)
	return conf, os.WriteFile(conf, []byte(text), 0o600)
}

// volumes waits for the daemon and makes what the hosts use.
func (a *daemon) volumes(ctx context.Context, mib int) error {
	do := func(words ...string) error {
		_, err := wsapi.Do(ctx, filepath.Join(a.dir, "array-a", "perdured.sock"), words)
		return err
	}
	for began := time.Now(); do("status") != nil; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			return errors.New("the array takes no commands; see its log in " + a.dir)
		}
	}
	for i, name := range []string{quietName, noisyName} {
		volume, host := fmt.Sprintf("vv%d", i), fmt.Sprintf("host%d", i)
		for _, words := range [][]string{
			{"createvv", "cpg0", volume, strconv.Itoa(mib) + "m"},
			{"createhost", host, name},
			{"createvlun", volume, "0", host},
		} {
			if err := do(words...); err != nil {
				return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
			}
		}
	}
	return nil
}

// close ends the daemon and removes what it made.
func (a *daemon) close() error {
	if a.cmd != nil && a.cmd.Process != nil {
		_ = a.cmd.Process.Signal(syscall.SIGTERM)
		_ = a.cmd.Wait()
	}
	if c, ok := closerOf(a.cmd); ok {
		_ = c.Close()
	}
	return os.RemoveAll(a.dir)
}

func closerOf(c *exec.Cmd) (io.Closer, bool) {
	if c == nil {
		return nil, false
	}
	f, ok := c.Stderr.(io.Closer)
	return f, ok
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
