// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/priority"
	"github.com/perdure/perdure/internal/witness"
)

// command runs a command line that must end with the code.
func command(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := execute(t.Context(), args, &out, &out); code != want {
		t.Fatalf("perdure-witness %s: exit %d, want %d\n%s", strings.Join(args, " "), code, want, &out)
	}
	return out.String()
}

func TestConfigurationErrors(t *testing.T) {
	key := pki.Pin{1}.String()
	for name, c := range map[string]struct{ text, want string }{
		"no state":      {"", "state"},
		"unknown":       {"state='x'\nlisten_on='y'\n[[array]]\nkeys='z'", "unknown settings: listen_on: want array, listen, nice, registers_per_pair or state; array.keys: in array want key or name"},
		"syntax":        {"state='x'\nlisten=\n", "line 2"},
		"bad key":       {"state='x'\n[[array]]\nname='a'\nkey='sha256:12'", "64 hexadecimal digits"},
		"no key":        {"state='x'\n[[array]]\nname='a'", "a name and a key"},
		"same name":     {"state='x'\n[[array]]\nname='a'\nkey='" + key + "'\n[[array]]\nname='a'\nkey='" + key + "'", "two are named"},
		"same key":      {"state='x'\n[[array]]\nname='a'\nkey='" + key + "'\n[[array]]\nname='b'\nkey='" + key + "'", "have the same key"},
		"bad address":   {"state='x'\nlisten=['8843']", "host:port"},
		"nice":          {"state='x'\nnice=5", "nice: 5, want -20 to -1"},
		"limit":         {"state='x'\nregisters_per_pair=-1", "registers_per_pair"},
		"missing state": {"state='/nonexistent/x'", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "w.toml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				if out := command(t, 1, "run", "-c", path); !strings.Contains(out, "perdure-witness init") {
					t.Errorf("run without a key: %s", out)
				}
				return
			}
			if out := command(t, 1, "check", "-c", path); !strings.Contains(out, c.want) {
				t.Errorf("said %q, want %q in it", out, c.want)
			}
		})
	}
}

// TestNice is the arrays' unless the file says another.
func TestNice(t *testing.T) {
	for text, want := range map[string]int{"state='x'": priority.Daemons, "state='x'\nnice=-5": -5, "state='x'\nnice=0": 0} {
		path := filepath.Join(t.TempDir(), "w.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := loadConfig(path); err != nil || c.Nice != want {
			t.Errorf("%q: %+v, %v; want %d", text, c, err, want)
		}
	}
}

func TestInitKeepsWhatExists(t *testing.T) {
	dir := t.TempDir()
	conf, state := filepath.Join(dir, "etc", "w.toml"), filepath.Join(dir, "state")
	first := command(t, 0, "init", "-c", conf, "--state", state)
	again := command(t, 0, "init", "-c", conf, "--state", state)
	key := strings.TrimSpace(command(t, 0, "key", "-c", conf))
	if !strings.Contains(first, key) || !strings.Contains(again, key) {
		t.Errorf("keys differ:\n%s%s%s", first, again, key)
	}
	if out := command(t, 0, "renew", "-c", conf); !strings.Contains(out, key) {
		t.Errorf("renew: %s", out)
	}
	command(t, 0, "check", "-c", conf)
	command(t, 2, "nonsense")
	command(t, 0, "--help")
}

// TestRun starts the daemon, serves an array, learns of a second one by SIGHUP,
// and stops.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	conf, state := filepath.Join(dir, "w.toml"), filepath.Join(dir, "state")
	command(t, 0, "init", "-c", conf, "--state", state, "--listen", "127.0.0.1:0")
	a, b := newIdentity(t), newIdentity(t)
	appendArray(t, conf, "alpha", a.Pin())

	ctx, cancel := context.WithCancel(t.Context())
	logs, w := io.Pipe()
	exit := make(chan int, 1)
	go func() { exit <- execute(ctx, []string{"run", "-c", conf}, w, w); w.Close() }()
	lines := bufio.NewScanner(logs)
	addr := waitFor(t, lines, `msg=listening address=(\S+)`)
	waitFor(t, lines, `witness started`)

	own, err := pki.Load(state)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(id *pki.Identity) error {
		c := witness.NewClient(witness.ClientConfig{Address: addr, Identity: id, Witness: own.Pin(), Timeout: 10 * time.Second})
		defer c.Close()
		_, err := c.Status(t.Context())
		return err
	}
	if err := ask(a); err != nil {
		t.Errorf("alpha: %v", err)
	}
	if err := ask(b); err == nil {
		t.Error("beta is served before it was added")
	}
	appendArray(t, conf, "beta", b.Pin())
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, lines, `arrays taken over`)
	if err := ask(b); err != nil {
		t.Errorf("beta: %v", err)
	}
	cancel()
	waitFor(t, lines, `witness stopped`)
	if code := <-exit; code != 0 {
		t.Errorf("exit %d", code)
	}
}

func newIdentity(t *testing.T) *pki.Identity {
	t.Helper()
	id, err := pki.Create("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func appendArray(t *testing.T, path, name string, key pki.Pin) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "\n[[array]]\nname = %q\nkey = %q\n", name, key)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// waitFor reads log lines up to one that matches, and returns its first group.
func waitFor(t *testing.T, lines *bufio.Scanner, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for lines.Scan() {
		if m := re.FindStringSubmatch(lines.Text()); m != nil {
			return m[len(m)-1]
		}
	}
	t.Fatalf("the log ended before %q", pattern)
	return ""
}
