// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"bytes"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/scsi"
)

// still reports that nothing came on a channel although what would send on it
// had every chance: a ping went to and fro on the same path.
func still[T any](t *testing.T, ch <-chan T, path *initiator.Conn, what string) {
	t.Helper()
	for range 5 {
		if _, err := path.Ping(nil); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-ch:
		t.Errorf("%s did not wait", what)
	default:
	}
}

// TestAbortOfWhatHasNoPlace: the command is dropped, never answered, and has no
// effect.
func TestAbortOfWhatHasNoPlace(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	held := l.disk.Hold(false)
	w := c.Start(write(0, data(512)))
	<-held
	if code, err := c.Manage(abortTask, 0, w.Tag); code != functionComplete || err != nil {
		t.Fatalf("abort: %d, %v", code, err)
	}
	if code, _ := c.Manage(abortTask, 0, w.Tag); code != taskAbsent {
		t.Errorf("abort of what is gone: %d", code)
	}
	l.disk.Resume()
	if r := c.Do(read(0, 1)); r.Err != nil || !bytes.Equal(r.In, make([]byte, 512)) {
		t.Error("the aborted write took effect")
	}
	if l.disk.Stores() != 0 {
		t.Error("the aborted write reached the disk")
	}
}

// TestAbortWaitsForWhatHasItsPlace: a command that can't be dropped any more has
// taken effect before the abort is answered.
func TestAbortWaitsForWhatHasItsPlace(t *testing.T) {
	for name, function := range map[string]byte{
		"ABORT TASK": abortTask, "ABORT TASK SET": abortTaskSet, "CLEAR TASK SET": clearTaskSet,
		"LOGICAL UNIT RESET": unitReset, "TARGET WARM RESET": warmReset, "TARGET COLD RESET": coldReset,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 1<<20, nil)
			c := l.host(nil)
			held := l.disk.Hold(true)
			w := c.Start(write(0, data(512)))
			<-held
			wait := c.StartManage(function, 0, w.Tag)
			answered := make(chan byte)
			go func() {
				code, err := wait()
				if err != nil {
					t.Error(err)
				}
				if l.disk.Stores() != 1 {
					t.Error("answered before the command was quiet")
				}
				answered <- code
			}()
			still(t, answered, c, name)
			l.disk.Resume()
			if code := <-answered; code != functionComplete {
				t.Errorf("response %d", code)
			}
		})
	}
}

// TestFunctionsWithoutEnd: while a command is held, a host has some task management functions under way
// and no more. The command is dropped by those, once.
func TestFunctionsWithoutEnd(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	held := l.disk.Hold(true)
	w := c.Start(write(0, data(512)))
	<-held
	var waits []func() (byte, error)
	for range maxManaging {
		waits = append(waits, c.StartManage(abortTaskSet, 0, w.Tag))
	}
	for range 3 * maxManaging {
		if code, err := c.Manage(abortTaskSet, 0, w.Tag); code != functionRejected || err != nil {
			t.Fatalf("one more: %d, %v", code, err)
		}
	}
	l.disk.Resume()
	for _, wait := range waits {
		if code, err := wait(); code != functionComplete || err != nil {
			t.Errorf("%d, %v", code, err)
		}
	}
	if code, err := c.Manage(abortTaskSet, 0, w.Tag); code != functionComplete || err != nil {
		t.Errorf("after all were answered: %d, %v", code, err)
	}
}

// TestAbortWhileGathering: a write whose data are on their way is dropped at once.
func TestAbortWhileGathering(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	tag := l.rawWrite(c, 8192)
	if l.pool.Used() == 0 {
		t.Error("the write holds no buffer: it isn't under way")
	}
	if code, err := c.Manage(abortTask, 0, tag); code != functionComplete || err != nil {
		t.Errorf("abort: %d, %v", code, err)
	}
	if n := l.pool.Used(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

// TestUnitResetReachesOthers: another host's command ends with TASK ABORTED, and
// both hosts hear of the reset.
func TestUnitResetReachesOthers(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	a, b := l.host(isid(1)), l.host(isid(2))
	held := l.disk.Hold(false)
	w := b.Start(write(0, data(512)))
	<-held
	if code, err := a.Manage(unitReset, 0, 0); code != functionComplete || err != nil {
		t.Fatalf("reset: %d, %v", code, err)
	}
	if r := w.Wait(); r.Status != byte(scsi.TaskAborted) {
		t.Errorf("the other host's write: %+v", r)
	}
	l.disk.Resume()
	for _, c := range []*initiator.Conn{a, b} {
		if r := c.Do(read(0, 1)); r.Code() != 0x062903 {
			t.Errorf("after the reset: %+v", r)
		}
	}
	if code, _ := a.Manage(unitReset, 5<<48, 0); code != lunAbsent {
		t.Errorf("reset of no unit: %d", code)
	}
}

// TestReinstatementWaits: a login in place of a session is answered when the old
// session's commands are quiet.
func TestReinstatementWaits(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	watcher := l.host(isid(9))
	old := l.host(isid(1))
	held := l.disk.Hold(true)
	old.Start(write(0, data(512)))
	<-held
	in := make(chan *initiator.Conn)
	go func() {
		c, err := l.dial(isid(1))
		if err != nil {
			t.Error(err)
		}
		if l.disk.Stores() != 1 {
			t.Error("logged in before the old session's command was quiet")
		}
		in <- c
	}()
	<-old.Ended()
	still(t, in, watcher, "the login")
	l.disk.Resume()
	c := <-in
	if r := c.Do(read(0, 1)); r.Code() != 0x062900 {
		t.Errorf("first command of the new nexus: %+v", r)
	}
	if r := c.Do(read(0, 1)); !bytes.Equal(r.In, data(512)) {
		t.Error("the old session's write is missing")
	}
}

// TestReinstatementGivesUp: if the old commands never get quiet, the host is told
// to come again, and the old session's place stays taken.
func TestReinstatementGivesUp(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.Reinstate = 20 * time.Millisecond })
	old := l.host(isid(1))
	held := l.disk.Hold(true)
	old.Start(write(0, data(512)))
	<-held
	for range 2 {
		_, err := l.dial(isid(1))
		wantStatus(t, err, statusOutOfResource)
	}
}

// TestLostConnectionDropsCommands: what has no place when its session ends never
// gets one.
func TestLostConnectionDropsCommands(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(isid(1))
	held := l.disk.Hold(false)
	c.Start(write(0, data(512)))
	<-held
	c.Close()
	next := l.host(isid(1)) // waits for the end of the first
	l.disk.Resume()
	if r := next.Do(read(0, 1)); r.Err != nil || l.disk.Stores() != 0 {
		t.Errorf("%v, %d stores", r.Err, l.disk.Stores())
	}
}

// TestLogoutEndsCommands: the answer to a logout comes when all is quiet.
func TestLogoutEndsCommands(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	watcher, c := l.host(isid(9)), l.host(isid(1))
	held := l.disk.Hold(true)
	c.Start(write(0, data(512)))
	<-held
	out := make(chan error)
	go func() { out <- c.Logout() }()
	still(t, out, watcher, "the logout")
	l.disk.Resume()
	if err := <-out; err != nil || l.disk.Stores() != 1 {
		t.Errorf("%v, %d stores", err, l.disk.Stores())
	}
}
