// SPDX-License-Identifier: Apache-2.0

package alone

import (
	"context"
	"errors"
	"fmt"
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

// TargetName is the array's iSCSI name.
const TargetName = "iqn.2026-01.io.perdure:array-a"

// Options say what is started.
type Options struct {
	// Bin is where perdured is, Dir below which the array works.
	Bin, Dir string
	// Hosts are initiator names. Each has a volume of MiB, as LUN 0.
	Hosts []string
	MiB   int
	// CacheMiB is what it may keep of what hosts read; 0: as by default.
	CacheMiB int
}

// Array is an array that runs.
type Array struct {
	Addr string // of its portal
	dir  string
	cmd  *exec.Cmd
	log  *os.File
}

// Start makes an array and waits until it serves.
func Start(ctx context.Context, o Options) (a *Array, err error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	a = &Array{}
	if a.dir, err = os.MkdirTemp(o.Dir, "bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.dir, err = filepath.Abs(a.dir); err != nil {
		return a, err
	}
	if a.Addr, err = FreePort(); err != nil {
		return a, err
	}
	conf, err := a.configure(o)
	if err != nil {
		return a, err
	}
	if a.log, err = os.Create(filepath.Join(a.dir, "log")); err != nil {
		return a, err
	}
	a.cmd = exec.Command(filepath.Join(o.Bin, "perdured"), "--config", conf)
	a.cmd.Stderr = a.log
	if err = a.cmd.Start(); err != nil {
		return a, err
	}
	return a, a.export(ctx, o)
}

// Pid is the daemon's process.
func (a *Array) Pid() int { return a.cmd.Process.Pid }

// configure makes identity and configuration, and returns the latter's path.
func (a *Array) configure(o Options) (string, error) {
	// init makes a pair; the second array, its links and the witness are left unused.
	p := cli.Plan{Dir: a.dir, ISCSI: [2]string{a.Addr, "127.0.0.1:4"}, Links: [2][]string{{"127.0.0.1:1"}, {"127.0.0.1:2"}}, Witness: "127.0.0.1:3"}
	if err := cli.Init(p); err != nil {
		return "", err
	}
	conf := filepath.Join(a.dir, "array-a", "alone.toml")
	// The peers have no priority either.
	text := fmt.Sprintf("name = \"array-a\"\nsystem_id = 1\nnice = 0\ndata_dir = %q\n[iscsi]\nname = %q\nportals = [%q]\n",
		filepath.Join(a.dir, "array-a"), TargetName, a.Addr)
	if o.CacheMiB > 0 {
		text += fmt.Sprintf("[memory]\nread_cache_mib = %d\n", o.CacheMiB)
	}
	return conf, os.WriteFile(conf, []byte(text), 0o600)
}

// Do gives the array a command.
func (a *Array) Do(ctx context.Context, words ...string) error {
	_, err := wsapi.Do(ctx, filepath.Join(a.dir, "array-a", "perdured.sock"), words)
	return err
}

// export waits for the daemon and makes what the hosts use.
func (a *Array) export(ctx context.Context, o Options) error {
	for began := time.Now(); a.Do(ctx, "status") != nil; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			return errors.New("the array takes no commands; see its log in " + a.dir)
		}
	}
	for i, name := range o.Hosts {
		volume, host := fmt.Sprintf("vv%d", i), fmt.Sprintf("host%d", i)
		for _, words := range [][]string{
			{"createvv", "cpg0", volume, strconv.Itoa(o.MiB) + "m"},
			{"createhost", host, name},
			{"createvlun", volume, "0", host},
		} {
			if err := a.Do(ctx, words...); err != nil {
				return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
			}
		}
	}
	return nil
}

// Close ends the daemon and removes what it made.
func (a *Array) Close() error {
	if a.cmd != nil && a.cmd.Process != nil {
		_ = a.cmd.Process.Signal(syscall.SIGTERM)
		_ = a.cmd.Wait()
	}
	if a.log != nil {
		_ = a.log.Close()
	}
	return os.RemoveAll(a.dir)
}

// FreePort returns an address of this machine that nobody listens at.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
