// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/rig"
)

// TestBadInput makes mistakes that only show once the parts meet. Each is told in
// words that name the object, its value and what would be right; what is not
// concerned goes on. (What one array can see by itself is internal/node's test.)
func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(p *pair)
		// tells are words of one line of status or event log, of array A or of either:
		// which one connects is a matter of the keys.
		array int
		tells []string
	}{
		{
			"a witness with a foreign key", func(p *pair) {
				p.configure(rig.A, p.pin("witness"), pki.Pin{1, 2, 3}.String())
			}, rig.A, []string{"witness", "10.77.3.3:8843", "not reached yet", "unknown key: the other side shows sha256:", "with sha256:010203"},
		},
		{
			"a witness that does not know the array", func(p *pair) {
				p.edit(filepath.Join(p.Dir, "witness", "witness.toml"), p.pin(rig.Name(rig.A)), pki.Pin{1, 2, 3}.String())
			}, rig.A, []string{"witness", "10.77.3.3:8843", "not reached yet", "no client with the key sha256:"},
		},
		{
			"two arrays with one id", func(p *pair) {
				p.configure(rig.B, "system_id = 2", "system_id = 3")
				p.configure(rig.B, "system_id = 1", "system_id = 2")
				p.configure(rig.B, "system_id = 3", "system_id = 1")
			}, rig.A, []string{"both arrays have the system id 1"},
		},
		{
			"an array with another id than expected", func(p *pair) {
				p.configure(rig.B, "system_id = 2", "system_id = 7")
			}, rig.A, []string{"array 7", "where 2 is expected"},
		},
		{
			"a link to itself", func(p *pair) {
				for i, n := range []string{"1", "2"} {
					p.configure(i, `listen = "10.77.1.`+n, `listen = "0.0.0.0`)
					p.configure(i, `listen = "10.77.2.`+n, `listen = "0.0.0.0`)
					p.configure(i, `remote = "10.77.1.`+[]string{"2", "1"}[i], `remote = "10.77.1.`+n)
				}
			}, either, []string{"link1", "10.77.1.", "this array itself answers there: a link leads to the other array"},
		},
		{
			"links that are called otherwise", func(p *pair) {
				p.configure(rig.A, `name = "link1"`, `name = "wan"`)
			}, either, []string{"link", "has no link named", "to array"},
		},
		{
			"a foreign array", func(p *pair) {
				p.configure(rig.A, p.pin(rig.Name(rig.B)), pki.Pin{0xFF, 0xFF, 0xFF}.String())
			}, rig.A, []string{"link", "unknown key: the other side shows sha256:", "with sha256:ffffff"},
		},
		{
			"a foreign array that is to connect", func(p *pair) {
				p.configure(rig.A, p.pin(rig.Name(rig.B)), pki.Pin{0, 0, 1}.String())
				p.configure(rig.B, p.pin(rig.Name(rig.A)), pki.Pin{0, 0, 2}.String())
			}, rig.A, []string{"link1", "down", "array-b, with the key sha256:000001", "is the one to connect"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newRig(t)
			for i := range 2 {
				p.configure(i, "size_mib = 1024", "size_mib = 64")
			}
			c.spoil(p)
			p.must(p.StartWitness())
			ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
			defer cancel()
			p.must(p.StartArray(ctx, rig.A))
			p.must(p.StartArray(ctx, rig.B))
			t.Logf("said: %s", p.say(c.tells, c.array))
		})
	}
}

// either is any of the two arrays.
const either = -1

// say waits until a line of what an array says of itself has all the words.
func (p *pair) say(words []string, array int) (line string) {
	p.t.Helper()
	all := ""
	ctx, cancel := context.WithTimeout(p.t.Context(), setUpIn/4)
	defer cancel()
	err := p.Until(ctx, "words", func() bool {
		now := ""
		for i := range 2 {
			if i == array || array == either {
				now += p.toldBy(ctx, i)
			}
		}
		if now != "" {
			all = now
		}
		line = lineWith(now, words)
		return line != ""
	})
	if err != nil {
		p.t.Errorf("nobody says %q, but\n%s", words, all)
	}
	return line
}

// toldBy returns an array's status and events.
func (p *pair) toldBy(ctx context.Context, i int) (text string) {
	for _, cmd := range []string{"status", "showeventlog"} {
		if out, err := p.Command(ctx, i, cmd); err == nil {
			text += out
		}
	}
	return text
}

// lineWith returns the first line that has all the words.
func lineWith(text string, words []string) string {
	for l := range strings.SplitSeq(text, "\n") {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l, w) }) {
			return l
		}
	}
	return ""
}

// pin returns the key of a part of the rig, as configuration has it.
func (p *pair) pin(name string) string {
	p.t.Helper()
	id, err := pki.Load(filepath.Join(p.Dir, name, "identity"))
	p.must(err)
	return id.Pin().String()
}

// edit replaces a part of a file, which must be there once.
func (p *pair) edit(path, old, by string) {
	p.t.Helper()
	b, err := os.ReadFile(path)
	p.must(err)
	if strings.Count(string(b), old) != 1 {
		p.t.Fatalf("%q is %d times in\n%s", old, strings.Count(string(b), old), b)
	}
	p.must(os.WriteFile(path, []byte(strings.Replace(string(b), old, by, 1)), 0o600))
}
