// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// TestBadCHAP: whoever can't prove who he is gets status 0201 and nothing else (RFC 7143
// 12.1.3 and 11.13.5).
func TestBadCHAP(t *testing.T) {
	const secret = "a secret of length"
	l := newLab(t, 1<<20, func(c *Config) {
		c.Auth = accounts{hostName: {CHAP: true, User: "user", Secret: secret, TargetUser: "array", TargetSecret: "another one, mutual"}}
	})
	pair := func(k, v string) pdu.Pair { return pdu.Pair{Key: k, Value: v} }
	// begin asks for a challenge and returns what the target said.
	begin := func(t *testing.T, w *rawHost) []pdu.Pair {
		h := loginHeader(0, 1)
		h[1] = 0
		w.send(h, pdu.AppendText(nil, loginKeys(pair("AuthMethod", "CHAP"))...))
		if got := w.next(); got != "login 0000" {
			t.Fatal(got)
		}
		w.send(h, pdu.AppendText(nil, pair("CHAP_A", "7")))
		var r pdu.Header
		if err := w.in.Next(&r); err != nil {
			t.Fatal(err)
		}
		data := make([]byte, r.DataLen())
		if err := w.in.Data(data); err != nil {
			t.Fatal(err)
		}
		pairs, err := pdu.ParseText(data)
		if err != nil {
			t.Fatal(err)
		}
		return pairs
	}
	proof := func(t *testing.T, with string, said []pdu.Pair) string {
		id, _ := pdu.Find(said, "CHAP_I")
		text, _ := pdu.Find(said, "CHAP_C")
		n, ok := number(id, 0, 255)
		challenge, ok2 := binaryValue(text)
		if !ok || !ok2 {
			t.Fatalf("challenge %v", said)
		}
		c := chap{}
		c.hash, _ = chapHash("7")
		return "0x" + hex.EncodeToString(c.respond(byte(n), with, challenge))
	}
	for _, tt := range []struct {
		what string
		send func(t *testing.T, w *rawHost)
		want string
	}{
		{"no security stage", func(_ *testing.T, w *rawHost) { w.send(loginHeader(1, 3), pdu.AppendText(nil, loginKeys()...)) }, "login 0201, end"},
		{"AuthMethod None", func(_ *testing.T, w *rawHost) {
			w.send(loginHeader(0, 1), pdu.AppendText(nil, loginKeys(pair("AuthMethod", "None"))...))
		}, "login 0201, end"},
		{"no algorithm that there is", func(_ *testing.T, w *rawHost) {
			w.send(loginHeader(0, 1), pdu.AppendText(nil, loginKeys(pair("AuthMethod", "CHAP"), pair("CHAP_A", "1,99"))...))
		}, "login 0201, end"},
		{"an answer before the challenge", func(_ *testing.T, w *rawHost) {
			w.send(loginHeader(0, 1), pdu.AppendText(nil, loginKeys(pair("CHAP_N", "user"), pair("CHAP_R", "0x00"))...))
		}, "login 0201, end"},
		{"the wrong secret", func(t *testing.T, w *rawHost) {
			r := proof(t, "not the secret", begin(t, w))
			w.send(loginHeader(0, 1), pdu.AppendText(nil, pair("CHAP_N", "user"), pair("CHAP_R", r)))
		}, "login 0201, end"},
		{"the wrong name", func(t *testing.T, w *rawHost) {
			r := proof(t, secret, begin(t, w))
			w.send(loginHeader(0, 1), pdu.AppendText(nil, pair("CHAP_N", "other"), pair("CHAP_R", r)))
		}, "login 0201, end"},
		{"an answer that is no number", func(t *testing.T, w *rawHost) {
			begin(t, w)
			w.send(loginHeader(0, 1), pdu.AppendText(nil, pair("CHAP_N", "user"), pair("CHAP_R", "0xgg")))
		}, "login 0201, end"},
		{"our own challenge", func(t *testing.T, w *rawHost) {
			said := begin(t, w)
			own, _ := pdu.Find(said, "CHAP_C")
			w.send(loginHeader(0, 1), pdu.AppendText(nil, pair("CHAP_N", "user"), pair("CHAP_R", proof(t, secret, said)), pair("CHAP_I", "1"), pair("CHAP_C", own)))
		}, "login 0201, end"},
		{"a challenge of more than 1024 bytes", func(t *testing.T, w *rawHost) {
			r := proof(t, secret, begin(t, w))
			w.send(loginHeader(0, 1), pdu.AppendText(nil, pair("CHAP_N", "user"), pair("CHAP_R", r), pair("CHAP_I", "1"), pair("CHAP_C", "0x"+strings.Repeat("ab", 1025))))
		}, "login 0201, end"},
		{"the right secret", func(t *testing.T, w *rawHost) {
			r := proof(t, secret, begin(t, w))
			w.send(loginHeader(0, 1), pdu.AppendText(nil, pair("CHAP_N", "user"), pair("CHAP_R", r)))
			if got := w.next(); got != "login 0000" {
				t.Fatal(got)
			}
			w.send(loginHeader(1, 3), nil)
			if got := w.next(); got != "login 0000" {
				t.Fatal(got)
			}
		}, "pong"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			w := l.raw(t)
			tt.send(t, w)
			var got string
			if tt.want == "pong" {
				got = w.rest()
			} else {
				got = w.next() + ", " + w.next()
			}
			if got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
		})
	}
}
