// SPDX-License-Identifier: Apache-2.0

//go:build lab

package linear

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/perdure/perdure/internal/rig"
)

// binaries returns where the commands are; with another daemon, if it names one.
func binaries(t *testing.T, dir, daemon string) string {
	t.Helper()
	bin, err := rig.Binaries()
	must(t, err)
	if daemon == "" {
		return bin
	}
	own := filepath.Join(dir, "bin")
	must(t, os.Mkdir(own, 0o700))
	must(t, os.Symlink(filepath.Join(bin, "perdure-witness"), filepath.Join(own, "perdure-witness")))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(own, "perdured"), daemon)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", daemon, err, out)
	}
	return own
}
