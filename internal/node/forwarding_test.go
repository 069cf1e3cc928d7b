// SPDX-License-Identifier: Apache-2.0

package node

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestEventsAreForwarded over restarts, those of less severity not; what an array lacks to
// send them is an alarm, and does not keep it from serving.
func TestEventsAreForwarded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got strings.Builder
	up := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got.Write(b)
	}))
	defer s.Close()
	has := func(text string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(got.String(), text)
		}
	}
	a := openArrays(t, 1, func(c *Config) {
		c.Forwards = []Forward{{To: s.URL, Severity: "Minor"}, {To: "https://192.0.2.1/hook", CA: "/nowhere"}}
	})[0]
	a.event("quiet words")
	a.warn("first words")
	a.until("the first event", has("first words"))
	mu.Lock()
	up = false
	mu.Unlock()
	a.alarm("second words")
	a.until("it to be told", func() bool {
		text := a.run("showeventlog", "-msg", "can't be forwarded to http://")
		return strings.Contains(text, "503 Service Unavailable")
	})
	a.Close()
	mu.Lock()
	up = true
	mu.Unlock()
	a.open()
	a.until("the second event", has("second words"))
	if has("quiet words")() {
		t.Error("an event of less severity was forwarded")
	}
	if text := a.run("showeventlog", "-sev", "Major"); !strings.Contains(text, "/nowhere") {
		t.Errorf("no alarm: %s", text)
	}
}
