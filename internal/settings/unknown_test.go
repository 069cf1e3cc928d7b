// SPDX-License-Identifier: Apache-2.0

package settings

import "testing"

type pin [4]byte

type link struct {
	Name   string `toml:"name"`
	Remote string `toml:"remote"`
	Port   int    `toml:"-"`
}

type file struct {
	State string `toml:"state"`
	Room  *int64 `toml:"room"`
	Peer  struct {
		Key   pin    `toml:"key"`
		Links []link `toml:"link"`
	} `toml:"peer"`
	Test func() `toml:"-"`
}

// TestUnknown names the keys of the section, and none that a file can't have.
func TestUnknown(t *testing.T) {
	for want, key := range map[string][]string{
		"stat: want peer, room or state":                   {"stat"},
		"ram.size: want peer, room or state":               {"ram", "size"},
		"peer.keys: in peer want key or link":              {"peer", "keys"},
		"peer.link.port: in peer.link want name or remote": {"peer", "link", "port"},
		"state.x: want peer, room or state":                {"state", "x"},
		"peer.key.x: in peer want key or link":             {"peer", "key", "x"},
	} {
		if got := Unknown(file{}, key); got != want {
			t.Errorf("%v: %q, want %q", key, got, want)
		}
	}
}
