// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// The REST interface shows the certificate that the configuration names, else the one that was
// made or imported by command, else the array's identity. Files are read anew when they change,
// and those that can't be used are an alert: people's programs go on with what was shown last.

// shownCertificate is what the REST interface shows.
type shownCertificate struct {
	// change is held by the command that changes it.
	change sync.Mutex
	mu     sync.Mutex
	// own is the array's identity with the newest certificate for its key.
	own *pki.Identity
	// files are nil if nothing but the identity is shown.
	files *pki.Files
}

// certificateDir is where the certificate and the request are that were made by command.
const certificateDir = "wsapi"

func (n *Node) servedFile() string { return filepath.Join(n.cfg.DataDir, certificateDir, "served.pem") }

func (n *Node) requestFile() string {
	return filepath.Join(n.cfg.DataDir, certificateDir, "request.pem")
}

// loadShown finds out what is shown.
func (n *Node) loadShown() {
	n.shown.mu.Lock()
	defer n.shown.mu.Unlock()
	if n.shown.own == nil {
		n.shown.own = n.ident
	}
	w := n.cfg.WSAPI
	switch _, err := os.Stat(n.servedFile()); {
	case w.Certificate != "":
		n.shown.files = pki.NewFiles(w.Certificate, w.Key)
	case errors.Is(err, fs.ErrNotExist):
		n.shown.files = nil
	default:
		n.shown.files = pki.NewFiles(n.servedFile(), n.servedFile())
	}
}

// own is the array's identity with the newest certificate, and what is shown instead of it, if
// anything is.
func (n *Node) shownNow() (own *pki.Identity, files *pki.Files) {
	n.shown.mu.Lock()
	defer n.shown.mu.Unlock()
	return n.shown.own, n.shown.files
}

// ManagementTLS is what the REST interface shows to its clients.
func (n *Node) ManagementTLS() *tls.Config {
	return pki.Public(func() *tls.Certificate {
		own, files := n.shownNow()
		if files != nil {
			if c, _ := files.Certificate(); c != nil { // what is wrong is an alert
				return c
			}
		}
		return own.TLS()
	})
}

// byCommand refuses to change by command what the configuration says.
func (n *Node) byCommand() error {
	if c := n.cfg.WSAPI.Certificate; c != "" {
		return array.Errorf(array.Conflict, "the configuration of array %s names the certificate of its REST interface, wsapi.certificate %s: put another one there, which is shown at once, or take the two lines out and start the daemon again", n.cfg.Name, c)
	}
	return nil
}

// renewIdentity gives the array's key a certificate that starts anew. Those who know the key
// notice nothing; the connections to them show it from the next start on.
func (n *Node) renewIdentity(now time.Time) (*pki.Identity, error) {
	renewed, err := n.ident.Renew(now)
	if err != nil {
		return nil, err
	}
	if err := renewed.Save(filepath.Join(n.cfg.DataDir, "identity")); err != nil {
		return nil, fmt.Errorf("renew the certificate of array %s: %w", n.cfg.Name, err)
	}
	n.shown.mu.Lock()
	n.shown.own = renewed
	n.shown.mu.Unlock()
	return renewed, nil
}
