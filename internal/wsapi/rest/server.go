// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// Config is what a server needs.
type Config struct {
	Array  *node.Node
	People People
	// Listen are the addresses, host:port; TLS has the certificate.
	Listen []string
	TLS    *tls.Config
	Logger *slog.Logger
}

// Server answers requests.
type Server struct {
	cfg      Config
	mux      *http.ServeMux
	calls    turns
	streams  turns
	commands turns
	logins   turns
	// ended is done when the server ends, and with it the streams.
	ended context.Context
	// bodyWithin is how long a body may take.
	bodyWithin time.Duration
}

// New returns a server that listens nowhere yet: it is an http.Handler.
func New(ctx context.Context, cfg Config) *Server {
	s := &Server{
		cfg: cfg, mux: http.NewServeMux(), ended: ctx,
		bodyWithin: readWithin, calls: make(turns, maxCalls), streams: make(turns, maxStreams), commands: make(turns, maxCommands), logins: make(turns, maxLogins),
	}
	for _, r := range routes() {
		s.mux.HandleFunc(r.method+" "+base+r.path, s.handler(r))
	}
	s.mux.HandleFunc("GET /api", s.handler(versionRoute()))
	s.mux.HandleFunc("/", s.nothingThere)
	return s
}

// Serve answers at all addresses until ctx ends.
func Serve(ctx context.Context, cfg Config) error {
	s := New(ctx, cfg)
	// The server's own limit for reading would end requests that take longer than that, and
	// streams: bodies have theirs in answer.
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: headerWithin, IdleTimeout: idleWithin, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	places, failed := newPlaces(maxConns, maxConnsOfOne), make(chan error, len(cfg.Listen))
	var ls []net.Listener
	for _, a := range cfg.Listen {
		l, err := net.Listen("tcp", a)
		if err != nil {
			for _, o := range ls {
				_ = o.Close()
			}
			return fmt.Errorf("listen for REST: %w", err)
		}
		ls = append(ls, tls.NewListener(bound(l, places), cfg.TLS))
	}
	for _, l := range ls {
		go func() { failed <- h.Serve(l) }()
	}
	var first error
	for range ls {
		if err := <-failed; !errors.Is(err, http.ErrServerClosed) && first == nil {
			first = fmt.Errorf("serve REST: %w", err)
			_ = h.Close()
		}
	}
	return first
}

// ServeHTTP answers a request, whatever it is.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Server", "perdure-wsapi")
	if p := path.Clean(r.URL.Path); p != r.URL.Path { // the mux would send clients elsewhere, in HTML
		s.refuse(w, r, fail(wsapi.NoResource, "", "there is no %s", r.URL.Path))
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) handler(t route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.cfg.Logger.Error("a request failed in the server", "route", r.Pattern, "panic", p, "stack", string(debug.Stack()))
				s.refuse(w, r, array.Errorf(array.Internal, "the server failed"))
			}
		}()
		c := &call{s: s, w: w, r: r}
		if t.open { // a stranger who is slow takes no turn meanwhile
			if err := c.read(maxOpenBody); err != nil {
				s.refuse(w, r, err)
				return
			}
		}
		if !s.calls.take(r.Context(), waitWithin) {
			s.refuse(w, r, array.Errorf(array.Busy, "there are too many requests: try again"))
			return
		}
		held := true
		release := func() {
			if held {
				held = false
				s.calls.give()
			}
		}
		defer release()
		a, err := s.answer(c, t, release)
		switch {
		case err != nil:
			s.refuse(w, r, err)
		case !a.streamed:
			s.write(w, a)
		}
	}
}

// answer finds out who asks for what, and does it.
func (s *Server) answer(c *call, t route, release func()) (answer, error) {
	if !t.open {
		if err := c.enter(t.right); err != nil {
			return answer{}, err
		}
	}
	if err := c.knows(t); err != nil {
		return answer{}, err
	}
	if !t.open {
		if err := c.read(maxBody); err != nil {
			return answer{}, err
		}
	}
	if t.path == streamPath || t.path == cliPath {
		release() // a stream has a limit of its own
		return t.do(c)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), callWithin)
	defer cancel()
	c.r = c.r.WithContext(ctx)
	return t.do(c)
}

// read takes the body, of a bounded size in a bounded time.
func (c *call) read(most int64) (err error) {
	conn := http.NewResponseController(c.w)
	_ = conn.SetReadDeadline(time.Now().Add(c.s.bodyWithin)) // a writer that has none is a test's
	if c.body, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most)); err == nil {
		_ = conn.SetReadDeadline(time.Time{})
		return nil
	}
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return fail(wsapi.InputTooLong, "", "the body has more than %d bytes", most)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fail(wsapi.Timeout, "", "the body did not come within %v", c.s.bodyWithin)
	}
	return fail(wsapi.InputEnds, "", "the body can't be read: %v", err)
}

// sessionHeader carries a session's key.
const sessionHeader = "X-HP3PAR-WSAPI-SessionKey"

// enter lets in who has a session and the right.
func (c *call) enter(right people.Right) error {
	key := c.r.Header.Get(sessionHeader)
	who, err := c.s.cfg.People.Session(key, time.Now())
	if err != nil || key == "" {
		return fail(wsapi.BadSession, "", "the session key is not valid, or its time is over: log in")
	}
	if c.who = who; !who.May(right) {
		return array.Errorf(array.Denied, "%s, with the role %s, may not do this", c.who.User, c.who.Text())
	}
	return nil
}

// failure is the body of an answer that says what is wrong.
type failure struct {
	Code int    `json:"code"`
	Desc string `json:"desc"`
	Ref  string `json:"ref,omitempty"`
	// Symbol is the code's name, which programs of people may like better.
	Symbol string `json:"symbol"`
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	c := wsapi.CodeOf(err)
	if r.Context().Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		c = wsapi.MayBeDone
	}
	f := failure{Code: c.Number, Desc: err.Error(), Symbol: c.Symbol}
	var own *wsapi.Failure
	if errors.As(err, &own) {
		f.Ref = own.Ref
	}
	if c.Status >= http.StatusInternalServerError {
		s.cfg.Logger.Warn("a REST request failed", "route", r.Pattern, "err", err) // the path may have a session's key
	}
	s.write(w, answer{status: c.Status, body: f})
}

func (s *Server) write(w http.ResponseWriter, a answer) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	b, err := json.Marshal(a.body)
	if err != nil {
		s.cfg.Logger.Error("an answer is no JSON", "err", err)
		a.status, b = http.StatusInternalServerError, []byte(`{"code":1,"desc":"the answer is no JSON","symbol":"INT_SERV_ERR"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(append(b, '\n'))
}

// nothingThere answers what no route does: which methods there are, if there are.
func (s *Server) nothingThere(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		o := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := s.mux.Handler(o); pattern != "/" && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.refuse(w, r, fail(wsapi.BadMethod, "", "%s is not for %s: want %s", r.Method, r.URL.Path, strings.Join(allowed, " or ")))
		return
	}
	s.refuse(w, r, fail(wsapi.NoResource, "", "there is no %s", r.URL.Path))
}
