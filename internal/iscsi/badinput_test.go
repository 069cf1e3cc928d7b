// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"bytes"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// TestBadPDUs sends what no host should, and holds the answer against RFC 7143. After
// "pong" the session goes on; after "end" it is closed.
func TestBadPDUs(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.Commands = 32 })
	block := make([]byte, 512)
	write := func(sn, tag uint32, flags byte, n int) pdu.Header {
		return command(sn, tag, flags|0x20, n, rw16(0x8A, 0, max(n/512, 1)))
	}
	for _, tt := range []struct {
		clause string
		keys   []pdu.Pair
		send   func(w *rawHost)
		want   string
	}{
		{"11.17.1: an operation that doesn't exist", nil, func(w *rawHost) { w.send(ask(0x1C, 0x80, nil), nil) }, "reject 05, pong"},
		{"11.2.1.2: an operation of targets", nil, func(w *rawHost) { w.send(ask(pdu.DataIn, 0x80, nil), nil) }, "reject 05, pong"},
		{"11.16: SNACK at error recovery level 0", nil, func(w *rawHost) { w.send(ask(pdu.SNACK, 0x80, nil), nil) }, "reject 03, pong"},
		{"11.3: a command with the reserved tag", nil, func(w *rawHost) { w.send(command(2, pdu.NoTag, 0x80, 0, nil), nil) }, "reject 04, end"},
		{"11.3: a tag that is in use", nil, func(w *rawHost) {
			w.send(write(2, 9, 0, 1024), block)
			w.send(write(3, 9, 0x80, 512), block)
		}, "reject 04, end"},
		{"11.3: more immediate data than the command has", nil, func(w *rawHost) { w.send(write(2, 9, 0x80, 512), make([]byte, 1024)) }, "reject 04, end"},
		{"11.3: immediate data of a command that reads", nil, func(w *rawHost) { w.send(command(2, 9, 0xC0, 512, rw16(0x88, 0, 1)), block) }, "reject 04, end"},
		{"13.11: immediate data after ImmediateData=No", []pdu.Pair{{Key: "ImmediateData", Value: "No"}}, func(w *rawHost) { w.send(write(2, 9, 0x80, 512), block) }, "reject 04, end"},
		{"13.10: unsolicited data after InitialR2T=Yes", []pdu.Pair{{Key: "InitialR2T", Value: "Yes"}}, func(w *rawHost) { w.send(write(2, 9, 0, 1024), block) }, "reject 04, end"},
		{"13.14: immediate data beyond FirstBurstLength", []pdu.Pair{{Key: "FirstBurstLength", Value: "512"}, {Key: "InitialR2T", Value: "No"}}, func(w *rawHost) { w.send(write(2, 9, 0x80, 1024), make([]byte, 1024)) }, "reject 04, end"},
		{"13.12: a data segment beyond MaxRecvDataSegmentLength", nil, func(w *rawHost) { w.send(write(2, 9, 0x80, 1<<20), make([]byte, ourMaxRecv+4)) }, "end"},
		{"4.2.2.1: a gap in the command numbers", nil, func(w *rawHost) { w.send(command(4, 9, 0x80, 0, nil), nil) }, "reject 04, end"},
		{"4.2.2.1: a number outside of the window", nil, func(w *rawHost) { w.send(command(1000, 9, 0x80, 0, nil), nil) }, "pong"},
		{"11.12: a login in the full feature phase", nil, func(w *rawHost) { w.send(loginHeader(1, 3), nil) }, "reject 04, end"},
		{"11.10: a transfer tag that the target never gave", nil, func(w *rawHost) {
			w.send(ask(pdu.TextReq, 0x80, func(h *pdu.Header) { h.Put32(pdu.OffTTT, 5) }), nil)
		}, "reject 09, pong"},
		{"6.1: a text that is no text", nil, func(w *rawHost) {
			w.send(ask(pdu.TextReq, 0x80, func(h *pdu.Header) { h.Put32(pdu.OffTTT, pdu.NoTag) }), []byte("nothing\x00"))
		}, "reject 04, pong"},
		{"6.2: a key that nobody knows", nil, func(w *rawHost) {
			w.send(ask(pdu.TextReq, 0x80, func(h *pdu.Header) { h.Put32(pdu.OffTTT, pdu.NoTag) }), []byte("X=1\x00"))
		}, "text X=NotUnderstood, pong"},
		{"11.14.1: a reason for logout that doesn't exist", nil, func(w *rawHost) { w.send(ask(pdu.LogoutReq, 0x83, nil), nil) }, "reject 09, pong"},
		{"11.15.1: logout for recovery", nil, func(w *rawHost) { w.send(ask(pdu.LogoutReq, 0x82, nil), nil) }, "logout 2, pong"},
		{"11.15.1: logout of another connection", nil, func(w *rawHost) {
			w.send(ask(pdu.LogoutReq, 0x81, func(h *pdu.Header) { h.Put16(20, 7) }), nil)
		}, "logout 1, pong"},
		{"11.6.1: a task function that doesn't exist", nil, func(w *rawHost) { w.send(ask(pdu.TaskRequest, 0x80|99, nil), nil) }, "function 255, pong"},
		{"11.6.1: CLEAR ACA", nil, func(w *rawHost) { w.send(ask(pdu.TaskRequest, 0x80|clearACA, nil), nil) }, "function 5, pong"},
		{"11.6.1: TASK REASSIGN", nil, func(w *rawHost) { w.send(ask(pdu.TaskRequest, 0x80|reassign, nil), nil) }, "function 4, pong"},
		{"11.6.1: ABORT TASK of no task", nil, func(w *rawHost) { w.send(ask(pdu.TaskRequest, 0x80|abortTask, nil), nil) }, "function 1, pong"},
		{"11.6.1: LOGICAL UNIT RESET of no unit", nil, func(w *rawHost) {
			w.send(ask(pdu.TaskRequest, 0x80|unitReset, func(h *pdu.Header) { h[9] = 9 }), nil)
		}, "function 2, pong"},
		{"11.7: data of no task", nil, func(w *rawHost) { w.send(ask(pdu.DataOut, 0x80, nil), block) }, "pong"},
		{"7.9: data at the wrong place", []pdu.Pair{{Key: "InitialR2T", Value: "No"}}, func(w *rawHost) {
			w.send(write(2, 9, 0, 1024), nil)
			w.send(ask(pdu.DataOut, 0x80, func(h *pdu.Header) { h.Put32(pdu.OffTTT, pdu.NoTag); h.Put32(pdu.OffBuffer, 512) }), block)
		}, "status 02 0b4705, pong"},
		{"7.9: data with the wrong number", []pdu.Pair{{Key: "InitialR2T", Value: "No"}}, func(w *rawHost) {
			w.send(write(2, 9, 0, 1024), nil)
			w.send(ask(pdu.DataOut, 0x80, func(h *pdu.Header) { h.Put32(pdu.OffTTT, pdu.NoTag); h.Put32(pdu.OffDataSN, 3) }), block)
		}, "status 02 0b4705, pong"},
		{"7.8: damaged immediate data", []pdu.Pair{{Key: "DataDigest", Value: "CRC32C"}}, func(w *rawHost) {
			h := write(2, 9, 0x80, 512)
			p := pdu.Append(nil, &h, block, false, true)
			p[100] ^= 1
			w.nc.Write(p)
		}, "reject 02, status 02 0b4705, pong"},
		{"7.8: a damaged ping", []pdu.Pair{{Key: "DataDigest", Value: "CRC32C"}}, func(w *rawHost) {
			h := ask(0x40|pdu.NopOut, 0x80, nil)
			p := pdu.Append(nil, &h, block, false, true)
			p[100] ^= 1
			w.nc.Write(p)
		}, "reject 02, pong"},
		{"4.3: a command in a discovery session", []pdu.Pair{{Key: "SessionType", Value: "Discovery"}}, func(w *rawHost) { w.send(command(1, 9, 0x80, 0, nil), nil) }, "reject 04, pong"},
		{"SAM-5 4.7: a LUN of an unknown form", nil, func(w *rawHost) {
			h := command(2, 9, 0x80, 0, nil)
			h[8] = 0xC0
			w.send(h, nil)
		}, "status 02 052500, pong"},
		{"11.2.2: a CDB of more than 16 bytes", nil, func(w *rawHost) {
			h := command(2, 9, 0x80, 0, []byte{0x7F, 0, 0, 0, 0, 0, 0, 0x18, 0, 9})
			h[4] = 5
			w.nc.Write(append(h[:], append([]byte{0, 17, 1, 0}, make([]byte, 16)...)...))
		}, "status 02 052000, pong"},
	} {
		t.Run(tt.clause, func(t *testing.T) {
			w := l.raw(t)
			keys := tt.keys
			w.open(keys...)
			tt.send(w)
			if got := w.rest(); got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
		})
	}
	if l.disk.Stores() != 0 {
		t.Errorf("%d writes took effect", l.disk.Stores())
	}
}

// TestBadLogins does the same for logins (RFC 7143 6.3, 11.12 and 11.13.5).
func TestBadLogins(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	text := func(more ...pdu.Pair) []byte { return pdu.AppendText(nil, loginKeys(more...)...) }
	send := func(edit func(*pdu.Header), data []byte) func(*rawHost) {
		return func(w *rawHost) {
			h := loginHeader(1, 3)
			if edit != nil {
				edit(&h)
			}
			w.send(h, data)
		}
	}
	// begin starts a login and leaves it in the operational stage.
	begin := func(w *rawHost) {
		h := loginHeader(1, 3)
		h[1] = 1 << 2
		w.send(h, text(pdu.Pair{Key: "MaxBurstLength", Value: "8192"}))
		if got := w.next(); got != "login 0000" {
			t.Fatal(got)
		}
	}
	for _, tt := range []struct {
		clause string
		send   func(*rawHost)
		want   string
	}{
		{"6.3: anything else before the login", func(w *rawHost) { w.send(command(1, 1, 0x80, 0, nil), nil) }, "end"},
		{"6.3: anything else during the login", func(w *rawHost) { begin(w); w.send(command(1, 1, 0x80, 0, nil), nil) }, "login 020b, end"},
		{"11.12.4: a version that isn't there yet", send(func(h *pdu.Header) { h[2], h[3] = 1, 1 }, text()), "login 0205, end"},
		{"11.12.2: a transit in the middle of a text", send(func(h *pdu.Header) { h[1] |= 0x40 }, text()), "login 0200, end"},
		{"11.12.3: a stage that is reserved", send(func(h *pdu.Header) { h[1] = 0x80 | 2<<2 | 3 }, text()), "login 0200, end"},
		{"11.12.3: a transit to a reserved stage", send(func(h *pdu.Header) { h[1] = 0x80 | 1<<2 | 2 }, text()), "login 0200, end"},
		{"11.12.3: a transit backwards", send(func(h *pdu.Header) { h[1] = 0x80 | 1<<2 }, text()), "login 0200, end"},
		{"11.12.3: another stage than before", func(w *rawHost) { begin(w); send(func(h *pdu.Header) { h[1] = 0x81 }, nil)(w) }, "login 0200, end"},
		{"11.12.5: another ISID than before", func(w *rawHost) { begin(w); send(func(h *pdu.Header) { h[13]++ }, nil)(w) }, "login 0200, end"},
		{"11.12.7: another CID than before", func(w *rawHost) { begin(w); send(func(h *pdu.Header) { h[21]++ }, nil)(w) }, "login 0200, end"},
		{"11.12.6: a session that isn't there", send(func(h *pdu.Header) { h.Put16(14, 77) }, text()), "login 020a, end"},
		{"13.5: no name", send(nil, pdu.AppendText(nil, pdu.Pair{Key: "TargetName", Value: testName})), "login 0207, end"},
		{"4.2.7: no iSCSI name", send(nil, pdu.AppendText(nil, pdu.Pair{Key: "InitiatorName", Value: "me"}, pdu.Pair{Key: "TargetName", Value: testName})), "login 0200, end"},
		{"13.4: no target", send(nil, pdu.AppendText(nil, pdu.Pair{Key: "InitiatorName", Value: hostName})), "login 0207, end"},
		{"13.4: a target that isn't there", send(nil, pdu.AppendText(nil, pdu.Pair{Key: "InitiatorName", Value: hostName}, pdu.Pair{Key: "TargetName", Value: "iqn.x"})), "login 0203, end"},
		{"13.21: a type of session that doesn't exist", send(nil, text(pdu.Pair{Key: "SessionType", Value: "Odd"})), "login 0209, end"},
		{"6.1: no key=value", send(nil, append(text(), "nothing\x00"...)), "login 0200, end"},
		{"6.1: a key of more than 63 bytes", send(nil, text(pdu.Pair{Key: strings.Repeat("k", 64), Value: "1"})), "login 0200, end"},
		{"6.1: a value of more than 8192 bytes", func(w *rawHost) {
			long := text(pdu.Pair{Key: "X", Value: strings.Repeat("v", 8193)})
			h := loginHeader(1, 3)
			h[1] = 0x40 | 1<<2
			w.send(h, long[:8192])
			if got := w.next(); got != "login 0000" {
				t.Fatal(got)
			}
			w.send(loginHeader(1, 3), long[8192:])
		}, "login 0200, end"},
		{"6.3: a key negotiated twice", func(w *rawHost) {
			begin(w)
			send(nil, pdu.AppendText(nil, pdu.Pair{Key: "MaxBurstLength", Value: "4096"}))(w)
		}, "login 0200, end"},
		{"6.3: a key negotiated twice at once", send(nil, text(pdu.Pair{Key: "DataDigest", Value: "None"}, pdu.Pair{Key: "DataDigest", Value: "CRC32C"})), "login 0200, end"},
		{"10: a data segment beyond what a login has", send(nil, bytes.Repeat([]byte("k=v\x00"), 16<<10)), "end"},
	} {
		t.Run(tt.clause, func(t *testing.T) {
			w := l.raw(t)
			tt.send(w)
			got := w.next()
			if got != "end" {
				got += ", " + w.next()
			}
			if got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
		})
	}
}
