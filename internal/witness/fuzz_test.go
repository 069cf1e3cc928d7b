// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

// FuzzRequest: a body is either read, or answered with what is wrong with it; never both
// and never neither.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"keys":["a"]}`), false)
	f.Add([]byte(`{"incarnation":"00112233445566778899aabbccddeeff","swaps":[{"key":"k","version":1,"value":"aGk="}]}`), true)
	f.Add([]byte(`{"keys":[]} {}`), false)
	f.Fuzz(func(t *testing.T, body []byte, swap bool) {
		w := httptest.NewRecorder()
		q := httptest.NewRequest(http.MethodPost, "/", nil)
		q.Body = http.MaxBytesReader(w, nopCloser{bytes.NewReader(body)}, maxBody)
		var into any = &readRequest{}
		if swap {
			into = &swapRequest{}
		}
		ok := decode(w, q, into)
		if answered := w.Body.Len() > 0; ok == answered {
			t.Fatalf("read: %v, answered: %v", ok, answered)
		}
	})
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
