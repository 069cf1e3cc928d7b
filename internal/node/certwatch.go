// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/pki"
)

// restWarnBefore is how long before its end the REST interface's certificate is reported:
// those that are renewed by themselves every few weeks should be by then.
const restWarnBefore = 14 * 24 * time.Hour

// lookAtCertificates tells of those that end soon.
func (n *Node) lookAtCertificates() {
	own := n.ident.Certificate()
	n.certificate("identity", pki.Expiry(own, n.now()), n.now().After(own.NotAfter))
	path := n.cfg.WSAPI.Certificate
	if path == "" {
		return
	}
	c, err := pki.FirstCertificate(path)
	if err != nil {
		n.certificate("wsapi", fmt.Sprintf("the certificate of the REST interface can't be read: %v", err), false)
		return
	}
	text, left := "", c.NotAfter.Sub(n.now())
	switch {
	case left <= 0:
		text = fmt.Sprintf("the certificate of the REST interface, %s, ended on %s: renew it, and start the daemon again", path, c.NotAfter.Format(time.DateOnly))
	case left < restWarnBefore:
		text = fmt.Sprintf("the certificate of the REST interface, %s, ends on %s: renew it, and start the daemon again", path, c.NotAfter.Format(time.DateOnly))
	}
	n.certificate("wsapi", text, left <= 0)
}

// certificate tells of one, if there is something to tell.
func (n *Node) certificate(name, text string, ended bool) {
	c, severity := event.Condition{Kind: kindCertificate, Object: name}, event.Minor
	if text == "" {
		n.over(c, "the certificate was renewed: "+name)
		return
	}
	if ended {
		severity = event.Major
	}
	n.raise(c, severity, text)
}
