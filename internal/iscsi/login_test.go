// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"testing"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

// accounts is an Auth of one known initiator.
type accounts map[string]Account

func (a accounts) Account(name string, _ bool) (Account, bool) {
	acc, ok := a[name]
	return acc, ok
}

func wantStatus(t *testing.T, err error, want loginStatus) {
	t.Helper()
	var e *initiator.LoginError
	if !errors.As(err, &e) || loginStatus(e.Status) != want {
		t.Errorf("login: %v, want status %04x", err, uint16(want))
	}
}

func TestCHAP(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) {
		c.Auth = accounts{
			hostName:   {CHAP: true, User: "user", Secret: "a secret of length", TargetUser: "array", TargetSecret: "another one, mutual"},
			"iqn.open": {},
		}
	})
	if c, err := l.dial(func(c *initiator.Config) { c.User, c.Secret = "user", "a secret of length" }); err != nil {
		t.Error("one-way CHAP:", err)
	} else if r := c.Do(initiator.Command{CDB: make([]byte, 6)}); r.Err != nil {
		t.Error(r.Err)
	}
	if _, err := l.dial(func(c *initiator.Config) {
		c.User, c.Secret, c.TargetSecret = "user", "a secret of length", "another one, mutual"
	}); err != nil {
		t.Error("mutual CHAP:", err)
	}
	if _, err := l.dial(func(c *initiator.Config) {
		c.User, c.Secret, c.TargetSecret = "user", "a secret of length", "not the target's"
	}); err == nil {
		t.Error("a target with the wrong secret was believed")
	}
	_, err := l.dial(func(c *initiator.Config) { c.User, c.Secret = "user", "wrong" })
	wantStatus(t, err, statusAuth)
	_, err = l.dial(func(c *initiator.Config) { c.User, c.Secret = "other", "a secret of length" })
	wantStatus(t, err, statusAuth)
	_, err = l.dial(nil)
	wantStatus(t, err, statusAuth)
	_, err = l.dial(func(c *initiator.Config) { c.Name = "iqn.stranger" })
	wantStatus(t, err, statusDenied)
	if _, err = l.dial(func(c *initiator.Config) { c.Name = "iqn.open" }); err != nil {
		t.Error("an initiator that needs no CHAP:", err)
	}
}

func TestRefusedLogins(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.Sessions = 2 })
	_, err := l.dial(func(c *initiator.Config) { c.Target = "iqn.no.such:target" })
	wantStatus(t, err, statusNotFound)
	_, err = l.dial(func(c *initiator.Config) { c.Name = "a name" })
	wantStatus(t, err, statusInitiator)
	l.host(isid(1))
	l.host(isid(2))
	_, err = l.dial(isid(3))
	wantStatus(t, err, statusOutOfResource)
	// In place of a session there is room.
	l.host(isid(2))
}

func TestNegotiation(t *testing.T) {
	for _, tt := range []struct{ key, offer, want string }{
		{"HeaderDigest", "None,CRC32C", "None"},
		{"HeaderDigest", "CRC32C,None", "CRC32C"},
		{"DataDigest", "MD5", "Reject"},
		{"MaxConnections", "8", "1"},
		{"MaxConnections", "0", "Reject"},
		{"InitialR2T", "Yes", "Yes"},
		{"InitialR2T", "No", "No"},
		{"InitialR2T", "no", "Reject"},
		{"MaxBurstLength", "16776192", "1048576"},
		{"MaxBurstLength", "8192", "8192"},
		{"MaxBurstLength", "1", "Reject"},
		{"FirstBurstLength", "0x100000", "262144"},
		{"MaxRecvDataSegmentLength", "262144", ""},
		{"MaxRecvDataSegmentLength", "-1", "Reject"},
		{"ErrorRecoveryLevel", "2", "0"},
		{"DefaultTime2Wait", "2", "2"},
		{"DefaultTime2Retain", "20", "0"},
		{"DataPDUInOrder", "No", "Yes"},
		{"MaxOutstandingR2T", "16", "1"},
		{"iSCSIProtocolLevel", "2", "1"},
		{"TaskReporting", "FastAbort,RFC3720", "RFC3720"},
		{"X-com.example.key", "1", "NotUnderstood"},
	} {
		p := defaultParams()
		if got := p.answer(tt.key, tt.offer, false); got != tt.want {
			t.Errorf("%s=%s answered %q, want %q", tt.key, tt.offer, got, tt.want)
		}
	}
	p := defaultParams()
	p.answer("MaxBurstLength", "4096", false)
	p.settle()
	if p.firstBurst != 4096 {
		t.Errorf("first burst %d beyond a burst of %d", p.firstBurst, p.maxBurst)
	}
	if got := p.answer("MaxBurstLength", "4096", true); got != irrelevant {
		t.Errorf("in a discovery session: %q", got)
	}
}
