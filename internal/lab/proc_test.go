// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStopContKill(t *testing.T) {
	_, a, b, p := pair(t)
	c := dial(t, a, b, "n1")
	c.mustPing(t)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	c.mustFail(t)
	if err := p.Cont(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.in.ReadString('\n'); err != nil {
		t.Fatalf("after SIGCONT: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ping(20 * time.Second); err == nil {
		t.Error("a killed process answers")
	}
	if err := p.Wait(soon(t)); err == nil {
		t.Error("a killed process ended well")
	}
	if err := p.Kill(); err != nil {
		t.Errorf("second Kill: %v", err)
	}
	echo(t, b) // on the same port
	dial(t, a, b, "n1").mustPing(t)
}

func TestPowerOffAndStartAgain(t *testing.T) {
	_, a, b, _ := pair(t)
	b.PowerOff()
	echo(t, b)
	dial(t, a, b, "n2").mustPing(t)
}

func TestRunAndLogs(t *testing.T) {
	l, a, _, p := pair(t)
	out, err := a.Run(soon(t), "sh", "-c", "echo out; echo err >&2; exit 3")
	if err == nil || !strings.Contains(out, "out\n") || !strings.Contains(out, "err\n") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("output %q, error %v", out, err)
	}
	if _, err := a.Start("/nonexistent"); err == nil {
		t.Error("started nothing")
	}
	q, err := a.Start("sh", "-c", "echo one 1; echo two 2; printf last")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := q.Expect(soon(t), `two (\d)`); err != nil || m[1] != "2" {
		t.Errorf("expect: %q %v", m, err)
	}
	if _, err := q.Expect(soon(t), `one`); err == nil {
		t.Error("expected what was before")
	}
	if !strings.HasSuffix(q.Log(), "last") {
		t.Errorf("log %q", q.Log())
	}
	files, _ := filepath.Glob(filepath.Join(l.opt.Dir, "*.log"))
	if len(files) != 3 {
		t.Errorf("log files %v", files)
	}
	if err := p.Terminate(20 * time.Second); err != nil {
		t.Errorf("terminate: %v", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	l, a, _, p := pair(t)
	// A child in the same group, which the process doesn't look after.
	q, err := a.Start("sh", "-c", "sleep 1000 & echo child $!; wait")
	if err != nil {
		t.Fatal(err)
	}
	m, err := q.Expect(soon(t), `child (\d+)`)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	l.Close()
	for _, x := range []*Proc{p, q} {
		select {
		case <-x.Done():
		default:
			t.Errorf("%s still runs", x.name)
		}
	}
	// Killed, though whoever adopted it may not have buried it yet.
	if stat, err := os.ReadFile("/proc/" + m[1] + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("the child still runs: %s", stat)
	}
	if _, err := l.AddNode("late"); !errors.Is(err, ErrClosed) {
		t.Errorf("add to a closed lab: %v", err)
	}
	if _, err := a.Start("true"); !errors.Is(err, ErrClosed) {
		t.Errorf("start in a closed lab: %v", err)
	}
}
