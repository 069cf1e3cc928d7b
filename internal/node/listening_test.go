// SPDX-License-Identifier: Apache-2.0

package node

import (
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/pki"
)

// TestWhatKeepsAnArrayFromStarting names the key of the configuration, and what to do.
func TestWhatKeepsAnArrayFromStarting(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := openArrays(t, 1, nil)[0].cfg
	for name, c := range map[string]struct {
		change func(*Config)
		tells  []string
	}{
		"a portal that is not this machine's": {func(c *Config) { c.ISCSI.Portals = []string{"192.0.2.77:3260"} }, []string{"iscsi.portals", "192.0.2.77:3260", "ip address"}},
		"a portal that is taken":              {func(c *Config) { c.ISCSI.Portals = []string{taken.Addr().String()} }, []string{"iscsi.portals", taken.Addr().String(), "ss -ltnp"}},
		"a link's address that is taken": {func(c *Config) {
			c.Target = Target{Name: "array-b", SystemID: 2, Key: pki.Pin{1}, Links: []Link{{Name: "1", Listen: taken.Addr().String(), Remote: "127.0.0.1:1"}}}
		}, []string{"[[target.link]] listen", taken.Addr().String(), "ss -ltnp"}},
		"no key": {func(c *Config) { _ = os.Remove(filepath.Join(c.DataDir, "identity", "key.pem")) }, []string{"key.pem", "perdure init", "identity"}},
	} {
		cfg := good
		cfg.DataDir = t.TempDir()
		cfg.CPGs = []CPG{{Name: "cpg0", Dir: filepath.Join(cfg.DataDir, "cpg0"), LimitGiB: 1}}
		if err := os.CopyFS(filepath.Join(cfg.DataDir, "identity"), os.DirFS(filepath.Join(good.DataDir, "identity"))); err != nil {
			t.Fatal(err)
		}
		c.change(&cfg)
		n, err := Open(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err == nil {
			n.Close()
			t.Errorf("%s: it starts", name)
			continue
		}
		for _, want := range c.tells {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q", name, err, want)
			}
		}
	}
}

// TestAnotherName: an array that calls itself other than this one's configuration does is
// told of once.
func TestAnotherName(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	if text := a.misnamed(a.other()); text != "" {
		t.Fatal(text)
	}
	b.Close()
	b.cfg.Name = "array-x"
	b.open()
	a.until("the event", func() bool {
		count := 0
		for _, e := range a.Events() {
			if strings.Contains(e.Text, "calls itself array-x") && strings.Contains(e.Text, "target.name") {
				count++
			}
		}
		return count == 1
	})
}
