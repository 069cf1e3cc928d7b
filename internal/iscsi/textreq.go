// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"fmt"
	"net"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// textFinal and textMore are the F and C bits of text requests and responses.
const (
	textFinal = 0x80
	textMore  = 0x40
)

// text handles a Text Request: SendTargets, a new MaxRecvDataSegmentLength, or
// the rest of an answer that did not fit.
func (c *conn) text(h *pdu.Header) error {
	if ttt := h.U32(pdu.OffTTT); ttt != pdu.NoTag {
		if c.moreText == nil || ttt != c.textTTT {
			return c.reject(h, pdu.ReasonInvalidField)
		}
		return c.sendText(h)
	}
	c.moreText = nil
	if h[1]&textMore != 0 || h.DataLen() > loginMaxRecv {
		return c.reject(h, pdu.ReasonUnsupported) // nothing there is to say is that long
	}
	raw := make([]byte, h.DataLen())
	if err := c.in.Data(raw); err != nil {
		if errors.Is(err, pdu.ErrDataDigest) {
			return c.reject(h, pdu.ReasonDataDigest)
		}
		return err
	}
	pairs, err := pdu.ParseText(raw)
	if err != nil {
		c.log.Warn("iSCSI text request can't be read", "error", err)
		return c.reject(h, pdu.ReasonProtocol)
	}
	answer := make([]byte, 0, 256)
	for _, p := range pairs {
		switch p.Key {
		case "SendTargets":
			answer = c.sendTargets(answer, p.Value)
		case "MaxRecvDataSegmentLength":
			n, ok := number(p.Value, 512, pdu.MaxDataLen)
			if !ok {
				answer = pdu.AppendText(answer, pdu.Pair{Key: p.Key, Value: rejected})
				continue
			}
			c.sendMax.Store(int32(n))
		default:
			answer = pdu.AppendText(answer, pdu.Pair{Key: p.Key, Value: notUnderstood})
		}
	}
	c.moreText = answer
	return c.sendText(h)
}

// sendText sends as much of moreText as the host takes.
func (c *conn) sendText(h *pdu.Header) error {
	r := pdu.Make(pdu.TextResp, textFinal)
	r.Put64(pdu.OffLUN, h.U64(pdu.OffLUN))
	r.Put32(pdu.OffITT, h.ITT())
	r.Put32(pdu.OffTTT, pdu.NoTag)
	n := min(len(c.moreText), int(c.sendMax.Load()))
	data := c.moreText[:n]
	if c.moreText = c.moreText[n:]; len(c.moreText) == 0 {
		c.moreText = nil
	} else {
		r[1] = textMore
		c.textTTT++
		r.Put32(pdu.OffTTT, c.textTTT)
	}
	return c.out.put(outgoing{h: r, data: data, status: true})
}

// sendTargets lists the target and its portals, if the host may ask for it.
func (c *conn) sendTargets(dst []byte, which string) []byte {
	name := c.targetName()
	all := which == "All" && c.sess.discovery
	own := which == "" && !c.sess.discovery
	if !all && !own && which != name {
		if which == "All" {
			return pdu.AppendText(dst, pdu.Pair{Key: "SendTargets", Value: rejected})
		}
		return dst
	}
	dst = pdu.AppendText(dst, pdu.Pair{Key: "TargetName", Value: name})
	for _, p := range c.target.portals {
		if p.group.Guest != c.portal.group.Guest {
			continue // another target's
		}
		if a := &p.group.Allow; !a.initiator(c.sess.key.initiator) || !a.address(c.nc.RemoteAddr()) {
			continue // it would be refused there
		}
		addr := c.advertised(p.listener.Addr())
		dst = pdu.AppendText(dst, pdu.Pair{Key: "TargetAddress", Value: fmt.Sprintf("%s,%d", addr, p.group.Tag)})
	}
	return dst
}

// targetName is that of the target whose portal the host came to.
func (c *conn) targetName() string { return c.portal.group.target(c.target.cfg.Name) }

// advertised returns the address under which this host can reach a portal: one
// that listens everywhere is where the host came in.
func (c *conn) advertised(listen net.Addr) string {
	a, ok := listen.(*net.TCPAddr)
	if !ok || !a.IP.IsUnspecified() {
		return listen.String()
	}
	local, ok := c.nc.LocalAddr().(*net.TCPAddr)
	if !ok {
		return listen.String()
	}
	return net.JoinHostPort(local.IP.String(), fmt.Sprint(a.Port))
}
