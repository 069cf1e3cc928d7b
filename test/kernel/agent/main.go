// SPDX-License-Identifier: Apache-2.0

// Agent is the first and only program that the lab gives to a guest's kernel. As the
// first process it mounts the root that the command line names, with a layer in memory
// above it, brings up the network, and then runs the scripts that it is sent over HTTP:
// POST /run answers with what the script wrote, and its status in the trailer Exit.
//
// What it takes from the command line:
//
//	perdure.root=hostfs:/path or 9p:tag    the root, read only
//	perdure.net=vec0=10.77.4.4/24,...      the addresses
//	perdure.name=host                      the host's name
//
// It trusts whoever reaches it: it listens in the lab's namespaces only.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// port is where scripts are taken.
const port = ":7077"

func main() {
	if os.Getpid() != 1 {
		if err := serve(port); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	fmt.Fprintln(os.Stderr, "agent:", first())
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// first is the first process: it returns when the guest can't go on, and says why.
func first() error {
	for _, m := range []struct{ kind, on string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := mount(m.kind, m.kind, m.on, 0, ""); err != nil {
			return err
		}
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read the kernel's command line: %w", err)
	}
	said := map[string]string{}
	for _, w := range strings.Fields(string(line)) {
		if k, v, ok := strings.Cut(w, "="); ok {
			said[k] = v
		}
	}
	if err := enterRoot(said["perdure.root"]); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(said["perdure.name"])); err != nil {
		return fmt.Errorf("set host name %q: %w", said["perdure.name"], err)
	}
	if err := network(said["perdure.net"]); err != nil {
		return err
	}
	// A process of its own takes the scripts, so that this one may reap whatever loses
	// its parent.
	cmd := exec.Command("/perdure-agent")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("wait for processes: %w", err)
		case pid == cmd.Process.Pid:
			return fmt.Errorf("the agent ended with status %d", status)
		}
	}
}

// mount mounts a file system, and makes the directory if need be.
func mount(kind, from, on string, flags uintptr, data string) error {
	if err := os.MkdirAll(on, 0o755); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, on, err)
	}
	if err := unix.Mount(from, on, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, on, err)
	}
	return nil
}

// loadModules loads what the archive brings along, in the order of the names.
func loadModules(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.ko"))
	if err != nil {
		return err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("load module: %w", err)
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		_ = f.Close()
		if err != nil && err != unix.EEXIST {
			return fmt.Errorf("load module %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

// enterRoot makes the root that the guest lives in: the one named, never written to,
// under a layer in memory.
func enterRoot(root string) error {
	kind, from, _ := strings.Cut(root, ":")
	var err error
	switch kind {
	case "hostfs":
		err = mount("hostfs", "none", "/lower", unix.MS_RDONLY, from)
	case "9p":
		err = mount("9p", from, "/lower", unix.MS_RDONLY, "trans=virtio,version=9p2000.L,msize=262144,cache=loose")
	default:
		return fmt.Errorf("perdure.root=%q: want hostfs:PATH or 9p:TAG", root)
	}
	if err != nil {
		return err
	}
	if err := mount("tmpfs", "tmpfs", "/upper", 0, "mode=755"); err != nil {
		return err
	}
	for _, d := range []string{"/upper/up", "/upper/work"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return fmt.Errorf("make the layer in memory: %w", err)
		}
	}
	if err := mount("overlay", "overlay", "/root", 0, "lowerdir=/lower,upperdir=/upper/up,workdir=/upper/work"); err != nil {
		return err
	}
	for _, d := range []string{"/proc", "/sys", "/dev"} {
		if err := os.MkdirAll("/root"+d, 0o755); err != nil {
			return fmt.Errorf("move %s: %w", d, err)
		}
		if err := unix.Mount(d, "/root"+d, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", d, err)
		}
	}
	self, err := os.ReadFile("/init")
	if err != nil {
		return fmt.Errorf("read the agent: %w", err)
	}
	if err := os.WriteFile("/root/perdure-agent", self, 0o755); err != nil {
		return fmt.Errorf("keep the agent: %w", err)
	}
	if err := unix.Chroot("/root"); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	for _, m := range []struct{ kind, on string }{{"tmpfs", "/run"}, {"tmpfs", "/tmp"}, {"tmpfs", "/dev/shm"}, {"devpts", "/dev/pts"}} {
		if err := mount(m.kind, m.kind, m.on, 0, ""); err != nil {
			return err
		}
	}
	return os.MkdirAll("/run/lock", 0o755)
}

// network gives the devices their addresses.
func network(net string) error {
	_ = os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	cmds := [][]string{{"ip", "link", "set", "lo", "up"}}
	for _, n := range strings.Split(net, ",") {
		dev, addr, ok := strings.Cut(n, "=")
		if !ok {
			return fmt.Errorf("perdure.net=%q: want DEVICE=ADDRESS/BITS, separated by commas", net)
		}
		cmds = append(cmds, []string{"ip", "addr", "add", addr, "dev", dev}, []string{"ip", "link", "set", dev, "up"})
	}
	for _, c := range cmds {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, out)
		}
	}
	// Segments come as 64 KiB in one piece, for which User Mode Linux books far more of
	// a socket's buffer than they fill; with the usual sizes windows close for good.
	for name, value := range map[string]string{"core/rmem_max": "67108864", "ipv4/tcp_rmem": "4096 8388608 67108864"} {
		if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("set net/%s: %w", name, err)
		}
	}
	return nil
}
