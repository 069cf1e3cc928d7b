// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// tellUsage writes to the log what the daemon uses whenever it gets SIGUSR1, until ctx
// ends: a number that only grows over days shows what is never given back.
func tellUsage(ctx context.Context, log *slog.Logger) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		defer signal.Stop(asked)
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			log.Info("in use", "goroutines", runtime.NumGoroutine(), "heap", m.HeapAlloc, "memory", m.Sys-m.HeapReleased)
		}
	}()
}
