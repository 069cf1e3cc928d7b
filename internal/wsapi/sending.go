// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"sync/atomic"
)

// Sending tells a command that never reached an array from one whose answer is missing, which
// may have been carried out.
type Sending struct{ left atomic.Bool }

// With returns the context for its request.
func (s *Sending) With(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { s.left.Store(true) }})
}

// Failed says what an error of the request, or of its answer, means to who gave the command.
// One who gave it up knows.
func (s *Sending) Failed(ctx context.Context, err error) error {
	if err == nil || !s.left.Load() || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("the array was lost before it answered, so the outcome is unknown: look before you give the command again (%w)", err)
}
