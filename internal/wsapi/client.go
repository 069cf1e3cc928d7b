// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"github.com/perdure/perdure/internal/progress"
)

// Do sends a command to the array whose socket is at path and returns its text.
func Do(ctx context.Context, path string, words []string) (string, error) {
	return DoTelling(ctx, path, words, nil)
}

// DoTelling does so and passes on how far the array is, unless tell is nil.
func DoTelling(ctx context.Context, path string, words []string, tell func(progress.Step)) (string, error) {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	defer c.CloseIdleConnections()
	b, err := json.Marshal(Request{Words: words})
	if err != nil {
		return "", err
	}
	var sent Sending
	q, err := http.NewRequestWithContext(sent.With(ctx), http.MethodPost, "http://array/api/v1/command", bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	if tell != nil {
		q.Header.Set("Accept", StreamType)
	}
	a, err := c.Do(q)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return "", fmt.Errorf("no array listens at %s: start perdured, or name its socket with --array or $PERDURE_ARRAY", path)
	}
	if err != nil {
		return "", sent.Failed(ctx, fmt.Errorf("ask the array at %s: %w", path, err))
	}
	defer a.Body.Close()
	return sent.Answer(ctx, a.Body, tell)
}
