// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/perdure/perdure/internal/pair"
)

// ListenFailed says which key of the configuration is to blame if an address can't be
// listened on, and what to do. Other errors stay as they are.
func ListenFailed(key string, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "listen" {
		return err
	}
	remedy := "want host:port with an address of this machine"
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "no interface of this machine has the address: 'ip address' lists those that there are"
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "something else listens there already, perhaps another perdured: 'ss -ltnp' shows what"
	case errors.Is(err, syscall.EACCES):
		remedy = "a port below 1024 takes root, or the capability CAP_NET_BIND_SERVICE"
	}
	return fmt.Errorf("%s of the configuration: %w; %s", key, err, remedy)
}

// noIdentity says what to do about a key that can't be read.
func noIdentity(err error, dir string) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w; the array's key and certificate, key.pem and cert.pem, belong in %s: copy them from the folder that 'perdure init' made for this array, or from a backup. "+
		"'perdure init' makes new ones, which the other array's target.key and the witness must then name", err, dir)
}

// misnamed says that the other array has another name than this one's configuration gives
// it, if it has.
func (n *Node) misnamed(p *pair.Pair) string {
	s := p.System()
	if s.Name == "" || s.Name == n.to().Name {
		return ""
	}
	return fmt.Sprintf("the other array calls itself %s, and the configuration of this one (target.name) calls it %s: make them the same, or commands that name it will not find it", s.Name, n.to().Name)
}
