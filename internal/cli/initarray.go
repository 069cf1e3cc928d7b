// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// Single says where an array lives that others are told of by commands, such as one that takes
// periodic copies.
type Single struct {
	// Dir gets a folder of the array's name.
	Dir, Name string
	System    array.SystemID
	ISCSI     string
	Links     []string
	// SSH is where it offers its command line, REST where its REST interface; empty: nowhere.
	SSH, REST string
}

// arrayName is what an array may be called: it is a part of its iSCSI name.
var arrayName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,30}$`)

// InitArray makes the array's key, and its configuration file. It returns the key.
func InitArray(s Single) (pki.Pin, error) {
	if err := s.check(); err != nil {
		return pki.Pin{}, err
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return pki.Pin{}, err
	}
	home := filepath.Join(dir, s.Name)
	if _, err := os.Stat(home); err == nil {
		return pki.Pin{}, array.Errorf(array.Exists, "%s exists already: init-array does not replace keys", home)
	}
	d := filepath.Join(home, "identity")
	if err := os.MkdirAll(d, 0o700); err != nil {
		return pki.Pin{}, err
	}
	id, err := pki.LoadOrCreate(d, s.Name, time.Now())
	if err != nil {
		return pki.Pin{}, fmt.Errorf("make the identity of %s: %w", s.Name, err)
	}
	text := arrayAlone(dir, s.Name, uint32(s.System), s.ISCSI) + listensAt(s.Links) + managedAt(s.SSH, s.REST)
	return id.Pin(), os.WriteFile(filepath.Join(home, "perdured.toml"), []byte(text), 0o600)
}

func (s Single) check() error {
	switch {
	case !arrayName.MatchString(s.Name):
		return array.Errorf(array.Invalid, "the name %q: want up to 31 small letters, digits, dots and hyphens, as in an iSCSI name", s.Name)
	case s.System == 0:
		return array.Errorf(array.Invalid, "system_id 0: want a number that no other array has, such as 3")
	case len(s.Links) == 0:
		return array.Errorf(array.Invalid, "links: want at least one address at which other arrays find this one")
	}
	seen := map[string]string{}
	if err := once(seen, "the iSCSI address", s.ISCSI); err != nil {
		return err
	}
	for k, a := range s.Links {
		if err := once(seen, fmt.Sprintf("the address of link %d", k+1), a); err != nil {
			return err
		}
	}
	return management(seen, "", s.SSH, s.REST)
}

// arrayAlone is the part of a configuration that has nothing to do with other arrays.
func arrayAlone(dir, name string, system uint32, iscsi string) string {
	return fmt.Sprintf(`name = %q
system_id = %d
data_dir = %q

[iscsi]
name = "iqn.2026-01.io.perdure:%s"
portals = [%q]

[journal]
size_mib = 1024
`, name, system, filepath.Join(dir, name), name, iscsi)
}

// listensAt is the part of those that are made known to each other by command.
func listensAt(links []string) string {
	return "\n[links]\nlisten = [\"" + strings.Join(links, "\", \"") + "\"]\n"
}

// managedAt is the part about where people and programs find the array.
func managedAt(ssh, rest string) (text string) {
	if ssh != "" {
		text += fmt.Sprintf("\n[ssh]\nlisten = [%q]\n", ssh)
	}
	if rest != "" {
		text += fmt.Sprintf("\n[wsapi]\nlisten = [%q]\n", rest)
	}
	return text
}
