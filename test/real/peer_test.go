// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// peerPort is where tgt listens, on the second array's machine.
const peerPort = 3261

// peer starts tgt, a target by others that many know, with a thin disk of the same size
// as ours, and returns its URL.
func (p *pair) peer(size int64) string {
	p.t.Helper()
	const target = "iqn.2026-01.io.perdure:peer"
	disk := filepath.Join(p.Dir, "peer.img")
	p.must(os.WriteFile(disk, nil, 0o600))
	p.must(os.Truncate(disk, size))
	node := p.Lab.Node(rig.Node(rig.B))
	env := []string{"TGT_IPC_SOCKET=" + filepath.Join(p.Dir, "tgt")}
	portal := fmt.Sprintf("%s:%d", node.Addr(lab.Fabric1), peerPort)
	_, err := node.StartCommand(lab.Command{
		Name: "tgtd", Env: env, Args: []string{"tgtd", "--foreground", "--iscsi", "portal=" + portal},
	})
	p.must(err)
	control := func(words ...string) error {
		q, err := node.StartCommand(lab.Command{
			Name: "tgtadm", Env: env, Args: append([]string{"tgtadm", "--lld", "iscsi"}, words...),
		})
		if err != nil {
			return err
		}
		return q.Wait(p.t.Context())
	}
	p.until(10*time.Second, "tgtd takes commands", func() bool {
		return control("--op", "show", "--mode", "target") == nil
	})
	for _, words := range [][]string{
		{"--op", "new", "--mode", "target", "--tid", "1", "-T", target},
		{"--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", disk},
		{"--op", "update", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "--params", "thin_provisioning=1"},
		{"--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL"},
	} {
		p.must(control(words...))
	}
	return fmt.Sprintf("iscsi://%s/%s/1", portal, target)
}
