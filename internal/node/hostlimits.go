// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/perdure/perdure/internal/iscsi"
)

// limits are what the target and each host may have.
func (c *ISCSI) limits() iscsi.Limits {
	return iscsi.Limits{
		Sessions: c.Sessions, Logins: c.Logins,
		HostSessions: c.HostSessions, HostConnections: c.HostConnections, HostCommands: c.HostCommands,
		HostBytes: c.HostBuffersMiB << 20,
	}
}

// checkISCSI finds limits and lists of the front end that can't be meant.
func (c *Config) checkISCSI() error {
	i := &c.ISCSI
	for _, n := range []struct {
		key       string
		value, to int
	}{
		{"iscsi.sessions", i.Sessions, 65535},
		{"iscsi.logins", i.Logins, 65535},
		{"iscsi.host_sessions", i.HostSessions, 65535},
		{"iscsi.host_connections", i.HostConnections, 65535},
		{"iscsi.host_commands", i.HostCommands, 1 << 20},
	} {
		if n.value < 0 || n.value > n.to {
			return bad(n.key, n.value, "want a number from 1 to %d, or 0 for the default", n.to)
		}
	}
	switch {
	case i.HostCommands > 0 && i.HostCommands < i.HostSessions:
		return bad("iscsi.host_commands", i.HostCommands, "want at least iscsi.host_sessions, %d: a session has a command at least", i.HostSessions)
	case i.HostConnections > 0 && i.HostConnections < i.HostSessions:
		return bad("iscsi.host_connections", i.HostConnections, "want at least iscsi.host_sessions, %d", i.HostSessions)
	case i.HostBuffersMiB < 0 || i.HostBuffersMiB > maxMiB:
		return bad("iscsi.host_buffers_mib", i.HostBuffersMiB, "want a number of MiB from 1 to %d, or 0 for the fair share alone", maxMiB)
	}
	for portal, list := range i.Allow {
		if _, err := iscsi.ParseAllowed(list); err != nil || len(list) == 0 || len(list) > 1024 {
			return bad("iscsi.allow", list, "want 1 to 1024 addresses, networks or initiator names for %s", portal)
		}
	}
	return nil
}
