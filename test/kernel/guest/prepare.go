// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// An Image is what guests are booted from.
type Image struct {
	// Kernel is a User Mode Linux, which is a program of this machine, or a stock kernel.
	Kernel string
	stock  bool
	// Root is the directory that guests have as their root, Archive what they start from.
	Root, Archive string
	// Work is for what guests keep while they run.
	Work string
}

// Cache returns where kernel and root are kept: below XDG_CACHE_HOME, or ~/.cache.
func Cache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory to keep kernel and root in: %w", err)
	}
	return filepath.Join(dir, "perdure"), nil
}

// Prepare makes what guests are booted from, or finds it made. source is this package's
// directory, work one for what ends with the run. It may take a quarter of an hour, of
// which it tells on standard error.
func Prepare(ctx context.Context, source, work string) (Image, error) {
	m := Image{Work: work}
	cache, err := Cache()
	if err != nil {
		return m, err
	}
	if m.Kernel, err = build(ctx, filepath.Join(source, "build-kernel"), cache); err != nil {
		return m, err
	}
	if m.Root, err = build(ctx, filepath.Join(source, "build-root"), cache); err != nil {
		return m, err
	}
	agent := filepath.Join(work, "agent")
	if err := buildAgent(ctx, filepath.Join(source, "..", "agent"), agent); err != nil {
		return m, err
	}
	m.Archive = filepath.Join(work, "first.cpio")
	return m, writeArchive(m.Archive, agent, nil)
}

// build runs one of the scripts, whose last line names what it made.
func build(ctx context.Context, script, cache string) (string, error) {
	cmd := exec.CommandContext(ctx, script, cache)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w", script, err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1], nil
}

// buildAgent builds the guests' program, without any library of this machine.
func buildAgent(ctx context.Context, source, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", to, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	return nil
}
