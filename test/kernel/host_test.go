// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/test/kernel/guest"
)

const (
	bootIn  = 120 * time.Second // the stock kernel is emulated
	loginIn = 120 * time.Second
	// pathsIn is how long it may take until a host uses a path again that came back. Its
	// initiator tries a lost portal again every few seconds, and longer after a time.
	pathsIn = 90 * time.Second
)

// linux is a host with a kernel of its own.
type linux struct {
	*guest.Machine
	name   string // of its node, and as the arrays know it
	arrays []int
	device string // the multipath device
	load   *fio
}

func iqn(host string) string { return "iqn.2026-01.org.example:" + host }

// A maker makes the machine of a host: a User Mode Linux or one with a stock kernel.
type maker func(guest.Place) (*guest.Machine, error)

// newLinux places a host on a node.
func newLinux(build maker, r *rig.Rig, name string, arrays ...int) (*linux, error) {
	m, err := build(guest.Place{
		Lab: r.Lab, Node: name, Desk: desk,
		Networks: []string{lab.Manage, lab.Fabric1, lab.Fabric2}, MemoryMiB: 512,
	})
	return &linux{Machine: m, name: name, arrays: arrays}, err
}

// boot starts the host and its storage daemons, and logs in to its arrays.
func (h *linux) boot(ctx context.Context, r *rig.Rig, s settings) error {
	ctx, cancel := context.WithTimeout(ctx, bootIn+loginIn)
	defer cancel()
	if err := h.Boot(ctx); err != nil {
		return err
	}
	script := "set -e\n" + s.script + `
mkdir -p /run/lock/iscsi /etc/iscsi /etc/multipath
echo InitiatorName=` + iqn(h.name) + ` >/etc/iscsi/initiatorname.iscsi
# Built into the one kernel, modules of the other.
modprobe -qa iscsi_tcp dm_multipath dm_service_time dm_round_robin scsi_dh_alua sd_mod sg || true
/lib/systemd/systemd-udevd --daemon
# What a host has before it logs in; its other devices would have modules loaded for minutes.
udevadm trigger --action=add --subsystem-match=block --subsystem-match=misc --subsystem-match=mem
udevadm settle
multipathd
iscsid
`
	for _, i := range h.arrays {
		for _, f := range []string{lab.Fabric1, lab.Fabric2} {
			addr := r.Lab.Node(rig.Node(i)).Addr(f)
			script += fmt.Sprintf("iscsiadm -m discovery -t sendtargets -p %v\n", addr)
		}
	}
	script += "iscsiadm -m node --login\niscsiadm -m session\n"
	if out, err := h.Run(ctx, script); err != nil {
		return fmt.Errorf("log in: %w\n%s", err, out)
	}
	if err := h.untilPaths(ctx, 2*len(h.arrays)); err != nil {
		return err
	}
	name, err := h.Run(ctx, `multipathd show maps raw format "%n"`)
	if n := len(strings.Fields(name)); err != nil || n != 1 {
		return fmt.Errorf("host %s has %d multipath devices, want one: %w\n%s", h.name, n, err, name)
	}
	h.device = "/dev/mapper/" + strings.TrimSpace(name)
	return nil
}

// paths tells what multipathd says of each path: device, dm state, checker, priority.
func (h *linux) paths(ctx context.Context) (string, error) {
	return h.Run(ctx, `multipathd show paths raw format "%d %t %T %p"`)
}

// untilPaths waits until n paths are there, none of them failed.
func (h *linux) untilPaths(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, pathsIn)
	defer cancel()
	for {
		text, err := h.paths(ctx)
		good := 0
		for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
			f := strings.Fields(l)
			if len(f) == 4 && f[1] == "active" && (f[2] == "ready" || f[2] == "ghost") {
				good++
			}
		}
		if err == nil && good == n {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			more, _ := h.Run(context.WithoutCancel(ctx), "iscsiadm -m session -P1 | grep -E 'Portal|State'; multipath -ll; dmesg | tail -20")
			return fmt.Errorf("wait for %d paths of host %s, there are %d: %w\n%s%s", n, h.name, good, ctx.Err(), text, more)
		}
	}
}

// now returns the host's own time of day.
func (h *linux) now(ctx context.Context) (time.Time, error) {
	out, err := h.Run(ctx, "date +%s%3N")
	if err != nil {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time on host %s: %w", h.name, err)
	}
	return time.UnixMilli(ms), nil
}

// sum reads the whole volume through an array and returns a digest of it.
func (h *linux) sum(ctx context.Context, i int) (string, error) {
	return h.Run(ctx, fmt.Sprintf(`set -eo pipefail
for s in /sys/class/iscsi_session/session*; do
  [ "$(cat $s/targetname)" = %s ] || continue
  disk=$(ls $s/device/target*/*/block | head -1)
  # The kernel asks nothing of a path that it knows as standby; what it knows is renewed
  # by the checks of multipathd, which are up to 11 s apart, and more when nothing changes.
  for n in $(seq 600); do
    grep -q -x -e active/optimized -e active/non-optimized /sys/block/$disk/device/access_state && break
    sleep .1
  done
  dd if=/dev/$disk bs=1M iflag=direct status=none | sha256sum && exit
  cat /sys/block/$disk/device/access_state; multipath -ll; dmesg | tail -20
  exit 1
done
echo "no session with the array" >&2; exit 1`, "iqn.2026-01.io.perdure:"+rig.Name(i)))
}
