// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"path/filepath"
)

// OnDisk prepares the pair for a benchmark, in a directory of its own below .cache of the work
// tree: on a real disk, for flushes to cost what they cost. Who closes it removes Dir.
func OnDisk(bin string) (*Rig, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(".cache", 0o755); err != nil {
		return nil, err
	}
	work, err := filepath.Abs(".cache")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(work, "b-") // short: the arrays' sockets are in it
	if err != nil {
		return nil, err
	}
	return New(bin, dir, nil)
}
