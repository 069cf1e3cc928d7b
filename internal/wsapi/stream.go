// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
)

// StreamType is what a client accepts that wants to hear of progress: one Response a line.
const StreamType = "application/x-ndjson"

// sendWithin is for one line.
const sendWithin = 30 * time.Second

// Answers begins the answer to a command once, and sends every line at once.
type Answers struct {
	W     http.ResponseWriter
	begun bool
}

// Send sends a line. The status of a stream is that of its first.
func (a *Answers) Send(status int, r Response) {
	conn := http.NewResponseController(a.W)
	_ = conn.SetWriteDeadline(time.Now().Add(sendWithin))
	if !a.begun {
		a.begun = true
		a.W.Header().Set("Content-Type", "application/json")
		if r.Progress != nil {
			a.W.Header().Set("Content-Type", StreamType)
		}
		a.W.WriteHeader(status)
	}
	_ = json.NewEncoder(a.W).Encode(r)
	_ = conn.Flush()
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// Answer reads a command's answer, passes on how far the array is, unless tell is nil,
// and returns the text, or what was wrong as the error that it was there.
func (s *Sending) Answer(ctx context.Context, body io.Reader, tell func(progress.Step)) (string, error) {
	for d := json.NewDecoder(io.LimitReader(body, maxAnswer)); ; {
		var r Response
		if err := d.Decode(&r); err != nil {
			return "", s.Failed(ctx, fmt.Errorf("read the array's answer: %w", err))
		}
		switch {
		case r.Progress == nil && r.Error != "":
			return r.Text, array.Errorf(array.KindNamed(r.Kind), "%s", r.Error).Because(r.Reason)
		case r.Progress == nil:
			return r.Text, nil
		case tell != nil:
			tell(*r.Progress)
		}
	}
}
