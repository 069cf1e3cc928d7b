// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/perdure/perdure/test/bench/report"
)

// rest waits until a target has put away what it was given.
func rest(ctx context.Context, t *target) error {
	const look = 100 * time.Millisecond
	for range 40 {
		before, err := report.Spent(t.pid)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
		after, err := report.Spent(t.pid)
		if err != nil {
			return err
		}
		if after-before <= report.Tick {
			return nil
		}
	}
	return nil
}
