// SPDX-License-Identifier: Apache-2.0

package initiator

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// LoginError is a login response with a status.
type LoginError struct{ Status uint16 }

func (e *LoginError) Error() string { return fmt.Sprintf("login failed with status %04x", e.Status) }

// sha256CHAP is the number of the one CHAP algorithm offered.
const sha256CHAP = "7"

// login runs the login phase.
func (c *Conn) login() error {
	if err := c.nc.SetDeadline(time.Now().Add(c.cfg.Login)); err != nil {
		return err
	}
	who := []pdu.Pair{{Key: "InitiatorName", Value: c.cfg.Name}, {Key: "SessionType", Value: "Normal"}}
	if c.cfg.Target == "" {
		who[1].Value = "Discovery"
	} else {
		who = append(who, pdu.Pair{Key: "TargetName", Value: c.cfg.Target})
	}
	if c.cfg.Secret != "" {
		if err := c.chap(who); err != nil {
			return err
		}
		who = nil
	}
	offer := map[string]string{
		"MaxRecvDataSegmentLength": strconv.Itoa(maxRecv), "InitialR2T": "No", "ImmediateData": "Yes",
		"HeaderDigest": "None", "DataDigest": "None", "MaxBurstLength": "1048576", "FirstBurstLength": "262144",
	}
	for k, v := range c.cfg.Keys {
		offer[k] = v
	}
	for k, v := range offer {
		who = append(who, pdu.Pair{Key: k, Value: v})
	}
	const toFull = 0x80 | 1<<2 | 3
	h, pairs, err := c.exchange(toFull, who)
	if err != nil {
		return err
	}
	if h[1] != toFull {
		return fmt.Errorf("login answered with flags %#x", h[1])
	}
	for _, p := range pairs {
		c.Keys[p.Key] = p.Value
	}
	c.TSIH = h.U16(14)
	c.in.HeaderDigest, c.in.DataDigest = c.Keys["HeaderDigest"] == "CRC32C", c.Keys["DataDigest"] == "CRC32C"
	return c.nc.SetDeadline(time.Time{})
}

// exchange sends a login request and returns the response.
func (c *Conn) exchange(flags byte, pairs []pdu.Pair) (h pdu.Header, answer []pdu.Pair, err error) {
	h = pdu.Make(0x40|pdu.LoginReq, flags)
	copy(h[8:14], c.cfg.ISID[:])
	h.Put32(pdu.OffITT, 1)
	h.Put32(pdu.OffCmdSN, c.cmdSN)
	if err := c.send(&h, pdu.AppendText(nil, pairs...)); err != nil {
		return h, nil, err
	}
	if err := c.in.Next(&h); err != nil {
		return h, nil, fmt.Errorf("wait for a login response: %w", err)
	}
	data := make([]byte, h.DataLen())
	if err := c.in.Data(data); err != nil {
		return h, nil, err
	}
	if status := h.U16(36); status != 0 {
		return h, nil, &LoginError{status}
	}
	c.statSN = h.U32(pdu.OffStatSN) + 1
	c.maxCmdSN = h.U32(pdu.OffMaxCmd)
	answer, err = pdu.ParseText(data)
	return h, answer, err
}

// chap runs the security stage.
func (c *Conn) chap(who []pdu.Pair) error {
	if _, _, err := c.exchange(0, append(who, pdu.Pair{Key: "AuthMethod", Value: "CHAP"})); err != nil {
		return err
	}
	_, pairs, err := c.exchange(0, []pdu.Pair{{Key: "CHAP_A", Value: sha256CHAP}})
	if err != nil {
		return err
	}
	idText, _ := pdu.Find(pairs, "CHAP_I")
	id, _ := strconv.Atoi(idText)
	challengeText, _ := pdu.Find(pairs, "CHAP_C")
	challenge, err := unhex(challengeText)
	if err != nil {
		return err
	}
	proof := []pdu.Pair{
		{Key: "CHAP_N", Value: c.cfg.User},
		{Key: "CHAP_R", Value: "0x" + hex.EncodeToString(digest(byte(id), c.cfg.Secret, challenge))},
	}
	own := make([]byte, 16)
	if c.cfg.TargetSecret != "" {
		if _, err := rand.Read(own); err != nil {
			return err
		}
		proof = append(proof, pdu.Pair{Key: "CHAP_I", Value: "9"}, pdu.Pair{Key: "CHAP_C", Value: "0x" + hex.EncodeToString(own)})
	}
	_, pairs, err = c.exchange(0x80|1, proof)
	if err != nil || c.cfg.TargetSecret == "" {
		return err
	}
	text, _ := pdu.Find(pairs, "CHAP_R")
	answer, err := unhex(text)
	if err != nil || string(answer) != string(digest(9, c.cfg.TargetSecret, own)) {
		return errors.New("the target failed to prove itself")
	}
	return nil
}

func digest(id byte, secret string, challenge []byte) []byte {
	sum := sha256.Sum256(append(append([]byte{id}, secret...), challenge...))
	return sum[:]
}

func unhex(s string) ([]byte, error) {
	if len(s) < 2 {
		return nil, fmt.Errorf("%q is not hexadecimal", s)
	}
	return hex.DecodeString(s[2:])
}
