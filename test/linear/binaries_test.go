// SPDX-License-Identifier: Apache-2.0

//go:build lab

package linear

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaries returns where the commands are; with another daemon, if it names one.
func binaries(t *testing.T, dir, daemon string) string {
	t.Helper()
	bin := os.Getenv("PERDURE_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin")
	}
	bin, err := filepath.Abs(bin)
	must(t, err)
	if _, err := os.Stat(filepath.Join(bin, "perdured")); err != nil {
		t.Fatalf("%v; 'make build' builds it", err)
	}
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
