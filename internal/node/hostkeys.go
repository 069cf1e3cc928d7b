// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/hostkey"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

// The keys by which SSH clients know this array are changed in two steps, so that clients which keep
// a list of hosts learn the new ones before they are needed.

func hostKeyCommands() []command {
	return []command{
		{name: "createsshhostkey", right: people.Users, free: always, usage: "createsshhostkey [-f]", about: "makes SSH host keys for this array that are to come: clients that log in learn them, if they are so minded; those of now stay until setsshhostkey", run: createSSHHostKey},
		{name: "setsshhostkey", right: people.Users, free: always, usage: "setsshhostkey [-f] -next", about: "puts the SSH host keys to come in the place of this array's, which are gone", run: setSSHHostKey},
		{name: "removesshhostkey", right: people.Users, free: always, usage: "removesshhostkey [-f] -next", about: "gives up the SSH host keys to come", run: removeSSHHostKey},
		{name: "showsshhostkey", right: people.Look, usage: "showsshhostkey [-public]", about: "lists this array's SSH host keys, and those to come; -public: whole, as files of known hosts have them", run: showSSHHostKey},
	}
}

// KnowHostKeys tells the array which keys its SSH service has.
func (n *Node) KnowHostKeys(k *hostkey.Keys) { n.hostKeys.Store(k) }

func (n *Node) keysOfSSH(cmd string) (*hostkey.Keys, error) {
	k := n.hostKeys.Load()
	if k == nil {
		return nil, array.Errorf(array.NotFound, "%s: array %s has no SSH host keys: 'ssh.listen' in its file says where it listens", cmd, n.cfg.Name)
	}
	return k, nil
}

// keysToCome are parsed for commands that want some.
func (n *Node) keysToCome(a *args) (*hostkey.Keys, error) {
	next := a.flags.Bool("next", false, "")
	if err := a.parse(0, 0); err != nil {
		return nil, err
	}
	if !*next {
		return nil, array.Errorf(array.Invalid, "%s: want -next", a.cmd.name)
	}
	k, err := n.keysOfSSH(a.cmd.name)
	if err == nil && len(k.Next()) == 0 {
		err = array.Errorf(array.NotFound, "%s: array %s has no SSH host keys to come: 'createsshhostkey' makes them", a.cmd.name, n.cfg.Name)
	}
	return k, err
}

func createSSHHostKey(n *Node, _ context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(0, 0); err != nil {
		return err
	}
	k, err := n.keysOfSSH(a.cmd.name)
	if err != nil {
		return err
	}
	if len(k.Next()) > 0 {
		if err := sure("createsshhostkey replaces keys to come that clients may have learnt"); err != nil {
			return err
		}
	}
	if err := k.Prepare(); err != nil {
		return err
	}
	a.table(hostKeyTable(k, func(s hostkey.Shown) bool { return s.Next }))
	return nil
}

func setSSHHostKey(n *Node, _ context.Context, a *args) error {
	sure := a.confirmation()
	k, err := n.keysToCome(a)
	if err != nil {
		return err
	}
	if err := sure("setsshhostkey lets clients that have not learnt the new keys take array %s for another one", n.cfg.Name); err != nil {
		return err
	}
	was := hostKeysText(k)
	err = k.Turn()
	if now := hostKeysText(k); now != was { // of two, one may have been changed
		n.event(fmt.Sprintf("array %s has other SSH host keys: %s", n.cfg.Name, now))
	}
	return err
}

// hostKeysText is the keys of now.
func hostKeysText(k *hostkey.Keys) string {
	var all []string
	for _, s := range k.Show() {
		if !s.Next {
			all = append(all, s.Type+" "+s.Fingerprint)
		}
	}
	return strings.Join(all, ", ")
}

func removeSSHHostKey(n *Node, _ context.Context, a *args) error {
	sure := a.confirmation()
	k, err := n.keysToCome(a)
	if err != nil {
		return err
	}
	if err := sure("removesshhostkey gives up keys that clients may have learnt"); err != nil {
		return err
	}
	return k.Drop()
}

func showSSHHostKey(n *Node, _ context.Context, a *args) error {
	public := a.flags.Bool("public", false, "")
	if err := a.parse(0, 0); err != nil {
		return err
	}
	k, err := n.keysOfSSH(a.cmd.name)
	if err != nil {
		return err
	}
	if !*public {
		a.table(hostKeyTable(k, func(hostkey.Shown) bool { return true }))
		return nil
	}
	for _, s := range k.Show() {
		a.printf("%s\n", s.Public)
	}
	return nil
}

func hostKeyTable(k *hostkey.Keys, want func(hostkey.Shown) bool) *table.Table {
	t := table.New("Type", "Fingerprint", "Status")
	for _, s := range k.Show() {
		status := "current"
		if s.Next {
			status = "next"
		}
		if want(s) {
			t.Row(s.Type, s.Fingerprint, status)
		}
	}
	return t
}
