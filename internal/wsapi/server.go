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
)

// maxRequest bounds a request's body.
const maxRequest = 64 << 10

// Runner carries commands out.
type Runner interface {
	Run(ctx context.Context, words []string) (string, error)
}

// Request is a command as words.
type Request struct {
	Words []string `json:"words"`
}

// Response is its text, or what was wrong.
type Response struct {
	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"`
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
	mux.HandleFunc("POST /api/v1/command", func(w http.ResponseWriter, q *http.Request) {
		var in Request
		d := json.NewDecoder(http.MaxBytesReader(w, q.Body, maxRequest))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			answer(w, http.StatusBadRequest, Response{Error: "the request can't be read: " + err.Error(), Kind: array.Invalid.String()})
			return
		}
		text, err := r.Run(q.Context(), in.Words)
		if err != nil {
			k := array.KindOf(err)
			answer(w, statusOf(k), Response{Text: text, Error: err.Error(), Kind: k.String()})
			return
		}
		answer(w, http.StatusOK, Response{Text: text})
	})
	return mux
}

// statusOf is the one place where an error kind becomes an HTTP status.
func statusOf(k array.Kind) int {
	switch k {
	case array.Invalid, array.Range:
		return http.StatusBadRequest
	case array.NotFound:
		return http.StatusNotFound
	case array.Exists, array.Conflict, array.Busy, array.Standby, array.Moved:
		return http.StatusConflict
	case array.Denied:
		return http.StatusForbidden
	case array.Unavailable:
		return http.StatusServiceUnavailable
	case array.Full:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

func answer(w http.ResponseWriter, status int, r Response) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(r)
}
