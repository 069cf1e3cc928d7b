// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gosnmp/gosnmp"

	"github.com/perdure/perdure/internal/event"
)

// The objects of docs/PERDURE-MIB.txt. They are below what Net-SNMP keeps free for those who
// have no number of their own.
const (
	oidUpTime  = "1.3.6.1.2.1.1.3.0"
	oidTrap    = "1.3.6.1.6.3.1.1.4.1.0"
	oidPerdure = "1.3.6.1.4.1.8072.9999.9999.5785"
	oidNotice  = oidPerdure + ".0."
	oidObject  = oidPerdure + ".1."
)

const (
	// maxTrapText keeps a trap in a datagram that is not taken apart.
	maxTrapText = 1024
	// informTries are made within informWithin each: a datagram may be lost.
	informTries  = 3
	informWithin = time.Second
	// maxWhy bounds what is told of a receiver's answer.
	maxWhy = 200
)

// Engine is the array as a sender of SNMP version 3: an id that no other engine has, how
// often it was started, and for how long it has been up.
type Engine struct {
	ID    string
	Boots uint32
	Up    func() time.Duration
}

// EngineID makes an engine's id of a number that nobody else has.
func EngineID(unique [8]byte) string {
	return "\x80\x00\x1f\x88\x05" + string(unique[:]) // RFC 3411 5: Net-SNMP's number, octets of our own
}

// snmp sends traps, or informs, which a receiver acknowledges.
type snmp struct {
	host   string
	port   uint16
	inform bool
	array  string
	engine Engine
	// community is that of version 2c; empty: version 3 with user.
	community string
	user      *gosnmp.UsmSecurityParameters
}

// numbers of the severities and of an alert's marks in the MIB.
func trapSeverity(s event.Severity) int {
	return map[event.Severity]int{event.Major: 3, event.Minor: 2, event.Informational: 1}[s]
}

func trapMark(m event.Mark) int { return map[event.Mark]int{event.Began: 1, event.Ended: 2}[m] }

// variables are what a notification says of an event.
func (s *snmp) variables(e event.Numbered) []gosnmp.SnmpPDU {
	severity := max(1, trapSeverity(e.Severity))
	kind := severity
	if e.Mark != "" {
		kind = 3 + trapMark(e.Mark)
	}
	text := e.Text
	for len(text) > maxTrapText {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	octets := func(object int, v string) gosnmp.SnmpPDU {
		return gosnmp.SnmpPDU{Name: oidObject + strconv.Itoa(object) + ".0", Type: gosnmp.OctetString, Value: v}
	}
	number := func(object, v int) gosnmp.SnmpPDU {
		return gosnmp.SnmpPDU{Name: oidObject + strconv.Itoa(object) + ".0", Type: gosnmp.Integer, Value: v}
	}
	wide := func(object int, v uint64) gosnmp.SnmpPDU {
		return gosnmp.SnmpPDU{Name: oidObject + strconv.Itoa(object) + ".0", Type: gosnmp.Counter64, Value: v}
	}
	up := uint32(s.engine.Up() / (10 * time.Millisecond)) // wraps after 497 days, as TimeTicks do
	return []gosnmp.SnmpPDU{
		{Name: oidUpTime, Type: gosnmp.TimeTicks, Value: up},
		{Name: oidTrap, Type: gosnmp.ObjectIdentifier, Value: oidNotice + strconv.Itoa(kind)},
		octets(1, s.array),
		wide(2, e.ID),
		octets(3, e.At.UTC().Format(time.RFC3339Nano)),
		number(4, severity),
		octets(5, text),
		wide(6, uint64(e.Alert)),
		number(7, trapMark(e.Mark)),
	}
}

func (s *snmp) send(ctx context.Context, events []event.Numbered) error {
	x := &gosnmp.GoSNMP{
		Target: s.host, Port: s.port, Transport: "udp", Context: ctx, MaxOids: gosnmp.MaxOids,
		Version: gosnmp.Version2c, Community: s.community, Timeout: informWithin, Retries: informTries - 1,
	}
	if s.user != nil {
		u := s.user.Copy().(*gosnmp.UsmSecurityParameters)
		x.Version, x.SecurityModel, x.SecurityParameters, x.MsgFlags = gosnmp.Version3, gosnmp.UserSecurityModel, u, gosnmp.AuthNoPriv
		if u.PrivacyProtocol > gosnmp.NoPriv {
			x.MsgFlags = gosnmp.AuthPriv
		}
		if !s.inform { // of a trap the sender's clock counts, of an inform the receiver's
			u.AuthoritativeEngineID, u.AuthoritativeEngineBoots = s.engine.ID, s.engine.Boots
			u.AuthoritativeEngineTime = uint32(s.engine.Up() / time.Second)
			x.ContextEngineID = s.engine.ID
		}
	}
	if err := x.Connect(); err != nil {
		return brief(err)
	}
	defer func() { _ = x.Close() }()
	for _, e := range events {
		a, err := x.SendTrap(gosnmp.SnmpTrap{Variables: s.variables(e), IsInform: s.inform})
		switch {
		case err != nil:
			return brief(err)
		case s.inform && a.PDUType == gosnmp.Report && s.user != nil:
			return fmt.Errorf("it refuses user %s: it reports %s", s.user.UserName, reported(a))
		case s.inform && a.PDUType != gosnmp.GetResponse: // whatever it is, it comes from a stranger
			return fmt.Errorf("it answers with a PDU of type %#x instead of a response", byte(a.PDUType))
		case s.inform && a.Error != gosnmp.NoError:
			return fmt.Errorf("it answers %v", a.Error)
		}
	}
	return nil
}

// reported names the counter of a report.
func reported(p *gosnmp.SnmpPacket) string {
	if len(p.Variables) == 0 {
		return "nothing"
	}
	return p.Variables[0].Name
}

// brief bounds what a stranger's answer may add to an event.
func brief(err error) error {
	if text := err.Error(); len(text) > maxWhy {
		return errors.New(strings.ToValidUTF8(text[:maxWhy], "") + " [more]")
	}
	return err
}

func (s *snmp) close() {}

// SNMP is how a receiver of traps or informs knows the array.
type SNMP struct {
	// Community is a file with that of version 2c.
	Community string
	// User is that of version 3. Auth is SHA, SHA-224, SHA-256, SHA-384 or SHA-512, Privacy
	// empty or AES, AES-192 or AES-256; the passwords are files.
	User                     string
	Auth, AuthPassword       string
	Privacy, PrivacyPassword string
}

func authentications() map[string]gosnmp.SnmpV3AuthProtocol {
	return map[string]gosnmp.SnmpV3AuthProtocol{
		"SHA": gosnmp.SHA, "SHA-224": gosnmp.SHA224, "SHA-256": gosnmp.SHA256, "SHA-384": gosnmp.SHA384, "SHA-512": gosnmp.SHA512,
	}
}

func privacies() map[string]gosnmp.SnmpV3PrivProtocol {
	return map[string]gosnmp.SnmpV3PrivProtocol{"": gosnmp.NoPriv, "AES": gosnmp.AES, "AES-192": gosnmp.AES192, "AES-256": gosnmp.AES256}
}

// check says what is missing or too much, without looking at files.
func (s SNMP) check() error {
	_, auth := authentications()[s.Auth]
	_, privacy := privacies()[s.Privacy]
	switch {
	case s.Community == "" && s.User == "":
		return fmt.Errorf("want community, a file, for version 2c, or user with auth and auth_password for version 3")
	case s.Community != "" && s != (SNMP{Community: s.Community}):
		return fmt.Errorf("community is for version 2c, and user for version 3: want one of them")
	case s.Community != "":
		return nil
	case len(s.User) > 32:
		return fmt.Errorf("user %.40q has %d characters: want 32 at most", s.User, len(s.User))
	case !auth:
		return fmt.Errorf("auth %.20q: want SHA, SHA-224, SHA-256, SHA-384 or SHA-512", s.Auth)
	case s.AuthPassword == "":
		return fmt.Errorf("user %s: want auth_password, a file", s.User)
	case !privacy:
		return fmt.Errorf("privacy %.20q: want AES, AES-192 or AES-256, or none", s.Privacy)
	case (s.Privacy == "") != (s.PrivacyPassword == ""):
		return fmt.Errorf("user %s: want privacy and privacy_password, a file, or neither", s.User)
	}
	return nil
}

// newSNMP reads the files.
func newSNMP(r Receiver, address string, inform bool) (*snmp, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("port %.20q: want 1 to 65535, mostly 162", service)
	}
	s := &snmp{host: host, port: uint16(port), inform: inform, array: r.Array, engine: r.Engine}
	if r.SNMP.Community != "" {
		s.community, err = readLine(r.SNMP.Community)
		return s, err
	}
	u := &gosnmp.UsmSecurityParameters{UserName: r.SNMP.User, AuthenticationProtocol: authentications()[r.SNMP.Auth], PrivacyProtocol: privacies()[r.SNMP.Privacy]}
	for _, p := range []struct {
		file string
		to   *string
	}{{r.SNMP.AuthPassword, &u.AuthenticationPassphrase}, {r.SNMP.PrivacyPassword, &u.PrivacyPassphrase}} {
		if p.file == "" {
			continue
		}
		if *p.to, err = readLine(p.file); err != nil {
			return nil, err
		}
		if len(*p.to) < 8 { // RFC 3414 11.2
			return nil, fmt.Errorf("the password in %s has %d characters: SNMP wants 8 at least", p.file, len(*p.to))
		}
	}
	s.user = u
	return s, nil
}
