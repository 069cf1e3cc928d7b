// SPDX-License-Identifier: Apache-2.0

package wsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
)

// parrot answers with the words it was given.
type parrot struct{}

func (parrot) RunTelling(_ context.Context, words []string, _ func(progress.Step)) (string, error) {
	if len(words) > 0 && words[0] == "bad" {
		return "", array.Errorf(array.Invalid, "bad")
	}
	return strings.Join(words, " "), nil
}

// FuzzBody: whatever is sent as a command is answered with one Response.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"words":["showvv"]}`))
	f.Add([]byte(`{"words":["bad"]}`))
	f.Add([]byte(`{"words":7}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		handler(parrot{}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/command", bytes.NewReader(body)))
		var r Response
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatalf("%d %q: %v", w.Code, w.Body, err)
		}
		if (w.Code == http.StatusOK) != (r.Error == "") {
			t.Fatalf("%d %+v", w.Code, r)
		}
	})
}
