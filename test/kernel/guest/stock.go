// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/lab"
)

// rootModules are what a stock kernel needs to find its root and its network.
var rootModules = []string{"virtio_pci", "virtio_net", "9pnet_virtio", "9p", "overlay"}

// PrepareStock is Prepare for guests with the stock kernel of the root's distribution, in
// QEMU's software emulation.
func PrepareStock(ctx context.Context, source, work string) (Image, error) {
	m := Image{Work: work, stock: true}
	cache, err := Cache()
	if err != nil {
		return m, err
	}
	if m.Root, err = build(ctx, filepath.Join(source, "build-root"), cache); err != nil {
		return m, err
	}
	kernels, err := filepath.Glob(filepath.Join(m.Root, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return m, fmt.Errorf("find the kernel of %s: want one boot/vmlinuz-*, there are %d", m.Root, len(kernels))
	}
	m.Kernel = kernels[0]
	version := strings.TrimPrefix(filepath.Base(m.Kernel), "vmlinuz-")
	modules, err := loadOrder(filepath.Join(m.Root, "lib", "modules", version), rootModules)
	if err != nil {
		return m, err
	}
	agent := filepath.Join(work, "agent")
	if err := buildAgent(ctx, filepath.Join(source, "..", "agent"), agent); err != nil {
		return m, err
	}
	m.Archive = filepath.Join(work, "first-stock.cpio")
	return m, writeArchive(m.Archive, agent, modules)
}

// loadOrder returns the files of modules and of what they need, each after what it needs.
func loadOrder(dir string, names []string) ([]string, error) {
	f, err := os.Open(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("find the modules of the kernel: %w", err)
	}
	defer f.Close()
	needs, file := map[string][]string{}, map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		path, rest, _ := strings.Cut(lines.Text(), ":")
		needs[path] = strings.Fields(rest)
		file[strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".ko"), "-", "_")] = path
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("find the modules of the kernel: %w", err)
	}
	var order []string
	had := map[string]bool{}
	var add func(path string)
	add = func(path string) {
		if had[path] {
			return
		}
		had[path] = true
		for _, p := range needs[path] {
			add(p)
		}
		order = append(order, filepath.Join(dir, path))
	}
	for _, n := range names {
		switch path := file[n]; {
		case path != "":
			add(path)
		case !strings.Contains(string(builtin), "/"+n+".ko\n"):
			return nil, fmt.Errorf("the kernel in %s has no module %s", dir, n)
		}
	}
	return order, nil
}

// newStock prepares an emulated machine on a node, which gives its addresses away. Its
// devices are plugged into those of the node.
func (i Image) newStock(p Place) (*Machine, error) {
	m, addrs, err := newMachine(p)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	args := []string{
		"qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", fmt.Sprint(p.MemoryMiB), "-nodefaults", "-nographic", "-no-reboot",
		"-serial", "stdio", "-kernel", i.Kernel, "-initrd", i.Archive,
		"-fsdev", "local,id=root,readonly=on,security_model=none,path=" + i.Root, "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
	}
	var nets []string
	for n, network := range p.Networks {
		tap, bridge := fmt.Sprintf("tap%d", n), fmt.Sprintf("plug%d", n)
		for _, c := range [][]string{
			{"ip", "tuntap", "add", tap, "mode", "tap"},
			{"ip", "link", "add", bridge, "type", "bridge", "stp_state", "0", "mcast_snooping", "0"},
			{"ip", "link", "set", network, "master", bridge},
			{"ip", "link", "set", tap, "master", bridge, "up"},
			{"ip", "link", "set", bridge, "up"},
		} {
			if _, err := m.node.Run(ctx, c...); err != nil {
				return nil, errors.Join(fmt.Errorf("plug an emulated machine into %s of %s", network, p.Node), err)
			}
		}
		args = append(
			args, "-netdev", fmt.Sprintf("tap,id=n%d,ifname=%s,script=no,downscript=no", n, tap),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,mac=%s", n, mac(addrs[n])),
		)
		nets = append(nets, fmt.Sprintf("eth%d=%v/24", n, addrs[n]))
	}
	m.cmd = lab.Command{Name: "qemu", Args: append(args, "-append",
		"console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off perdure.root=9p:root perdure.name="+p.Node+" perdure.net="+strings.Join(nets, ","))}
	return m, nil
}
