// SPDX-License-Identifier: Apache-2.0

package iscsi

import "fmt"

// loginStatus is class and detail of a login response (RFC 7143 11.13.5).
type loginStatus uint16

const (
	statusInitiator     loginStatus = 0x0200
	statusAuth          loginStatus = 0x0201
	statusDenied        loginStatus = 0x0202
	statusNotFound      loginStatus = 0x0203
	statusVersion       loginStatus = 0x0205
	statusConnections   loginStatus = 0x0206
	statusMissing       loginStatus = 0x0207
	statusSessionType   loginStatus = 0x0209
	statusNoSession     loginStatus = 0x020A
	statusInvalid       loginStatus = 0x020B
	statusTargetError   loginStatus = 0x0300
	statusUnavailable   loginStatus = 0x0301
	statusOutOfResource loginStatus = 0x0302
)

// loginError ends a login with a status.
type loginError struct {
	status loginStatus
	text   string
}

func (e *loginError) Error() string {
	return fmt.Sprintf("login refused with status %04x: %s", uint16(e.status), e.text)
}

func refuse(s loginStatus, format string, args ...any) error {
	return &loginError{s, fmt.Sprintf(format, args...)}
}
