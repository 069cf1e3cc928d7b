// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/vfs"
)

// TestDevicesInTheConfiguration: what can't be meant of a device is told with the key,
// the path and what would be right.
func TestDevicesInTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, size := range map[string]int64{"j": 64 << 20, "p": 64 << 20, "q": 3 << 30, "small": 64<<20 - 1} {
		f, err := os.Create(at(name))
		ok(t, err)
		ok(t, f.Truncate(size))
		ok(t, f.Close())
	}
	ok(t, os.Symlink("p", at("link")))
	ok(t, os.Link(at("j"), at("hard")))
	ok(t, os.Mkdir(at("in"), 0o700))
	ok(t, os.Link(at("q"), filepath.Join(at("in"), "pages")))
	with := func(journal, first, second string) string {
		text := strings.ReplaceAll(goodConfig, "size_mib = 1024", journal)
		text = strings.ReplaceAll(text, "limit_gib = 10", first)
		return strings.ReplaceAll(text, "limit_gib = 20", second)
	}
	device := func(name string) string { return `device = "` + at(name) + `"` }
	ok(t, load(t, with(device("j"), device("p"), device("q")+"\nlimit_gib = 5")))
	ok(t, load(t, with(device("j")+"\nsize_mib = 64", device("link"), "limit_gib = 5")))
	const none = "limit_gib = 1"
	for _, c := range []struct {
		what, text string
		tells      []string
	}{
		{"one device twice", with(device("j"), device("p"), device("p")), []string{"cpg.device", at("p"), "CPG cpg0 is there already", "CPG cpg1"}},
		{"through a symbolic link", with(device("j"), device("p"), device("link")), []string{at("link"), "CPG cpg0 is there already"}},
		{"through another name", with(device("j"), device("hard"), none), []string{at("hard"), "the journal is there already"}},
		{
			"the pages of a CPG in a directory", strings.ReplaceAll(with(device("q"), none, none), `dir = "/srv/a/cpg0"`, `dir = "`+at("in")+`"`),
			[]string{"journal.device", at("q"), "CPG cpg0 is there already"},
		},
		{"a device that is missing", with(device("missing"), none, none), []string{"journal.device", at("missing"), "it is not there", "truncate"}},
		{"a relative path", with(device("j"), `device = "p"`, none), []string{"cpg.device", `"p"`, "from / on"}},
		{"a directory", with(device("j"), device("in"), none), []string{"cpg.device", at("in"), "neither a block device nor a plain file"}},
		{"a character device", with(`device = "/dev/zero"`, none, none), []string{"journal.device", "/dev/zero", "neither a block device nor a plain file"}},
		{"a small device", with(device("j"), device("small"), none), []string{"cpg.device", at("small"), "at least 67108864"}},
		{"a journal larger than its device", with(device("j")+"\nsize_mib = 65", none, none), []string{"journal.size_mib", "65", "has 64 MiB"}},
		{"a small journal on a device", with(device("j")+"\nsize_mib = 63", none, none), []string{"journal.size_mib", "63", "64"}},
		{"a negative limit", with(device("j"), device("p")+"\nlimit_gib = -1", none), []string{"cpg.limit_gib", "-1"}},
		{"a directory without a limit", with(device("j"), device("p"), ""), []string{"cpg.limit_gib", "cpg1"}},
	} {
		err := load(t, c.text)
		if err == nil {
			t.Errorf("%s is accepted", c.what)
			continue
		}
		for _, word := range c.tells {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v\n\tdoes not tell %q", c.what, err, word)
			}
		}
	}
}

// TestJournalInTwoPlaces: a device is not taken while the directory still has a journal.
func TestJournalInTwoPlaces(t *testing.T) {
	dir := t.TempDir()
	c := Config{DataDir: dir, Journal: Journal{Device: filepath.Join(dir, "dev")}}
	ok(t, c.noJournalLeft())
	ok(t, os.Mkdir(filepath.Join(dir, "journal"), 0o700))
	ok(t, c.noJournalLeft())
	ok(t, os.WriteFile(filepath.Join(dir, "journal", "format"), nil, 0o600))
	if err := c.noJournalLeft(); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "journal")) {
		t.Fatal(err)
	}
}

// TestJournalOnDeviceFits: whatever the size that is asked for, no more is used than
// there is.
func TestJournalOnDeviceFits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "dev")
	ok(t, os.WriteFile(path, nil, 0o600))
	for _, x := range []struct{ device, asked, want int64 }{
		{64 << 20, 0, 64<<20 - vfs.Overhead},
		{64 << 20, 64, 64<<20 - vfs.Overhead},
		{3 << 30, 0, 1 << 30},
		{3 << 30, 2048, 2 << 30},
	} {
		ok(t, os.Truncate(path, x.device))
		c := Config{DataDir: dir, Journal: Journal{Device: path, SizeMiB: x.asked}}
		_, device, limit, err := c.journalFiles(0)
		ok(t, err)
		ok(t, device.Close())
		if limit != x.want {
			t.Errorf("%+v: limit %d", x, limit)
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
