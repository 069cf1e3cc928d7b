// SPDX-License-Identifier: Apache-2.0

package link

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/array"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFramesBothWays(t *testing.T) {
	r := newRig(t, 2)
	r.open()
	r.allUp(6)
	for name, dir := range map[string]struct{ from, to *side }{"a to b": {r.a, r.b}, "b to a": {r.b, r.a}} {
		sent := sample()
		if err := dir.from.peer.Send(sent, Data(7)); err != nil {
			t.Fatal(err)
		}
		got := wait(t, dir.to.rec.frames, "a data frame")
		if got.payload != "payload" || got.f.Position != sent.Position || got.f.Tag != sent.Tag || got.c.Control() {
			t.Errorf("%s: %+v on %v", name, got.f, got.c)
		}
		if got.c.Peer.Name != dir.from.cfg.Self.Name || got.c.Peer.Start != dir.from.cfg.Self.Start {
			t.Errorf("%s: peer %+v", name, got.c.Peer)
		}
		if err := dir.from.peer.Send(Frame{Type: 20}, Control()); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, dir.to.rec.frames, "a control frame"); !got.c.Control() || got.f.Type != 20 {
			t.Errorf("%s: %+v on %v", name, got.f, got.c)
		}
		for _, link := range []string{"1", "2"} {
			if err := dir.from.peer.Send(Frame{Type: 21}, ControlOn(link)); err != nil {
				t.Fatal(err)
			}
			if got := wait(t, dir.to.rec.frames, "a control frame"); got.c.Link != link {
				t.Errorf("%s: on %v, want link %s", name, got.c, link)
			}
		}
		if err := dir.from.peer.Send(Frame{Type: 21}, ControlOn("3")); !errors.Is(err, ErrDown) {
			t.Errorf("%s: an unknown link: %v", name, err)
		}
	}
}

func TestSizes(t *testing.T) {
	r := newRig(t, 1)
	r.open()
	r.allUp(3)
	for _, n := range []int{0, 1, 4096, 32<<10 - 1, 32 << 10, 1 << 20, MaxPayload} {
		buf, ok := r.a.cfg.Pool.Get(n)
		if !ok {
			t.Fatal("pool empty")
		}
		for i := range buf.Bytes() {
			buf.Bytes()[i] = byte(i * 7)
		}
		want := string(buf.Bytes())
		err := r.a.peer.Send(Frame{Type: 30, Payload: buf.Bytes(), Buf: buf}, Data(1))
		buf.Release()
		if err != nil {
			t.Fatal(err)
		}
		if got := wait(t, r.b.rec.frames, "a frame"); got.payload != want {
			t.Errorf("%d bytes came as %d", n, len(got.payload))
		}
	}
	if err := r.a.peer.Send(Frame{Type: 30, Payload: make([]byte, maxControl+1)}, Control()); err == nil {
		t.Error("a large frame among the leases")
	}
}

// TestOrderOfAKey sends many frames of many keys and looks for any out of order.
func TestOrderOfAKey(t *testing.T) {
	r := newRig(t, 2)
	r.a.cfg.Limits.Ping = time.Hour // a slow answer would take a link out of use
	r.open()
	r.allUp(6)
	const keys, each = 50, 100
	for i := range each {
		for k := range uint64(keys) {
			f := Frame{Type: 30, Group: array.GroupID(k), Position: array.Position{Place: array.Place(i)}, Payload: make([]byte, 600)}
			if err := r.a.peer.Send(f, Data(k)); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := map[array.GroupID]array.Place{}
	conns := map[*Conn]bool{}
	for range keys * each {
		got := wait(t, r.b.rec.frames, "a frame")
		if want := next[got.f.Group]; got.f.Position.Place != want {
			t.Fatalf("group %v: frame %d, want %d", got.f.Group, got.f.Position.Place, want)
		}
		next[got.f.Group]++
		conns[got.c] = true
	}
	if len(conns) != 4 {
		t.Errorf("%d keys travelled on %d of 4 data connections", keys, len(conns))
	}
}

func TestReconnect(t *testing.T) {
	r := newRig(t, 1)
	r.open()
	r.allUp(3)
	// Cut all sockets, as a broken network does.
	r.a.peer.mu.Lock()
	old := append([]*Conn(nil), r.a.peer.up...)
	r.a.peer.mu.Unlock()
	for _, c := range old {
		_ = c.raw.Conn.Close()
	}
	gone := map[uint64]bool{}
	for range old {
		d := wait(t, r.a.rec.down, "Down at a")
		gone[d.c.Generation] = true
		if d.err == nil {
			t.Error("Down without a cause")
		}
		wait(t, r.b.rec.down, "Down at b")
	}
	for range old {
		if c := wait(t, r.a.rec.up, "Up at a"); gone[c.Generation] {
			t.Errorf("%v came back with its old generation", c)
		}
	}
	for range old {
		wait(t, r.b.rec.up, "Up at b")
	}
	r.a.inUse(t, len(old))
	if err := r.a.peer.Send(Frame{Type: 30}, Data(1)); err != nil {
		t.Fatal(err)
	}
	wait(t, r.b.rec.frames, "a frame after the reconnection")
	if err := old[0].Send(Frame{Type: 30}); !errors.Is(err, ErrDown) {
		t.Errorf("send on an ended connection: %v", err)
	}
	if st := r.a.peer.Status(); st[0].Connects != 6 || len(st[0].Conns) != 3 {
		t.Errorf("%d connects, %d connections, want 6 and 3", st[0].Connects, len(st[0].Conns))
	}
}

// TestRestartedPeer: the other array comes back as a new process.
func TestRestartedPeer(t *testing.T) {
	r := newRig(t, 1)
	r.open()
	r.allUp(3)
	r.a.server.Remove(r.a.peer)
	r.a.peer.Close()
	for range 3 {
		wait(t, r.b.rec.down, "Down")
	}
	r.a.cfg.Self.Start = array.StartID{Count: 2, Nonce: 99}
	r.a.open(t)
	for range 3 {
		if c := wait(t, r.b.rec.up, "Up"); c.Peer.Start.Count != 2 {
			t.Errorf("peer %v", c.Peer.Start)
		}
	}
}

func TestLostLinkLeavesTheOther(t *testing.T) {
	r := newRig(t, 2)
	r.open()
	r.allUp(6)
	r.b.peer.mu.Lock()
	for _, c := range r.b.peer.up {
		if c.Link == "1" {
			c.close(errors.New("cut"))
		}
	}
	r.b.peer.mu.Unlock()
	for range 3 {
		if d := wait(t, r.a.rec.down, "Down"); d.c.Link != "1" {
			t.Errorf("%v went down", d.c)
		}
	}
	for k := range uint64(20) {
		if err := r.a.peer.Send(Frame{Type: 30}, Data(k)); err != nil {
			t.Errorf("key %d: %v", k, err)
		}
		wait(t, r.b.rec.frames, "a frame")
	}
}

// TestLanesMoveBack: keys that fled from a broken link return to it once the other
// side has handled what they sent.
func TestLanesMoveBack(t *testing.T) {
	r := newRig(t, 2)
	r.open()
	r.allUp(6)
	r.a.peer.mu.Lock()
	for _, c := range r.a.peer.up {
		if c.Link == "1" {
			c.close(errors.New("cut"))
		}
	}
	r.a.peer.mu.Unlock()
	for range 3 {
		wait(t, r.a.rec.up, "Up")
	}
	used := map[string]bool{}
	for end := time.Now().Add(patience); !used["1"] || !used["2"]; {
		if time.Now().After(end) {
			t.Fatalf("data use links %v", used)
		}
		clear(used)
		for k := range uint64(20) {
			if err := r.a.peer.Send(Frame{Type: 30}, Data(k)); err != nil {
				t.Fatal(err)
			}
			used[wait(t, r.b.rec.frames, "a frame").c.Link] = true
		}
	}
}

// TestStuckPeer: the other side reads nothing. Send stays quick, refuses when its
// queue is full, and the connection is found broken.
func TestStuckPeer(t *testing.T) {
	r := newRig(t, 1)
	r.a.cfg.Limits.QueueBytes = 8 << 20
	r.a.cfg.Limits.Write = 300 * time.Millisecond
	r.a.cfg.Limits.Silence = time.Hour // not what this test is about
	stuck := make(chan struct{})
	r.b.rec.handle = func(*Conn, Frame) { <-stuck }
	r.open()
	r.allUp(3)
	payload := make([]byte, 1<<20)
	full := false
	for end := time.Now().Add(patience); !full; {
		begin := time.Now()
		err := r.a.peer.Send(Frame{Type: 30, Payload: payload}, Data(1))
		if took := time.Since(begin); took > time.Second {
			t.Fatalf("Send took %v", took)
		}
		if errors.Is(err, ErrFull) {
			full = true
		} else if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("the queue never filled")
		}
	}
	d := wait(t, r.a.rec.down, "the stuck connection's end")
	if d.c.Control() || d.err == nil {
		t.Errorf("down: %v, %v", d.c, d.err)
	}
	close(stuck)
}

// TestSilentPeer: the other process stands still; its sockets stay open.
func TestSilentPeer(t *testing.T) {
	r := newRig(t, 1)
	r.a.cfg.Limits.Silence = 200 * time.Millisecond
	frozen, hold := make(chan struct{}), make(chan struct{})
	r.b.rec.handle = func(c *Conn, _ Frame) {
		if c.Control() {
			close(frozen)
			<-hold
		}
	}
	r.open()
	r.allUp(3)
	if err := r.a.peer.Send(Frame{Type: 30}, Control()); err != nil {
		t.Fatal(err)
	}
	wait(t, frozen, "the standstill")
	slots := map[int]bool{}
	for range 3 {
		d := wait(t, r.a.rec.down, "Down")
		if !errors.Is(d.err, ErrSilent) {
			t.Errorf("%v: %v", d.c, d.err)
		}
		slots[d.c.Slot] = true
	}
	if len(slots) != 3 {
		t.Errorf("connections %v went down: the idle ones must go with their link", slots)
	}
	close(hold)
}

// TestIdleConnectionsAreLookedAfter: one that carries nothing is pinged now and then, and not
// asked by the kernel, which would break it long after a cut that one question fell into.
func TestIdleConnectionsAreLookedAfter(t *testing.T) {
	r := newRig(t, 1)
	r.a.cfg.Limits.Idle = 20 * time.Millisecond
	r.open()
	r.allUp(3)
	r.a.peer.mu.Lock()
	up := append([]*Conn(nil), r.a.peer.up...)
	r.a.peer.mu.Unlock()
	for _, c := range up {
		for end, first := time.Now().Add(patience), int64(0); ; {
			at := c.answered.Load()
			if first == 0 {
				first = at
			} else if at > first {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%v is idle and was not asked twice", c)
			}
			runtime.Gosched()
		}
		sc, err := c.raw.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = sc.Control(func(fd uintptr) {
			if on, e := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE); e != nil || on != 0 {
				t.Errorf("%v: the kernel asks, too: %d, %v", c, on, e)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRoundTripIsMeasured(t *testing.T) {
	r := newRig(t, 1)
	r.open()
	r.allUp(3)
	for end := time.Now().Add(patience); ; {
		if st := r.b.peer.Status()[0]; st.RTT > 0 && st.Last > 0 && st.Min <= st.RTT && st.Up && len(st.Conns) == 3 && st.RecvFrames > 0 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%+v", st)
		}
	}
}

func TestSlowLinkIsAvoided(t *testing.T) {
	l := &linkState{}
	if !l.worth(0) || !l.worth(time.Millisecond) {
		t.Error("an unmeasured link is avoided")
	}
	for _, c := range []struct {
		rtt, best time.Duration
		worth     bool
	}{
		{2 * time.Millisecond, time.Millisecond, true},
		{6 * time.Millisecond, time.Millisecond, false},
		{4 * time.Millisecond, time.Millisecond, false}, // once slow, not yet good again
		{2 * time.Millisecond, time.Millisecond, true},
		{4 * time.Millisecond, time.Millisecond, true}, // once good, not yet slow
	} {
		l.smooth = c.rtt
		if got := l.worth(c.best); got != c.worth {
			t.Errorf("%v beside %v: worth %v, want %v", c.rtt, c.best, got, c.worth)
		}
	}
}

// BenchmarkEcho sends frames, each answered by an empty one, with so many in
// flight.
func BenchmarkEcho(b *testing.B) {
	for _, c := range []struct{ size, depth int }{{4096, 1}, {4096, 32}, {65536, 32}} {
		b.Run(fmt.Sprintf("%dKiB/qd%d", c.size/1024, c.depth), func(b *testing.B) {
			r := newRig(b, 1)
			slots := make(chan struct{}, c.depth)
			r.b.rec.handle = func(c *Conn, f Frame) {
				_ = c.Send(Frame{Type: 31, Position: f.Position})
			}
			r.a.rec.handle = func(*Conn, Frame) { <-slots }
			r.open()
			r.allUp(3)
			buf, _ := r.a.cfg.Pool.Get(c.size)
			defer buf.Release()
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				slots <- struct{}{}
				f := Frame{Type: 30, Payload: buf.Bytes(), Buf: buf}
				f.Position.Place = array.Place(i)
				if err := r.a.peer.Send(f, Data(uint64(i))); err != nil {
					b.Fatal(err)
				}
			}
			for range c.depth { // wait for the last ones
				slots <- struct{}{}
			}
			b.StopTimer()
		})
	}
}
