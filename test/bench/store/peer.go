// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// peer is fio on a file of the same file system, whose blocks are all written.
type peer struct {
	file string
	size int64
}

func newPeer(file string, size int64) (*peer, error) {
	p := &peer{file, size}
	_, _, err := p.fio("--rw=write", "--bs=1m", "--end_fsync=1", size1(size))
	if err != nil {
		return nil, fmt.Errorf("prepare fio's file: %w", err)
	}
	return p, nil
}

func size1(n int64) string { return "--size=" + strconv.FormatInt(n, 10) }

// run returns the commands per second that fio got, and what one took of the processors,
// with fio's start.
func (p *peer) run(l load, d time.Duration) (float64, time.Duration, error) {
	args := []string{
		"--rw=" + l.fio(), "--bs=" + strconv.FormatInt(l.block, 10), "--numjobs=" + strconv.Itoa(l.depth),
		"--time_based", "--runtime=" + strconv.FormatInt(d.Milliseconds(), 10) + "ms",
	}
	if l.write {
		args = append(args, "--sync=dsync")
	}
	if l.random {
		args = append(args, "--norandommap", "--randrepeat=0", size1(p.size))
	} else {
		part := p.size / int64(l.depth)
		args = append(args, size1(part), "--offset_increment="+strconv.FormatInt(part, 10))
	}
	return p.fio(args...)
}

func (p *peer) fio(args ...string) (float64, time.Duration, error) {
	cmd := exec.Command("fio", append([]string{
		"--name=peer", "--filename=" + p.file, "--direct=1", "--ioengine=psync", "--thread", "--group_reporting", "--output-format=json",
	}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("run fio (scripts/setup installs it): %w", err)
	}
	iops, n, err := parseFio(out)
	return iops, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / time.Duration(max(n, 1)), err
}

// parseFio reads the commands per second off fio's report, and how many they were.
func parseFio(b []byte) (float64, int64, error) {
	type side struct {
		IOPS  float64 `json:"iops"`
		Total int64   `json:"total_ios"`
	}
	var r struct {
		Jobs []struct {
			Error int  `json:"error"`
			Read  side `json:"read"`
			Write side `json:"write"`
		} `json:"jobs"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return 0, 0, fmt.Errorf("read fio's report: %w", err)
	}
	if len(r.Jobs) != 1 || r.Jobs[0].Error != 0 {
		return 0, 0, fmt.Errorf("read fio's report: want one group without an error, got %+v", r.Jobs)
	}
	iops := r.Jobs[0].Read.IOPS + r.Jobs[0].Write.IOPS
	if iops <= 0 {
		return 0, 0, fmt.Errorf("read fio's report: it did nothing")
	}
	return iops, r.Jobs[0].Read.Total + r.Jobs[0].Write.Total, nil
}
