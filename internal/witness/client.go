// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// swapPath is where the server takes swaps.
const swapPath = "/v1/swap"

// ErrUnknown says that a swap may or may not have taken effect: repeat it, or
// read the registers, before relying on either.
var ErrUnknown = errors.New("outcome unknown")

// An IncarnationError says that the witness was started again since the request
// was prepared. Nothing was done.
type IncarnationError struct {
	Now Incarnation
}

// Error explains.
func (e *IncarnationError) Error() string {
	return fmt.Sprintf("the witness was started again and runs in incarnation %v: its registers must be armed anew", e.Now)
}

// ClientConfig is what a Client needs.
type ClientConfig struct {
	Address  string // host:port
	Identity *pki.Identity
	Witness  pki.Pin // the witness's key
	// Timeout bounds one request including connecting, beside the caller's
	// context. 0 means 5 s: enough for three round trips of 500 ms.
	Timeout time.Duration
	// Dial replaces the connection's making, for tests and bound addresses.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client asks one witness. It keeps a connection open between requests.
type Client struct {
	cfg  ClientConfig
	http *http.Client
	base string
	// knows: the witness that answered last understands what a reader knows.
	knows atomic.Bool
}

// NewClient returns a client; it connects with the first request.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{KeepAlive: 5 * time.Second}).DialContext
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	t := &http.Transport{
		DialContext:            cfg.Dial,
		TLSClientConfig:        cfg.Identity.Client(pki.Only(cfg.Witness)),
		Protocols:              &protocols,
		MaxIdleConnsPerHost:    2,
		MaxConnsPerHost:        4,
		IdleConnTimeout:        100 * time.Second, // below the server's, so that it is not cut while in use
		MaxResponseHeaderBytes: 16 << 10,
		DisableCompression:     true,
	}
	return &Client{cfg: cfg, base: "https://" + cfg.Address, http: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Read returns the witness's incarnation and the registers, in the order of keys. known, if it is not
// nil, is a version of each that the caller has from incarnation in, 0 for none: such a register may come
// without its value and owners.
func (c *Client) Read(ctx context.Context, keys []string, in Incarnation, known []uint64) (Incarnation, []Register, error) {
	q := readRequest{Keys: keys}
	if c.knows.Load() && len(known) == len(keys) {
		q.Incarnation, q.Known = in, known
	}
	var out readReply
	if _, err := c.call(ctx, http.MethodPost, "/v1/read", q, &out); err != nil {
		c.knows.Store(false) // an older witness may have taken its place
		return Incarnation{}, nil, fmt.Errorf("read %d registers of witness %s: %w", len(keys), c.cfg.Address, err)
	}
	c.knows.Store(out.Knows)
	regs, ok := out.all(q)
	if !ok || out.Incarnation.IsZero() {
		return Incarnation{}, nil, fmt.Errorf("read %d registers of witness %s: it answers with %d", len(keys), c.cfg.Address, len(out.Registers))
	}
	for i := range regs {
		if regs[i].Key != keys[i] || len(regs[i].Value) > MaxValue {
			return Incarnation{}, nil, fmt.Errorf("read register %s of witness %s: it answers with another", keys[i], c.cfg.Address)
		}
	}
	return out.Incarnation, regs, nil
}

// all returns the registers with those that were left out; ok is false if there are not as many as were
// asked for, or some were left out that the request does not know.
func (r *readReply) all(q readRequest) (regs []Register, ok bool) {
	if len(r.Same) == 0 {
		return r.Registers, len(r.Registers) == len(q.Keys)
	}
	if len(q.Known) == 0 || r.Incarnation != q.Incarnation || len(r.Same) != (len(q.Keys)+7)/8 {
		return nil, false
	}
	rest := r.Registers
	regs = make([]Register, len(q.Keys))
	for i, key := range q.Keys {
		switch {
		case r.Same[i/8]&(1<<(i%8)) != 0:
			if q.Known[i] == 0 {
				return nil, false
			}
			regs[i] = Register{Key: key, Version: q.Known[i], Result: OK}
		case len(rest) == 0:
			return nil, false
		default:
			regs[i], rest = rest[0], rest[1:]
		}
	}
	return regs, len(rest) == 0
}

// Swap asks for the swaps, all in one transaction, and returns their outcomes in
// order. An error that is ErrUnknown leaves open whether they took effect; an
// *IncarnationError and any other say that they did not.
func (c *Client) Swap(ctx context.Context, in Incarnation, swaps []Swap) ([]Outcome, error) {
	var out swapReply
	refused, err := c.call(ctx, http.MethodPost, swapPath, swapRequest{Incarnation: in, Swaps: swaps}, &out)
	if err == nil && (len(out.Outcomes) != len(swaps) || out.Incarnation != in) {
		err = fmt.Errorf("%d outcomes in incarnation %v", len(out.Outcomes), out.Incarnation)
	}
	if err != nil {
		if !refused {
			err = fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return nil, fmt.Errorf("swap %d registers of witness %s: %w", len(swaps), c.cfg.Address, err)
	}
	return out.Outcomes, nil
}

// Status returns what the witness tells about itself.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var out Status
	if _, err := c.call(ctx, http.MethodGet, "/v1/status", nil, &out); err != nil {
		return Status{}, fmt.Errorf("ask witness %s for its status: %w", c.cfg.Address, err)
	}
	return out, nil
}

// call makes one request. refused reports that it certainly had no effect.
func (c *Client) call(ctx context.Context, method, path string, in, out any) (refused bool, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return true, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	req.Header.Set("Content-Type", "application/json")
	if path != swapPath {
		// Asked again by itself, on a new connection, when the kept one turns out to
		// be dead. Not a swap: the first one may have taken effect before the witness
		// was started again, and the second one's refusal would hide that.
		req.Header["Idempotency-Key"] = []string{}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return false, fmt.Errorf("read the answer: %w", err)
	case len(raw) > maxBody:
		return false, fmt.Errorf("the answer has more than %d bytes", maxBody)
	case resp.StatusCode != http.StatusOK:
		return resp.StatusCode/100 == 4, answerError(resp.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return false, fmt.Errorf("understand the answer: %w", err)
	}
	return false, nil
}

// answerError turns an answer other than 200 into an error.
func answerError(status int, raw []byte) error {
	var e errorReply
	if json.Unmarshal(raw, &e) != nil || e.Error == "" {
		e.Error = http.StatusText(status)
	}
	switch status {
	case http.StatusConflict:
		return &IncarnationError{Now: e.Incarnation}
	case http.StatusForbidden:
		return array.Errorf(array.Denied, "%.500s", e.Error)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return array.Errorf(array.Invalid, "%.500s", e.Error)
	}
	return fmt.Errorf("status %d: %.500s", status, e.Error)
}
