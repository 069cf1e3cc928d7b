// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// chapHash returns the hash that an algorithm number stands for.
func chapHash(algorithm string) (func() hash.Hash, bool) {
	switch algorithm {
	case "5":
		return md5.New, true
	case "6":
		return sha1.New, true
	case "7":
		return sha256.New, true
	case "8":
		return func() hash.Hash { return sha3.New256() }, true
	}
	return nil, false
}

// chap is the target's side of a CHAP exchange (RFC 7143 12.1.3).
type chap struct {
	account   Account
	hash      func() hash.Hash
	id        byte
	challenge []byte
	done      bool
}

// challengeFor answers CHAP_A with a choice, an identifier and a challenge. The
// strongest algorithm of the list is taken: its order is a habit, not a wish.
func (c *chap) challengeFor(list string) ([]pdu.Pair, error) {
	chosen := ""
	for _, a := range strings.Split(list, ",") {
		if h, ok := chapHash(a); ok && (chosen == "" || a > chosen) {
			c.hash, chosen = h, a
		}
	}
	if chosen == "" {
		return nil, errors.New("none of the CHAP algorithms is supported")
	}
	random := make([]byte, 1+32)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("draw a challenge: %w", err)
	}
	c.id, c.challenge = random[0], random[1:]
	return []pdu.Pair{
		{Key: "CHAP_A", Value: chosen},
		{Key: "CHAP_I", Value: fmt.Sprint(c.id)},
		{Key: "CHAP_C", Value: "0x" + hex.EncodeToString(c.challenge)},
	}, nil
}

// verify checks CHAP_N and CHAP_R, and answers the initiator's own challenge.
func (c *chap) verify(pairs []pdu.Pair) ([]pdu.Pair, error) {
	if c.hash == nil {
		return nil, errors.New("a CHAP response before its challenge")
	}
	name, _ := pdu.Find(pairs, "CHAP_N")
	text, _ := pdu.Find(pairs, "CHAP_R")
	response, ok := binaryValue(text)
	want := c.respond(c.id, c.account.Secret, c.challenge)
	// Both comparisons always run: a wrong name takes as long as a wrong secret.
	sameName := subtle.ConstantTimeCompare([]byte(name), []byte(c.account.User))
	same := subtle.ConstantTimeCompare(response, want)
	if !ok || sameName&same != 1 || c.account.Secret == "" {
		return nil, errors.New("the CHAP name or response is wrong")
	}
	c.done = true
	idText, asked := pdu.Find(pairs, "CHAP_I")
	if !asked {
		return nil, nil
	}
	id, ok := number(idText, 0, 255)
	text, _ = pdu.Find(pairs, "CHAP_C")
	challenge, ok2 := binaryValue(text)
	switch {
	case !ok || !ok2 || len(challenge) == 0 || len(challenge) > 1024:
		return nil, errors.New("the initiator's challenge can't be read")
	case c.account.TargetSecret == "":
		return nil, errors.New("mutual CHAP is asked for and the initiator has no target secret")
	case subtle.ConstantTimeCompare(challenge, c.challenge) == 1:
		return nil, errors.New("our own challenge came back") // a reflection attack
	}
	answer := c.respond(byte(id), c.account.TargetSecret, challenge)
	return []pdu.Pair{
		{Key: "CHAP_N", Value: c.account.TargetUser},
		{Key: "CHAP_R", Value: "0x" + hex.EncodeToString(answer)},
	}, nil
}

func (c *chap) respond(id byte, secret string, challenge []byte) []byte {
	h := c.hash()
	h.Write([]byte{id})
	h.Write([]byte(secret))
	h.Write(challenge)
	return h.Sum(nil)
}

// binaryValue reads a binary value, hexadecimal or base64.
func binaryValue(s string) ([]byte, bool) {
	if len(s) < 2 || s[0] != '0' {
		return nil, false
	}
	body := s[2:]
	var b []byte
	var err error
	switch s[1] {
	case 'x', 'X':
		if len(body)%2 != 0 {
			body = "0" + body
		}
		b, err = hex.DecodeString(body)
	case 'b', 'B':
		b, err = base64.StdEncoding.DecodeString(body)
	default:
		return nil, false
	}
	return b, err == nil
}
