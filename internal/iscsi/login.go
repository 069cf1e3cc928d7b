// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// Login stages.
const (
	stageSecurity    = 0
	stageOperational = 1
	stageFull        = 3
)

// login is the login phase of one connection.
type login struct {
	c         *conn
	initiator string
	discovery bool
	isid      [6]byte
	tsih      uint16
	known     bool // the first request has been judged
	heard     bool // a login request came
	declared  map[string]bool
	stage     byte
	secured   bool // security negotiation is done or wasn't needed
	chap      chap
	text      []byte // of requests with the C bit
	begun     bool
}

// login runs the login phase. When it succeeds the connection has a session.
func (c *conn) login() error {
	if err := c.nc.SetDeadline(time.Now().Add(c.target.limits.Login)); err != nil {
		return err
	}
	l := login{c: c}
	var h pdu.Header
	for {
		if err := c.in.Next(&h); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		full, err := l.request(&h)
		var refused *loginError
		if errors.As(err, &refused) {
			l.send(&h, 0, nil, refused.status)
		}
		if err != nil {
			return fmt.Errorf("log in %s: %w", l.initiator, err)
		}
		if full {
			break
		}
	}
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return err
	}
	// The wait for an older session's quiet is not time that bytes lay unread in:
	// the host sends nothing before the last login response.
	c.src.last = c.src.pulse.now()
	c.heard.Store(c.src.last)
	c.in.MaxData = ourMaxRecv
	c.in.HeaderDigest, c.in.DataDigest = c.params.headerDigest, c.params.dataDigest
	c.sendMax.Store(int32(c.params.sendMax))
	c.ready.Store(true)
	return nil
}

// request handles one Login Request, and reports whether it was the last.
func (l *login) request(h *pdu.Header) (full bool, err error) {
	const transit, more = 0x80, 0x40
	if h.Op() != pdu.LoginReq {
		if l.heard { // RFC 7143 6.3: before the login began there is no answer
			return false, refuse(statusInvalid, "operation %#x during login", h.Op())
		}
		return false, fmt.Errorf("operation %#x before login", h.Op())
	}
	l.heard = true
	if h[1]&transit != 0 && h[1]&more != 0 {
		return false, refuse(statusInitiator, "a transit in the middle of a text")
	}
	if h[3] > 0 { // Version-min
		return false, refuse(statusVersion, "version %d or newer is asked for", h[3])
	}
	data := make([]byte, h.DataLen())
	if err := l.c.in.Data(data); err != nil {
		return false, err
	}
	if l.text = append(l.text, data...); len(l.text) > pdu.MaxText {
		return false, refuse(statusInitiator, "too much text")
	}
	if h[1]&more != 0 {
		return false, l.send(h, h[1]&0x0C, nil, 0)
	}
	pairs, err := pdu.ParseText(l.text)
	l.text = nil
	if err != nil {
		return false, refuse(statusInitiator, "%v", err)
	}
	csg, nsg := h[1]>>2&3, h[1]&3
	if !l.known {
		if err := l.first(h, pairs, csg); err != nil {
			return false, err
		}
	} else if [6]byte(h[8:14]) != l.isid || h.U16(14) != l.tsih || h.U16(20) != l.c.cid {
		return false, refuse(statusInitiator, "another session or connection in the middle of a login")
	}
	if csg != l.stage || csg != stageSecurity && csg != stageOperational {
		return false, refuse(statusInitiator, "stage %d, the login is in stage %d", csg, l.stage)
	}
	var answer []pdu.Pair
	if csg == stageSecurity {
		answer, err = l.security(pairs)
	} else {
		answer, err = l.operational(pairs)
	}
	if err != nil {
		return false, err
	}
	flags := csg << 2
	if h[1]&transit != 0 && (csg != stageSecurity || l.secured) {
		if nsg <= csg || nsg == 2 {
			return false, refuse(statusInitiator, "a transit from stage %d to %d", csg, nsg)
		}
		flags |= transit | nsg
		l.stage = nsg
	}
	if l.stage == stageFull {
		if err := l.establish(h); err != nil {
			return false, err
		}
	}
	return l.stage == stageFull, l.send(h, flags, answer, 0)
}

// first judges who logs in to what.
func (l *login) first(h *pdu.Header, pairs []pdu.Pair, csg byte) error {
	l.known = true
	l.stage = csg
	copy(l.isid[:], h[8:14])
	l.tsih = h.U16(14)
	l.c.cid = h.U16(20)
	name, ok := pdu.Find(pairs, "InitiatorName")
	if !ok {
		return refuse(statusMissing, "no InitiatorName")
	}
	if !validName(name) {
		return refuse(statusInitiator, "initiator name %.60q", name)
	}
	l.initiator = name
	kind, ok := pdu.Find(pairs, "SessionType")
	if l.discovery = kind == "Discovery"; ok && !l.discovery && kind != "Normal" {
		return refuse(statusSessionType, "session type %.60q", kind)
	}
	target, ok := pdu.Find(pairs, "TargetName")
	switch {
	case !ok && !l.discovery:
		return refuse(statusMissing, "no TargetName")
	case ok && target != l.c.targetName():
		return refuse(statusNotFound, "target %.60q", target)
	}
	if tsih := h.U16(14); tsih != 0 {
		if l.c.target.hasSession(name, tsih) {
			return refuse(statusConnections, "a session has one connection")
		}
		return refuse(statusNoSession, "session %d", tsih)
	}
	if !l.c.portal.group.Allow.initiator(name) {
		return refuse(statusDenied, "the initiator may not use this portal")
	}
	account := Account{}
	if auth := l.c.target.cfg.Auth; auth != nil {
		if account, ok = auth.Account(name, l.discovery); !ok {
			return refuse(statusDenied, "the initiator is not known")
		}
	}
	l.chap.account = account
	l.secured = !account.CHAP
	if csg == stageOperational && !l.secured {
		return refuse(statusAuth, "CHAP is required")
	}
	return nil
}

// security handles the keys of the security stage.
func (l *login) security(pairs []pdu.Pair) (answer []pdu.Pair, err error) {
	if methods, ok := pdu.Find(pairs, "AuthMethod"); ok {
		want := "None"
		if l.chap.account.CHAP {
			want = "CHAP"
		}
		if choose(methods, want) == rejected {
			return nil, refuse(statusAuth, "AuthMethod %.60q, %s is required", methods, want)
		}
		answer = append(answer, pdu.Pair{Key: "AuthMethod", Value: want})
		answer = l.opening(answer)
	}
	if list, ok := pdu.Find(pairs, "CHAP_A"); ok && l.chap.account.CHAP {
		challenge, err := l.chap.challengeFor(list)
		if err != nil {
			return nil, refuse(statusAuth, "%v", err)
		}
		answer = append(answer, challenge...)
	}
	if _, ok := pdu.Find(pairs, "CHAP_R"); ok && l.chap.account.CHAP {
		proof, err := l.chap.verify(pairs)
		if err != nil {
			return nil, refuse(statusAuth, "%v", err)
		}
		answer = append(answer, proof...)
		l.secured = true
	}
	for _, p := range pairs {
		switch p.Key {
		case "AuthMethod", "CHAP_A", "CHAP_N", "CHAP_R", "CHAP_I", "CHAP_C":
		default:
			if answer, err = l.generalKey(answer, p); err != nil {
				return nil, err
			}
		}
	}
	return answer, nil
}

// operational handles the keys of the operational stage.
func (l *login) operational(pairs []pdu.Pair) (answer []pdu.Pair, err error) {
	answer = l.opening(nil)
	for _, p := range pairs {
		if answer, err = l.generalKey(answer, p); err != nil {
			return nil, err
		}
	}
	if !l.c.params.declared {
		l.c.params.declared = true
		answer = append(answer, pdu.Pair{Key: "MaxRecvDataSegmentLength", Value: strconv.Itoa(ourMaxRecv)})
	}
	return answer, nil
}

// generalKey answers a key that is not about security. None may be negotiated twice
// (RFC 7143 6.3); names, which the first request alone decides about, may be repeated.
func (l *login) generalKey(answer []pdu.Pair, p pdu.Pair) ([]pdu.Pair, error) {
	switch p.Key {
	case "InitiatorName", "InitiatorAlias", "TargetName", "SessionType":
		return answer, nil
	}
	if l.declared[p.Key] || len(l.declared) >= pdu.MaxPairs {
		return nil, refuse(statusInitiator, "key %q was negotiated before, or too many are", p.Key)
	}
	if l.declared == nil {
		l.declared = make(map[string]bool)
	}
	l.declared[p.Key] = true
	if v := l.c.params.answer(p.Key, p.Value, l.discovery); v != "" {
		answer = append(answer, pdu.Pair{Key: p.Key, Value: v})
	}
	return answer, nil
}

// opening adds what the first response of a login tells.
func (l *login) opening(answer []pdu.Pair) []pdu.Pair {
	if l.begun {
		return answer
	}
	l.begun = true
	if !l.discovery {
		tag := strconv.Itoa(int(l.c.portal.group.Tag))
		answer = append(answer, pdu.Pair{Key: "TargetPortalGroupTag", Value: tag})
	}
	if alias := l.c.target.cfg.Alias; alias != "" {
		answer = append(answer, pdu.Pair{Key: "TargetAlias", Value: alias})
	}
	return answer
}

// establish makes the session.
func (l *login) establish(h *pdu.Header) error {
	c := l.c
	c.params.settle()
	key := sessionKey{initiator: l.initiator, isid: l.isid, target: c.targetName(), tag: c.portal.group.Tag}
	if l.discovery {
		key.tag = 0
	}
	// The wait for the session that is replaced has its own limit.
	if err := c.nc.SetDeadline(time.Now().Add(c.target.limits.Reinstate + c.target.limits.Login)); err != nil {
		return err
	}
	// From here on the host's own limits bound its connections.
	host, err := c.target.join(l.initiator)
	if err != nil {
		return refuse(statusOutOfResource, "%v", err)
	}
	c.host = host
	c.target.outOfLogin(c)
	s, err := c.target.newSession(c, key, l.discovery)
	switch {
	case errors.Is(err, errSessions), errors.Is(err, errHostLimit), errors.Is(err, errNotQuiet):
		return refuse(statusOutOfResource, "%v", err)
	case err != nil:
		return refuse(statusUnavailable, "%v", err)
	}
	s.expCmdSN.Store(h.U32(pdu.OffCmdSN))
	s.maxCmdSN.Store(h.U32(pdu.OffCmdSN) + uint32(s.slots.Load()) - 1)
	c.sess = s
	return nil
}

// send writes a Login Response; the writer doesn't run yet.
func (l *login) send(h *pdu.Header, flags byte, pairs []pdu.Pair, status loginStatus) error {
	c := l.c
	r := pdu.Make(pdu.LoginResp, flags)
	copy(r[8:14], h[8:14])
	r.Put16(14, h.U16(14))
	r.Put32(pdu.OffITT, h.ITT())
	r.Put32(pdu.OffStatSN, c.out.statSN)
	c.out.statSN++
	exp := h.U32(pdu.OffCmdSN)
	r.Put32(pdu.OffExpCmd, exp)
	r.Put32(pdu.OffMaxCmd, exp) // how many it may have is known with the session
	if c.sess != nil {
		r.Put32(pdu.OffMaxCmd, c.sess.maxCmdSN.Load())
		r.Put16(14, c.sess.tsih)
	}
	r.Put16(36, uint16(status))
	data := pdu.AppendText(nil, pairs...)
	_, err := c.nc.Write(pdu.Append(nil, &r, data, false, false))
	return err
}
