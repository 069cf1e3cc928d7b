// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// client is a program that uses one array's REST interface over one connection.
type client struct {
	http *http.Client
	url  string
	key  string
	// took are the times of requests, by kind, in the order in which they were sent.
	took map[string][]time.Duration
	// refused is how often a change had to be asked for again.
	refused int
}

// object is a body.
type object map[string]any

func newClient(t *http.Transport, address string) *client {
	// What the array shows is its identity's own certificate, which nobody signed.
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return &client{http: &http.Client{Transport: t}, url: "https://" + address + "/api/v1", took: map[string][]time.Duration{}}
}

func (c *client) login(ctx context.Context, user, password string) error {
	var out struct {
		Key string `json:"key"`
	}
	err := c.ask(ctx, "login", "POST", "/credentials", object{"user": user, "password": password}, &out)
	c.key = out.Key
	return err
}

// ask sends a request, notes what it took until the whole answer was there, and reads that
// into out, if it is not nil.
func (c *client) ask(ctx context.Context, kind, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	q, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return err
	}
	q.Header.Set("X-HP3PAR-WSAPI-SessionKey", c.key)
	began := time.Now()
	r, err := c.http.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if r.StatusCode > 299 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, r.Status, b)
	}
	c.took[kind] = append(c.took[kind], time.Since(began))
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// patience is how long a change is asked for again that the arrays refuse because they have
// lost each other, as they may where others take the machine's processors.
const patience = time.Minute

// change is ask for what has to be done.
func (c *client) change(ctx context.Context, kind, method, path string, in any) error {
	for began := time.Now(); ; {
		err := c.ask(ctx, kind, method, path, in, nil)
		if err == nil || ctx.Err() != nil || time.Since(began) > patience {
			return err
		}
		c.refused++
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// rate is how many requests of a kind a second have, in milliseconds the 99th percentile.
func (c *client) rate(kind string) (perSecond, p99 float64) {
	took := slices.Sorted(slices.Values(c.took[kind]))
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	return float64(len(took)) / sum.Seconds(), ms(took[(len(took)*99-1)/100])
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// millis are times in milliseconds.
func millis(all []time.Duration) []float64 {
	l := make([]float64, len(all))
	for i, d := range all {
		l[i] = ms(d)
	}
	return l
}
