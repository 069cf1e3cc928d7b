// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/progress"
)

// dying serves what an array that dies sends before, and returns the path of its socket.
func dying(t *testing.T, head string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = c.Write([]byte(head))
		c.Close()
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return path
}

// TestTheArrayDiesBeforeItAnswers: whoever gave the command is told that nobody knows its outcome,
// and not where none was given.
func TestTheArrayDiesBeforeItAnswers(t *testing.T) {
	step := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n{\"progress\":{}}\n", StreamType)
	const unknown = "the outcome is unknown"
	for _, head := range []string{"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"text\"", step} {
		if _, err := DoTelling(t.Context(), dying(t, head), []string{"removevv", "v"}, func(progress.Step) {}); err == nil || !strings.Contains(err.Error(), unknown) {
			t.Errorf("after %q: %v; want %q", head, err, unknown)
		}
	}
	if _, err := Do(t.Context(), filepath.Join(t.TempDir(), "none"), []string{"showvv"}); err == nil || strings.Contains(err.Error(), unknown) {
		t.Errorf("no array: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := DoTelling(ctx, dying(t, step), []string{"removevv", "v"}, func(progress.Step) { cancel() }); err == nil || strings.Contains(err.Error(), unknown) {
		t.Errorf("given up by who gave it: %v", err)
	}
}
