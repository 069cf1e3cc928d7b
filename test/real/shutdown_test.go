// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/rig"
)

// TestAShutdownRefusesBeforeItLeaves: a host's commands to an array that shuts down in good
// order are refused, which sends the host to the other array at once, before its session
// ends. Linux holds the commands of a session that ended for seconds.
func TestAShutdownRefusesBeforeItLeaves(t *testing.T) {
	for _, policies := range []string{"", "active_active"} {
		t.Run("policies "+policies, func(t *testing.T) {
			p := newSmall(t, 1, "64m")
			if policies != "" {
				p.command(rig.A, "setrcopygroup", "pol", policies, group)
			}
			l := &late{pair: p, t: t}
			c := l.dial(rig.A, 1)
			l.must(p.Array(rig.A).Signal(unix.SIGTERM))
			for n := 0; ; n++ {
				r := c.Do(write(n%8, 'a'))
				if r.Err != nil {
					t.Fatalf("the session ended after %d writes, none of which was refused: %v", n, r.Err)
				}
				if r.Code() == 0x02040B || r.Code() == 0x02040C {
					break
				}
			}
			<-c.Ended() // and the host need not wait for the daemon's end
			<-p.Array(rig.A).Done()
			p.start(rig.A)
			p.whole()
		})
	}
}

// TestAnUpgradeWaitsForHosts: the second array of an upgrade leaves only when the host has a
// path to the first one again that works.
func TestAnUpgradeWaitsForHosts(t *testing.T) {
	p := newSmall(t, 1, "64m")
	l := &late{pair: p, t: t}
	l.dial(rig.A, 1)
	toB := func() *initiator.Conn {
		t.Helper()
		c, err := initiator.Dial(l.login(rig.B, 2))
		l.must(err)
		return c
	}
	b := toB()
	l.must(p.Array(rig.B).Signal(unix.SIGTERM))
	<-b.Ended()
	<-p.Array(rig.B).Done()
	p.start(rig.B)
	p.whole()
	l.must(p.Array(rig.A).Signal(unix.SIGTERM))
	select {
	case <-p.Array(rig.A).Done():
		t.Error("A left before the host was back at B")
	case <-time.After(2 * time.Second): // nothing tells that something does not happen
	}
	b = toB()
	l.until(answerIn, "the path to B to be there", func() bool {
		r := b.Do(initiator.Command{CDB: make([]byte, 6)})
		return r.Status == 0 || r.Code() == 0x02040B
	})
	<-p.Array(rig.A).Done()
	p.start(rig.A)
	p.whole()
	if text := p.command(rig.A, "showeventlog"); strings.Contains(text, "leaves although") {
		t.Errorf("A did not wait:\n%s", text)
	}
}
