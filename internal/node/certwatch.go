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

// lookAtCertificates tells of those that end soon, or can't be used.
func (n *Node) lookAtCertificates() {
	id, files := n.shownNow()
	own := id.Certificate()
	text := pki.Expiry(own, n.now())
	if text != "" {
		text += ": 'createcert -selfsigned " + serviceArray + "'"
	}
	n.certificate("identity", text, n.now().After(own.NotAfter))
	if files == nil {
		n.certificate(serviceREST, "", false)
		return
	}
	c, err := files.Certificate()
	if err != nil {
		shown := "the array's identity is shown"
		if c != nil {
			shown = "the last one that could, of " + c.Leaf.Subject.String() + ", is shown"
		}
		n.certificate(serviceREST, fmt.Sprintf("the certificate of the REST interface can't be used, %s: %v", shown, err), false)
		return
	}
	end := c.Leaf.NotAfter
	left := end.Sub(n.now())
	text = ""
	switch {
	case left <= 0:
		text = fmt.Sprintf("the certificate of the REST interface, of %s, ended on %s: renew it", c.Leaf.Subject, end.Format(time.DateOnly))
	case left < restWarnBefore:
		text = fmt.Sprintf("the certificate of the REST interface, of %s, ends on %s: renew it", c.Leaf.Subject, end.Format(time.DateOnly))
	}
	n.certificate(serviceREST, text, left <= 0)
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
