// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/perdure/perdure/internal/pki"
)

// only lets through requests of clients, with the key that they proved.
func (s *Server) only(h func(http.ResponseWriter, *http.Request, pki.Pin)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var pin pki.Pin
		ok := false
		if r.TLS != nil {
			pin, ok = pki.PeerPin(*r.TLS)
		}
		if !ok {
			reply(w, http.StatusForbidden, errorReply{Error: "this needs a client certificate"})
			return
		}
		if !s.clients.heard(pin, r.RemoteAddr, s.cfg.Now()) {
			s.cfg.Logger.Debug("refused a stranger", "key", pin, "from", r.RemoteAddr)
			reply(w, http.StatusForbidden, errorReply{Error: fmt.Sprintf("this witness has no client with the key %v", pin)})
			return
		}
		h(w, r, pin)
	}
}

// health answers anybody: monitoring has no certificate.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if err := s.cfg.Store.Broken(); err != nil {
		http.Error(w, "store broken", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request, _ pki.Pin) {
	n, err := s.cfg.Store.Count()
	if err != nil {
		s.fail(w, fmt.Errorf("count registers: %w", err))
		return
	}
	out := Status{
		Version: s.cfg.Version, Incarnation: s.incarnation, Started: s.started, Registers: n,
		Warning: pki.Expiry(s.cfg.Identity.Certificate(), s.cfg.Now()),
	}
	s.clients.fill(&out)
	reply(w, http.StatusOK, out)
}

func (s *Server) read(w http.ResponseWriter, r *http.Request, caller pki.Pin) {
	var req readRequest
	if !decode(w, r, &req) {
		return
	}
	if !batch(w, len(req.Keys)) {
		return
	}
	regs, err := s.cfg.Store.Read(caller, req.Keys)
	if err != nil {
		s.fail(w, err)
		return
	}
	if len(req.Known) != 0 && len(req.Known) != len(req.Keys) {
		reply(w, http.StatusBadRequest, errorReply{Error: fmt.Sprintf("%d known versions of %d keys", len(req.Known), len(req.Keys))})
		return
	}
	out := readReply{Incarnation: s.incarnation, Registers: regs, Knows: true}
	if req.Incarnation == s.incarnation && len(req.Known) > 0 {
		out.leaveOut(req.Known)
	}
	reply(w, http.StatusOK, out)
}

// leaveOut takes out what the client knows. Of one version there is one value in an incarnation.
func (r *readReply) leaveOut(known []uint64) {
	r.Same = make([]byte, (len(known)+7)/8)
	rest := r.Registers[:0]
	for i, x := range r.Registers {
		if x.Result == OK && x.Version == known[i] && x.Version != 0 {
			r.Same[i/8] |= 1 << (i % 8)
			continue
		}
		rest = append(rest, x)
	}
	r.Registers = rest
}

func (s *Server) swap(w http.ResponseWriter, r *http.Request, caller pki.Pin) {
	var req swapRequest
	if !decode(w, r, &req) {
		return
	}
	if req.Incarnation != s.incarnation {
		reply(w, http.StatusConflict, errorReply{
			Error:       fmt.Sprintf("prepared in incarnation %v of this witness, which now runs in %v", req.Incarnation, s.incarnation),
			Incarnation: s.incarnation,
		})
		return
	}
	if !batch(w, len(req.Swaps)) {
		return
	}
	outcomes, err := s.cfg.Store.Swap(caller, req.Swaps, s.clients.known)
	if err != nil {
		s.fail(w, err)
		return
	}
	reply(w, http.StatusOK, swapReply{Incarnation: s.incarnation, Outcomes: outcomes})
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	s.cfg.Logger.Error("request failed", "error", err)
	reply(w, http.StatusInternalServerError, errorReply{Error: err.Error()})
}

func batch(w http.ResponseWriter, n int) bool {
	if n == 0 || n > MaxBatch {
		reply(w, http.StatusBadRequest, errorReply{Error: fmt.Sprintf("%d in one request, want 1 to %d", n, MaxBatch)})
		return false
	}
	return true
}

// decode reads a request's body, strictly, or answers what is wrong with it.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the request")
		}
	}
	if err == nil {
		return true
	}
	status := http.StatusBadRequest
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		status = http.StatusRequestEntityTooLarge
	}
	reply(w, status, errorReply{Error: "read request: " + err.Error()})
	return false
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away asks again
}
