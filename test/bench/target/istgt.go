// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/perdure/perdure/test/bench/alone"
)

// istgtConf is a target with one disk in a file. %[1]s is the directory, %[2]s the address,
// %[3]s the file, %[4]d its MiB, %[5]s an address for its own control.
const istgtConf = `[Global]
  NodeBase "iqn.2026-01.org.example"
  PidFile %[1]s/istgt.pid
  AuthFile %[1]s/auth.conf
  MediaDirectory %[1]s
  LogFacility "local7"
  Timeout 30
  NopInInterval 20
  DiscoveryAuthMethod None
  MaxSessions 64
  MaxConnections 4
  MaxR2T 32
  MaxOutstandingR2T 16
  DefaultTime2Wait 2
  DefaultTime2Retain 60
  FirstBurstLength 262144
  MaxBurstLength 1048576
  MaxRecvDataSegmentLength 262144
  InitialR2T Yes
  ImmediateData Yes
  DataPDUInOrder Yes
  DataSequenceInOrder Yes
  ErrorRecoveryLevel 0
[UnitControl]
  AuthMethod None
  Portal UC1 %[5]s
  Netmask 127.0.0.1
[PortalGroup1]
  Portal DA1 %[2]s
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask 127.0.0.1
[LogicalUnit1]
  TargetName istgt
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod None
  UseDigest Auto
  UnitType Disk
  QueueDepth 255
  LUN0 Storage %[3]s %[4]dMB
  LUN0 Option WriteCache Disable
`

func (s *stand) startIstgt(ctx context.Context, mib int) (*target, error) {
	path, err := s.image("istgt", mib)
	if err != nil {
		return nil, err
	}
	addr, err := alone.FreePort()
	if err != nil {
		return nil, err
	}
	control, err := alone.FreePort()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(s.dir, "istgt.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, istgtConf, s.dir, addr, path, mib, control), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "auth.conf"), nil, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("istgt", "-D", "-c", conf)
	if err := s.spawn(cmd, "istgt"); err != nil {
		return nil, err
	}
	if err := listens(ctx, addr); err != nil {
		return nil, err
	}
	return &target{name: "istgt", addr: addr, iqn: "iqn.2026-01.org.example:istgt", pid: cmd.Process.Pid}, nil
}
