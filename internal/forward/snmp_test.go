// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/lab"
)

// file is one with a line.
func file(t *testing.T, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort is a UDP port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func testEngine() Engine {
	return Engine{ID: EngineID([8]byte{1, 2, 3, 4, 5, 6, 7, 8}), Boots: 7, Up: func() time.Duration { return 90 * time.Second }}
}

// version3 is a user with both passwords.
func version3(t *testing.T) SNMP {
	return SNMP{User: "perdure", Auth: "SHA-256", AuthPassword: file(t, "auth-password"), Privacy: "AES", PrivacyPassword: file(t, "priv-password")}
}

// listen receives traps and informs with the library's listener, and answers as it does.
func listen(t *testing.T, kind string, v3 bool) (to string, got chan *gosnmp.SnmpPacket) {
	t.Helper()
	l := gosnmp.NewTrapListener()
	l.Params = &gosnmp.GoSNMP{Version: gosnmp.Version2c, Community: "wide-open", MaxOids: 60}
	if v3 {
		u := &gosnmp.UsmSecurityParameters{
			UserName: "perdure", AuthenticationProtocol: gosnmp.SHA256, AuthenticationPassphrase: "auth-password",
			PrivacyProtocol: gosnmp.AES, PrivacyPassphrase: "priv-password", AuthoritativeEngineID: EngineID([8]byte{9, 9}), AuthoritativeEngineBoots: 1,
		}
		if kind == "trap" {
			u.AuthoritativeEngineID = testEngine().ID
		}
		l.Params.Version, l.Params.SecurityModel, l.Params.MsgFlags, l.Params.SecurityParameters = gosnmp.Version3, gosnmp.UserSecurityModel, gosnmp.AuthPriv, u
	}
	got = make(chan *gosnmp.SnmpPacket, 10)
	l.OnNewTrap = func(p *gosnmp.SnmpPacket, _ *net.UDPAddr) { got <- p }
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	ended := make(chan error, 1)
	go func() { ended <- l.Listen(address) }()
	select {
	case <-l.Listening():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return "snmp+" + kind + "://" + address, got
}

// TestTraps of both versions, acknowledged or not, say what an event says.
func TestTraps(t *testing.T) {
	for _, v3 := range []bool{false, true} {
		for _, kind := range []string{"trap", "inform"} {
			t.Run(fmt.Sprint(kind, map[bool]string{true: "3", false: "2c"}[v3]), func(t *testing.T) {
				to, got := listen(t, kind, v3)
				r := Receiver{To: to, Array: "array-a", Engine: testEngine(), SNMP: SNMP{Community: file(t, "wide-open")}}
				if v3 {
					r.SNMP = version3(t)
				}
				l := newLog(100)
				run(t, l, r, event.Minor)
				l.add(event.Informational, "not this one")
				l.add(event.Major, "the disk failed")
				var p *gosnmp.SnmpPacket
				select {
				case p = <-got:
				case <-time.After(20 * time.Second):
					t.Fatal("nothing came")
				}
				said := map[string]string{}
				for _, v := range p.Variables {
					if b, is := v.Value.([]byte); is {
						v.Value = string(b)
					}
					said[strings.TrimPrefix(v.Name, ".")] = fmt.Sprint(v.Value)
				}
				for oid, want := range map[string]string{
					oidUpTime: "9000", oidTrap: "." + oidNotice + "3", oidObject + "1.0": "array-a", oidObject + "2.0": "2",
					oidObject + "3.0": "2023-11-14T22:13:20.123456Z", oidObject + "4.0": "3", oidObject + "5.0": "the disk failed", oidObject + "6.0": "0", oidObject + "7.0": "0",
				} {
					if said[oid] != want {
						t.Errorf("%s is %q, want %q", oid, said[oid], want)
					}
				}
				if u, is := p.SecurityParameters.(*gosnmp.UsmSecurityParameters); v3 && kind == "trap" && (!is || u.AuthoritativeEngineID != testEngine().ID || u.AuthoritativeEngineBoots != 7 || u.AuthoritativeEngineTime != 90) {
					t.Errorf("it comes from %v", p.SecurityParameters)
				}
			})
		}
	}
}

// TestAlertsAsTraps have notifications of their own, and no text that a datagram can't hold.
func TestAlertsAsTraps(t *testing.T) {
	s := &snmp{array: "a", engine: testEngine()}
	v := s.variables(event.Numbered{ID: 4, Event: event.Event{Severity: event.Minor, Text: strings.Repeat("\u00e4", maxTrapText), Alert: 12, Mark: event.Ended}})
	text := v[6].Value.(string)
	if v[1].Value != oidNotice+"5" || v[7].Value != uint64(12) || v[8].Value != 2 || len(text) > maxTrapText || strings.ContainsRune(text, 0xfffd) {
		t.Errorf("%v", v)
	}
}

// TestAnInformWithoutAnAnswer is sent again when there is one.
func TestAnInformWithoutAnAnswer(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := newLog(10)
	told := run(t, l, Receiver{To: "snmp+inform://" + c.LocalAddr().String(), Array: "a", Engine: testEngine(), SNMP: SNMP{Community: file(t, "c")}}, event.Minor)
	l.add(event.Major, "heard")
	told.take(t, "can't be forwarded to snmp+inform://")
	go func() { // ends with the socket
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			p, err := (&gosnmp.GoSNMP{Version: gosnmp.Version2c}).UnmarshalTrap(b[:n], false)
			if err != nil {
				t.Error(err)
				return
			}
			p.PDUType = gosnmp.GetResponse
			answer, err := p.MarshalMsg()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = c.WriteTo(answer, from)
		}
	}()
	told.take(t, "are forwarded to snmp+inform://"+c.LocalAddr().String()+" again")
}

// TestTrapsThatCannotBeMeant.
func TestTrapsThatCannotBeMeant(t *testing.T) {
	for _, c := range []struct {
		r    Receiver
		want string
	}{
		{Receiver{To: "snmp+trap://192.0.2.1:162"}, "want community, a file, for version 2c, or user"},
		{Receiver{To: "snmp+trap://192.0.2.1", SNMP: SNMP{Community: "c"}}, "want syslog"},
		{Receiver{To: "snmp://192.0.2.1:162", SNMP: SNMP{Community: "c"}}, "are for snmp+trap and snmp+inform"},
		{Receiver{To: "syslog+udp://192.0.2.1:514", SNMP: SNMP{User: "u"}}, "are for snmp+trap and snmp+inform"},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{Community: "c", User: "u"}}, "want one of them"},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{User: "u"}}, `auth "": want SHA, `},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{User: "u", Auth: "MD5", AuthPassword: "p"}}, `auth "MD5": want SHA, `},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{User: "u", Auth: "SHA"}}, "user u: want auth_password, a file"},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{User: "u", Auth: "SHA", AuthPassword: "p", Privacy: "DES", PrivacyPassword: "p"}}, `privacy "DES": want AES`},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{User: "u", Auth: "SHA", AuthPassword: "p", Privacy: "AES"}}, "want privacy and privacy_password"},
		{Receiver{To: "snmp+trap://192.0.2.1:162", CA: "c", SNMP: SNMP{Community: "c"}}, "certificates are for"},
	} {
		if err := c.r.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.r, err, c.want)
		}
	}
	for _, c := range []struct {
		r    Receiver
		want string
	}{
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{Community: "/nowhere"}}, "/nowhere"},
		{Receiver{To: "snmp+trap://192.0.2.1:http", SNMP: SNMP{Community: file(t, "c")}}, "http"},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{Community: file(t, "")}}, "has nothing in its first line"},
		{Receiver{To: "snmp+trap://192.0.2.1:162", SNMP: SNMP{User: "u", Auth: "SHA", AuthPassword: file(t, "short")}}, "has 5 characters: SNMP wants 8 at least"},
	} {
		if _, err := New(c.r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.r, err, c.want)
		}
	}
}

// roots is what every receiver has of SNMPv2-SMI; Debian leaves that out for its license.
const roots = `SNMPv2-SMI DEFINITIONS ::= BEGIN
org OBJECT IDENTIFIER ::= { iso 3 }
dod OBJECT IDENTIFIER ::= { org 6 }
internet OBJECT IDENTIFIER ::= { dod 1 }
private OBJECT IDENTIFIER ::= { internet 4 }
enterprises OBJECT IDENTIFIER ::= { private 1 }
END
`

// TestSnmptrapd takes what is sent, in both versions, and names all of it by our MIB.
func TestSnmptrapd(t *testing.T) {
	daemon := lab.Need(t, "snmptrapd")
	mibs := t.TempDir()
	mib, err := os.ReadFile("../../docs/PERDURE-MIB.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"PERDURE-MIB.txt": string(mib), "SNMPv2-SMI.txt": roots} {
		if err := os.WriteFile(filepath.Join(mibs, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"trap", "inform"} {
		for _, v3 := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, map[bool]string{true: "3", false: "2c"}[v3]), func(t *testing.T) {
				port, state := freePort(t), t.TempDir()
				engine := ""
				if kind == "trap" {
					engine = fmt.Sprintf("-e 0x%x ", testEngine().ID)
				}
				conf := filepath.Join(state, "snmptrapd.conf")
				if err := os.WriteFile(conf, fmt.Appendf(nil, "authCommunity log wide-open\ncreateUser %sperdure SHA-256 auth-password AES priv-password\nauthUser log perdure priv\n", engine), 0o600); err != nil {
					t.Fatal(err)
				}
				c := exec.CommandContext(t.Context(), daemon, "-f", "-n", "-Le", "-C", "-c", conf, "-M", mibs, "-m", "PERDURE-MIB", "-OQ", "-F", "%v\n", fmt.Sprintf("udp:127.0.0.1:%d", port))
				c.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+state)
				out, err := c.StderrPipe() // its standard output comes when a buffer is full
				if err != nil {
					t.Fatal(err)
				}
				var wrong []string
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				lines := make(chan string, 100)
				go func() {
					for s := bufio.NewScanner(out); s.Scan(); {
						lines <- s.Text()
					}
					close(lines)
				}()
				defer func() {
					_ = c.Process.Kill()
					for range lines {
					}
					_ = c.Wait()
				}()
				next := func(text string) string {
					t.Helper()
					for {
						select {
						case line, ok := <-lines:
							if !ok {
								t.Fatalf("snmptrapd ended before %q: %q", text, wrong)
							}
							if strings.Contains(line, text) {
								return line
							}
							if wrong = append(wrong, line); strings.Contains(line, mibs) && !strings.Contains(line, "search path") {
								t.Errorf("of the MIB: %s", line)
							}
						case <-time.After(20 * time.Second):
							t.Fatalf("no %q: %q", text, wrong)
						}
					}
				}
				next("NET-SNMP version")
				r := Receiver{To: fmt.Sprintf("snmp+%s://127.0.0.1:%d", kind, port), Array: "array-a", Engine: testEngine(), SNMP: SNMP{Community: file(t, "wide-open")}}
				if v3 {
					r.SNMP = version3(t)
				}
				l := newLog(10)
				told := run(t, l, r, event.Minor)
				l.add(event.Major, "the disk failed")
				line := next("the disk failed")
				for _, want := range []string{
					"PERDURE-MIB::perdureMajor", "PERDURE-MIB::perdureArray.0 = \"array-a\"", "PERDURE-MIB::perdureEventId.0 = 1",
					"PERDURE-MIB::perdureEventSeverity.0 = major", "PERDURE-MIB::perdureAlertMark.0 = none",
				} {
					if !strings.Contains(line, want) {
						t.Errorf("%q lacks %q", line, want)
					}
				}
				select {
				case text := <-told:
					t.Error(text)
				default:
				}
			})
		}
	}
}
