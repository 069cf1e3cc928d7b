// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/perdure/perdure/internal/event"
)

// webhook posts events as JSON.
type webhook struct {
	to, array, token string
	http             *http.Client
}

func newWebhook(to, array, token string, t *tls.Config) *webhook {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig, tr.MaxIdleConnsPerHost = t, 1
	return &webhook{to: to, array: array, token: token, http: &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// body is what is posted.
type body struct {
	Array  string  `json:"array"`
	Events []entry `json:"events"`
}

type entry struct {
	ID       uint64 `json:"id"`
	Time     string `json:"time"`
	Severity string `json:"severity"`
	Text     string `json:"text"`
}

// maxReply bounds what is read of an answer.
const maxReply = 64 << 10

func (w *webhook) send(ctx context.Context, events []event.Numbered) error {
	b := body{Array: w.array}
	for _, e := range events {
		b.Events = append(b.Events, entry{ID: e.ID, Time: e.At.UTC().Format(time.RFC3339Nano), Severity: string(e.Severity), Text: e.Text})
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, w.to, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "perdured")
	if w.token != "" {
		q.Header.Set("Authorization", "Bearer "+w.token)
	}
	a, err := w.http.Do(q)
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err // without the address, which may have a secret in it
	}
	if err != nil {
		return err
	}
	defer a.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, maxReply))
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", a.Status)
	}
	return nil
}

func (w *webhook) close() { w.http.CloseIdleConnections() }
