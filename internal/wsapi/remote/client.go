// SPDX-License-Identifier: Apache-2.0

package remote

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
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/table"
	"github.com/perdure/perdure/internal/wsapi"
)

// Options say which array, and who asks.
type Options struct {
	// URL is the array's REST interface, such as https://array:8080.
	URL string
	// Pin is the key that it must prove; nil: its certificate must be one that this machine
	// trusts.
	Pin *pki.Pin
	// User and Password log in; with Key, a session's, nobody does.
	User, Password, Key string
}

// Client gives commands to one array.
type Client struct {
	o    Options
	http *http.Client
	key  string
}

const (
	sessionHeader = "X-HP3PAR-WSAPI-SessionKey"
	api           = "/api/v1"
	// shortWithin is for logging in and out.
	shortWithin = 30 * time.Second
	// badSession is the code of a session that is over, maxFailure what is read of one.
	badSession = 6
	maxFailure = 64 << 10
)

// Open logs in.
func Open(ctx context.Context, o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return nil, array.Errorf(array.Invalid, "array %.80q: want https://HOST:PORT, as its configuration's wsapi.listen", o.URL)
	}
	o.URL = "https://" + u.Host
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil // an array is on one's own network, and a password is nobody else's
	t.TLSClientConfig = clientTLS(o.Pin)
	c := &Client{o: o, http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, key: o.Key}
	if c.key != "" {
		return c, nil
	}
	if o.User == "" {
		return nil, array.Errorf(array.Invalid, "array %s: want a user's name", o.URL)
	}
	if err := c.login(ctx); err != nil {
		c.http.CloseIdleConnections()
		return nil, err
	}
	return c, nil
}

// clientTLS wants the key of the pin or, without one, a certificate that is trusted.
func clientTLS(pin *pki.Pin) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if pin == nil {
		return c
	}
	c.InsecureSkipVerify = true // the key is checked instead of a chain and a name
	c.VerifyConnection = func(s tls.ConnectionState) error {
		got, ok := pki.PeerPin(s)
		if !ok {
			return errors.New("the array shows no certificate")
		}
		return pki.Only(*pin)(got)
	}
	return c
}

func (c *Client) login(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shortWithin)
	defer cancel()
	a, err := c.send(ctx, http.MethodPost, "/credentials", map[string]string{"user": c.o.User, "password": c.o.Password}, "")
	if err != nil {
		return fmt.Errorf("log in at %s: %w", c.o.URL, err)
	}
	defer a.Body.Close()
	var k struct {
		Key string `json:"key"`
	}
	if err := json.NewDecoder(io.LimitReader(a.Body, maxFailure)).Decode(&k); err != nil || k.Key == "" {
		return fmt.Errorf("log in at %s: the answer has no key: %w", c.o.URL, errors.Join(err))
	}
	c.key = k.Key
	return nil
}

// refusal is what the array says when it refuses a request.
type refusal struct {
	Code int    `json:"code"`
	Desc string `json:"desc"`
}

func (r refusal) Error() string { return r.Desc }

// send sends a request; an answer that is not success is an error.
func (c *Client) send(ctx context.Context, method, path string, body any, accept string) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, method, c.o.URL+api+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	q.Header.Set(sessionHeader, c.key)
	q.Header.Set("Content-Type", "application/json")
	if accept != "" {
		q.Header.Set("Accept", accept)
	}
	a, err := c.http.Do(q)
	if err != nil {
		return nil, untrusted(err)
	}
	if a.StatusCode < 300 {
		return a, nil
	}
	defer a.Body.Close()
	r := refusal{}
	if err := json.NewDecoder(io.LimitReader(a.Body, maxFailure)).Decode(&r); err != nil || r.Desc == "" {
		r.Desc = c.o.URL + " answers " + a.Status
	}
	return nil, r
}

// untrusted says which key an array showed that this machine does not trust.
func untrusted(err error) error {
	var bad *tls.CertificateVerificationError
	if errors.As(err, &bad) && len(bad.UnverifiedCertificates) > 0 {
		pin := pki.PinOf(bad.UnverifiedCertificates[0])
		if !errors.Is(err, pki.ErrUnknownKey) {
			return fmt.Errorf("%w: the array shows the key %v. If that is its own (the other array's configuration has it as target.key), say --pin %v", err, pin, pin)
		}
	}
	return err
}

// Do gives a command and returns its text. tell, unless it is nil, hears how far it is.
func (c *Client) Do(ctx context.Context, words []string, style table.Style, tell func(progress.Step)) (string, error) {
	in := map[string]any{"words": words, "csvtable": style.CSV, "nohdtot": style.NoHdTot}
	var sent wsapi.Sending
	a, err := c.send(sent.With(ctx), http.MethodPost, "/cli", in, wsapi.StreamType)
	if r := (refusal{}); errors.As(err, &r) && r.Code == badSession && c.o.Key == "" {
		if err := c.login(ctx); err != nil {
			return "", err
		}
		sent = wsapi.Sending{}
		a, err = c.send(sent.With(ctx), http.MethodPost, "/cli", in, wsapi.StreamType)
	}
	switch {
	case errors.As(err, new(refusal)):
		return "", fmt.Errorf("ask %s: %w", c.o.URL, err)
	case err != nil:
		return "", sent.Failed(ctx, fmt.Errorf("ask %s: %w", c.o.URL, err))
	}
	defer a.Body.Close()
	return sent.Answer(ctx, a.Body, tell)
}

// Close ends the session, if it is this client's own.
func (c *Client) Close() {
	defer c.http.CloseIdleConnections()
	if c.o.Key != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shortWithin)
	defer cancel()
	if a, err := c.send(ctx, http.MethodDelete, "/credentials/"+url.PathEscape(c.key), nil, ""); err == nil {
		a.Body.Close()
	}
}
