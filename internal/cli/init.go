// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// Plan says where the parts of a pair live. Init writes everything they need.
type Plan struct {
	// Dir gets one folder for each of the two arrays and the witness.
	Dir string
	// Hosts are the addresses: of each array for iSCSI, for the links, and of the witness.
	ISCSI   [2]string
	Links   [2][]string
	Witness string
	// ByCommand leaves it to commands to make the two arrays a pair, and to name the witness.
	ByCommand bool
	// SSH is where each array offers its command line, REST where its REST interface; empty:
	// nowhere.
	SSH, REST [2]string
}

// Names of the three.
var names = [3]string{"array-a", "array-b", "witness"}

// Init makes keys, and configuration files in which each part pins the others.
func Init(p Plan) error {
	if err := p.check(); err != nil {
		return err
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return err
	}
	for _, name := range names { // all of them before anything is made
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return array.Errorf(array.Exists, "%s exists already: init does not replace keys", filepath.Join(dir, name))
		}
	}
	var pins [3]pki.Pin
	for i, name := range names {
		d := filepath.Join(dir, name, "identity")
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
		id, err := pki.LoadOrCreate(d, name, time.Now())
		if err != nil {
			return fmt.Errorf("make the identity of %s: %w", name, err)
		}
		pins[i] = id.Pin()
	}
	for i := range 2 {
		if err := os.WriteFile(filepath.Join(dir, names[i], "perdured.toml"), []byte(p.arrayConfig(dir, i, pins)), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, names[2], "witness.toml"), []byte(p.witnessConfig(dir, pins)), 0o600)
}

// check finds addresses that can't be meant.
func (p Plan) check() error {
	if len(p.Links[0]) == 0 || len(p.Links[0]) != len(p.Links[1]) {
		return array.Errorf(array.Invalid, "links: want as many addresses for array-a as for array-b, have %d and %d", len(p.Links[0]), len(p.Links[1]))
	}
	seen := map[string]string{}
	for side, name := range names[:2] {
		if err := once(seen, "the iSCSI address of "+name, p.ISCSI[side]); err != nil {
			return err
		}
		for k, a := range p.Links[side] {
			if err := once(seen, fmt.Sprintf("the address of link %d of %s", k+1, name), a); err != nil {
				return err
			}
		}
	}
	for side, name := range names[:2] {
		if err := management(seen, " of "+name, p.SSH[side], p.REST[side]); err != nil {
			return err
		}
	}
	if p.Witness == "" {
		return nil
	}
	return once(seen, "the address of the witness", p.Witness)
}

// management refuses addresses for people and programs that can't be meant. Empty is nowhere.
func management(seen map[string]string, of, ssh, rest string) error {
	for _, a := range []struct{ what, at string }{{"the SSH address", ssh}, {"the REST address", rest}} {
		if a.at == "" {
			continue
		}
		if err := once(seen, a.what+of, a.at); err != nil {
			return err
		}
	}
	return nil
}

// once refuses what is no address, or was given for something else.
func once(seen map[string]string, what, address string) error {
	host, port, err := net.SplitHostPort(address)
	n, e := strconv.ParseUint(port, 10, 16)
	if err != nil || e != nil || n == 0 || host == "" {
		return array.Errorf(array.Invalid, "%s is %q: want host:port, such as 192.0.2.1:3260", what, address)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return nil // all addresses of that machine
	}
	if o, ok := seen[address]; ok {
		return array.Errorf(array.Invalid, "%s is %s, and so is %s: each needs its own", what, address, o)
	}
	seen[address] = what
	return nil
}

func (p Plan) arrayConfig(dir string, i int, pins [3]pki.Pin) string {
	o := 1 - i
	s := arrayAlone(dir, names[i], uint32(i+1), p.ISCSI[i])
	if p.ByCommand {
		s += listensAt(p.Links[i])
	} else {
		s += fmt.Sprintf("\n[target]\nname = %q\nsystem_id = %d\nkey = %q\n", names[o], o+1, pins[o].String())
	}
	for k := range p.Links[i] {
		if p.ByCommand {
			break
		}
		s += fmt.Sprintf(`
[[target.link]]
name = "link%d"
listen = %q
remote = %q
`, k+1, p.Links[i][k], p.Links[o][k])
	}
	s += managedAt(p.SSH[i], p.REST[i])
	if p.Witness != "" && !p.ByCommand {
		s += fmt.Sprintf("\n[witness]\naddress = %q\nkey = %q\n", p.Witness, pins[2].String())
	}
	return s
}
