// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
)

// lines passes on what is written.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestUsageIsToldWhenAsked(t *testing.T) {
	said := make(lines, 1)
	tellUsage(t.Context(), slog.New(slog.NewTextHandler(said, nil)))
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	line := <-said
	for _, want := range []string{"in use", "goroutines=", "heap=", "memory="} {
		if !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
	if strings.Contains(line, "goroutines=0") || strings.Contains(line, "heap=0 ") {
		t.Errorf("%q", line)
	}
}
