// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"time"
)

const (
	// maxConns bounds connections, maxCalls requests under way, maxStreams those that
	// stay for events, maxCommands those that are command lines, which may wait long, maxLogins
	// passwords that are looked at, all of all clients; maxConnsOfOne bounds connections from one
	// address.
	maxConns      = 512
	maxConnsOfOne = 128
	maxCalls      = 64
	maxStreams    = 32
	maxCommands   = 32
	maxLogins     = 2
	// maxBody and maxHeader bound what a request has, in bytes, maxOpenBody a body of one who has
	// not logged in.
	maxBody     = 256 << 10
	maxOpenBody = 4 << 10
	maxHeader   = 32 << 10
	// callWithin is how long a request may take, waitWithin how long it waits for its
	// turn.
	callWithin = 2 * time.Minute
	waitWithin = 5 * time.Second
	// headerWithin, readWithin and idleWithin bound what a slow client may take.
	headerWithin = 10 * time.Second
	readWithin   = 30 * time.Second
	idleWithin   = 2 * time.Minute
	// writeWithin is for one piece of an answer.
	writeWithin = 30 * time.Second
)

// turns lets so many in at a time.
type turns chan struct{}

func (t turns) take(ctx context.Context, wait time.Duration) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (t turns) give() { <-t }
