// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"os"
	"path/filepath"
)

// Binaries returns where the commands are, for a test in a directory below test: where
// PERDURE_BIN says, or else where 'make build' puts them.
func Binaries() (string, error) {
	dir := os.Getenv("PERDURE_BIN")
	if dir == "" {
		dir = filepath.Join("..", "..", "bin")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "perdured"))
	}
	if err != nil {
		return "", fmt.Errorf("find the commands: %w; 'make build' builds them", err)
	}
	return dir, nil
}
