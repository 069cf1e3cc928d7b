// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
)

// maxRequest bounds a request's body.
const maxRequest = 64 << 10

// Runner carries commands out, and tells how far they are if tell is not nil.
type Runner interface {
	RunTelling(ctx context.Context, words []string, tell func(progress.Step)) (string, error)
}

// Request is a command as words.
type Request struct {
	Words []string `json:"words"`
}

// Response is its text, or what was wrong. Whoever accepts a stream gets a line for each
// step of progress first, with nothing else in it.
type Response struct {
	Progress *progress.Step `json:"progress,omitempty"`

	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"`
	// Reason is the error's, if it has one.
	Reason array.Reason `json:"reason,omitempty"`
}

// Serve answers on a socket at path until ctx ends.
func Serve(ctx context.Context, path string, r Runner) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	s := &http.Server{Handler: handler(r), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func handler(r Runner) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/command", func(hw http.ResponseWriter, q *http.Request) {
		w := &Answers{W: hw}
		var in Request
		d := json.NewDecoder(http.MaxBytesReader(hw, q.Body, maxRequest))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			w.Send(http.StatusBadRequest, Response{Error: "the request can't be read: " + err.Error(), Kind: array.Invalid.String()})
			return
		}
		var tell func(progress.Step)
		if q.Header.Get("Accept") == StreamType {
			tell = func(p progress.Step) { w.Send(http.StatusOK, Response{Progress: &p}) }
		}
		text, err := r.RunTelling(q.Context(), in.Words, tell)
		if err != nil {
			w.Send(CodeOf(err).Status, Response{Text: text, Error: err.Error(), Kind: array.KindOf(err).String(), Reason: array.ReasonOf(err)})
			return
		}
		w.Send(http.StatusOK, Response{Text: text})
	})
	return mux
}
