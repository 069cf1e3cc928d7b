// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/scsi"
)

// Config describes a target.
type Config struct {
	// Name is the target's iSCSI name.
	Name string
	// Alias is a text for people, optional.
	Alias string
	// Groups are the portal groups; each is a target port.
	Groups []PortalGroup
	// Auth says who may log in and how; nil admits everybody without CHAP.
	Auth Auth
	// Server carries the commands out.
	Server *scsi.Server
	Limits Limits
	Logger *slog.Logger
}

// PortalGroup is a target port: portals that share a target portal group tag.
type PortalGroup struct {
	// Tag is the target portal group tag.
	Tag uint16
	// Relative is the relative target port id, unique over both arrays.
	Relative uint16
	// Listen are the addresses to listen on, host:port.
	Listen []string
	// Allow says who may use them.
	Allow Allowed
	// Guest is the name of the target that these portals are of when this array stands in
	// for the other one, which is gone. Empty: they are of this target.
	Guest string
	// Movable says that the addresses come and go: they are listened on before they are
	// this machine's.
	Movable bool
}

// target returns the name of the target that the portals are of.
func (g *PortalGroup) target(own string) string {
	if g.Guest != "" {
		return g.Guest
	}
	return own
}

// Auth knows the initiators.
type Auth interface {
	// Account returns how the initiator of that name logs in; false refuses it.
	// Discovery asks for a discovery session.
	Account(initiator string, discovery bool) (Account, bool)
}

// Account is how an initiator proves who it is.
type Account struct {
	// CHAP asks for a proof with User and Secret.
	CHAP         bool
	User, Secret string
	// TargetUser and TargetSecret are for the initiator's challenge (mutual CHAP).
	// Without a secret such a challenge is refused.
	TargetUser, TargetSecret string
}

// Limits bound what hosts can make the target hold. Zero fields get defaults.
type Limits struct {
	// Sessions bounds the sessions, Logins the connections that have none yet.
	Sessions, Logins int
	// Commands is the command window of a session.
	Commands int
	// HostSessions, HostConnections and HostCommands bound what one host, known by its
	// initiator name, may have: sessions with commands; connections of any kind;
	// commands under way, over all its sessions, whose windows divide them.
	HostSessions, HostConnections, HostCommands int
	// HostBytes bounds one host's data on their way; 0: by its fair share alone.
	HostBytes int64
	// Login bounds a login as a whole.
	Login time.Duration
	// Quiet is after how long without a word a host is pinged, and Answer how long
	// it has for its answer.
	Quiet, Answer time.Duration
	// Write bounds how long a host may leave a batch of responses unread.
	Write time.Duration
	// Reinstate bounds how long a login waits for the old session's commands.
	Reinstate time.Duration
}

const (
	maxImmediate    = 32   // immediate commands of a connection at a time
	maxManaging     = 32   // task management functions of a connection that are not answered yet
	maxQueued       = 4096 // responses that wait for the writer
	maxSolicited    = 2 << 20
	ourMaxRecv      = 256 << 10
	ourMaxBurst     = 1 << 20
	ourFirstBurst   = 256 << 10
	loginMaxRecv    = 8192
	maxNameLen      = 223
	defaultSessions = 1024
)

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Sessions, defaultSessions)
	def(&l.Logins, 128)
	def(&l.Commands, 128)
	def(&l.HostSessions, 64)
	def(&l.HostConnections, 2*l.HostSessions)
	def(&l.HostCommands, 2048)
	l.HostCommands = max(l.HostCommands, l.HostSessions)
	defTime(&l.Login, 15*time.Second)
	defTime(&l.Quiet, 5*time.Second)
	defTime(&l.Answer, 5*time.Second)
	defTime(&l.Write, 10*time.Second)
	defTime(&l.Reinstate, 10*time.Second)
	return l
}

// check holds a configuration against what the protocol can express.
func (c *Config) check() error {
	if !validName(c.Name) {
		return fmt.Errorf("target name %q is not an iqn., eui. or naa. name", c.Name)
	}
	if len(c.Groups) == 0 || c.Server == nil {
		return errors.New("a target needs a portal group and a server")
	}
	type name struct {
		target string
		tag    uint16
	}
	tags := make(map[name]bool)
	ports := make(map[uint16]bool)
	for _, g := range c.Groups {
		n := name{g.target(c.Name), g.Tag}
		if !validName(n.target) {
			return fmt.Errorf("target name %q is not an iqn., eui. or naa. name", n.target)
		}
		if g.Tag == 0 || tags[n] {
			return fmt.Errorf("portal group tag %d is zero or taken", g.Tag)
		}
		if g.Relative == 0 || ports[g.Relative] {
			return fmt.Errorf("relative target port id %d is zero or taken", g.Relative)
		}
		tags[n], ports[g.Relative] = true, true
	}
	return nil
}

// validName reports whether name can be an iSCSI name.
func validName(name string) bool {
	if len(name) <= 4 || len(name) > maxNameLen {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r == ',' || r == 0x7F {
			return false
		}
	}
	return strings.HasPrefix(name, "iqn.") || strings.HasPrefix(name, "eui.") || strings.HasPrefix(name, "naa.")
}
