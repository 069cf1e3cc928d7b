// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// rawHost is a host of which every byte is written by the test.
type rawHost struct {
	t       testing.TB
	nc      net.Conn
	in      *pdu.Reader
	digests bool
}

func (l *lab) raw(t testing.TB) *rawHost {
	t.Helper()
	nc, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	return &rawHost{t: t, nc: nc, in: pdu.NewReader(nc, pdu.MaxDataLen)}
}

// loginHeader is a login request from stage csg to nsg.
func loginHeader(csg, nsg byte) pdu.Header {
	h := pdu.Make(0x40|pdu.LoginReq, 0x80|csg<<2|nsg)
	h[8], h[13] = 0x80, 1
	h.Put32(pdu.OffITT, 1)
	h.Put32(pdu.OffCmdSN, 1)
	return h
}

// loginKeys are the keys of a plain login, and more.
func loginKeys(more ...pdu.Pair) []pdu.Pair {
	return append([]pdu.Pair{{Key: "InitiatorName", Value: hostName}, {Key: "TargetName", Value: testName}}, more...)
}

// open logs in with the given keys, and takes the first unit attention off.
func (w *rawHost) open(keys ...pdu.Pair) {
	w.t.Helper()
	h := loginHeader(1, 3)
	w.send(h, pdu.AppendText(nil, loginKeys(keys...)...))
	if got := w.next(); got != "login 0000" {
		w.t.Fatalf("login: %s", got)
	}
	for _, k := range keys {
		if k.Key == "DataDigest" && k.Value == "CRC32C" {
			w.digests, w.in.DataDigest = true, true
		}
		if k.Key == "SessionType" {
			return
		}
	}
	w.send(command(1, 2, 0x80, 0, nil), nil)
	if got := w.next(); got != "status 02 062900" {
		w.t.Fatalf("first command: %s", got)
	}
}

// command is a SCSI command PDU with CmdSN, tag and flags for n bytes of data.
func command(sn, tag uint32, flags byte, n int, cdb []byte) pdu.Header {
	h := pdu.Make(pdu.SCSICommand, flags|1)
	h.Put32(pdu.OffITT, tag)
	h.Put32(20, uint32(n))
	h.Put32(pdu.OffCmdSN, sn)
	copy(h[32:], cdb)
	return h
}

// ask is a request PDU with CmdSN 2 and tag 9.
func ask(op, flags byte, edit func(*pdu.Header)) pdu.Header {
	h := pdu.Make(op, flags)
	h.Put32(pdu.OffITT, 9)
	h.Put32(pdu.OffCmdSN, 2)
	if edit != nil {
		edit(&h)
	}
	return h
}

func (w *rawHost) send(h pdu.Header, data []byte) {
	w.nc.Write(pdu.Append(nil, &h, data, false, w.digests))
}

// next tells in words what the target says next.
func (w *rawHost) next() string {
	var h pdu.Header
	if err := w.in.Next(&h); err != nil {
		return "end"
	}
	data := make([]byte, h.DataLen())
	if err := w.in.Data(data); err != nil {
		return "damaged: " + err.Error()
	}
	switch h.Op() {
	case pdu.Reject:
		return fmt.Sprintf("reject %02x", h[2])
	case pdu.SCSIResponse:
		sense := 0
		if len(data) >= 16 {
			sense = int(data[4])<<16 | int(data[14])<<8 | int(data[15])
		}
		return fmt.Sprintf("status %02x %06x", h[3], sense)
	case pdu.TaskResponse:
		return fmt.Sprintf("function %d", h[2])
	case pdu.LogoutResp:
		return fmt.Sprintf("logout %d", h[2])
	case pdu.TextResp:
		return "text " + strings.TrimRight(string(data), "\x00")
	case pdu.LoginResp:
		return fmt.Sprintf("login %04x", h.U16(36))
	case pdu.NopIn:
		return "pong"
	case pdu.R2T:
		return "r2t"
	}
	return fmt.Sprintf("operation %02x", h.Op())
}

// rest tells all that the target says until it answers a ping or ends the connection.
func (w *rawHost) rest() string {
	ping := pdu.Make(0x40|pdu.NopOut, 0x80)
	ping.Put32(pdu.OffITT, 77)
	ping.Put32(pdu.OffTTT, pdu.NoTag)
	w.send(ping, nil)
	var all []string
	for {
		what := w.next()
		all = append(all, what)
		if what == "pong" || what == "end" {
			return strings.Join(all, ", ")
		}
	}
}
