// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

const (
	// area is what each late write is about.
	area = 64 << 10
	// answerIn bounds every answer to a command that is not outstanding on purpose.
	answerIn = 30 * time.Second
)

// TestLateWrites makes writes late in all the ways that a host and its network can,
// while newer data are written to the same blocks. The old ones never land.
func TestLateWrites(t *testing.T) {
	p := newSmall(t, 1, "64m")
	h, err := p.Host()
	p.must(err)
	t.Cleanup(h.Close)
	disks, err := h.Wait(t.Context(), 1)
	p.must(err)
	p.must(disks[0].WaitPaths(t.Context(), allUp))
	l := &late{pair: p, t: t, disk: disks[0]}
	t.Run("in the socket of an array that stands still", func(t *testing.T) { l.in(t).frozen() })
	t.Run("of a session that was replaced", func(t *testing.T) { l.in(t).replaced() })
	t.Run("beside a connection that nobody reads", func(t *testing.T) { l.in(t).unread() })
}

// late is a pair with a host for the newer data; the late ones come by connections of
// their own.
type late struct {
	*pair
	t    *testing.T
	disk *host.Disk
}

func (l *late) in(t *testing.T) *late {
	l.t, l.pair.t = t, t
	return l
}

// dial logs in to array i. A login with the same number replaces the session.
func (l *late) dial(i int, number byte) *initiator.Conn {
	l.t.Helper()
	c, err := initiator.Dial(l.login(i, number))
	l.must(err)
	l.t.Cleanup(func() { _ = c.Net().Close() })
	l.until(answerIn, "a new session to be ready", func() bool {
		return c.Do(initiator.Command{CDB: make([]byte, 6)}).Status == 0
	})
	return c
}

// write is a WRITE(16) of an area full of one byte.
func write(n int, with byte) initiator.Command {
	cdb := make([]byte, 16)
	cdb[0] = 0x8A
	binary.BigEndian.PutUint64(cdb[2:], uint64(n)*area/512)
	binary.BigEndian.PutUint32(cdb[10:], area/512)
	return initiator.Command{CDB: cdb, Out: bytes.Repeat([]byte{with}, area), Immediate: area}
}

// newer writes areas through whichever path works: first what the late writes say,
// as a host does that sends them again, then newer data.
func (l *late) newer(areas int) {
	l.t.Helper()
	for _, with := range []byte{'o', 'n'} {
		for n := range areas {
			l.must(l.disk.Write(l.t.Context(), bytes.Repeat([]byte{with}, area), int64(n)*area))
		}
	}
}

// holds reads areas through both arrays.
func (l *late) holds(areas int, want byte) {
	l.t.Helper()
	l.whole()
	first, err := l.Serving(l.t.Context(), group)
	l.must(err)
	got := make([]byte, area)
	for turn := range 2 {
		i := first
		if turn == 1 {
			i = 1 - first
			l.move(i)
		}
		for n := range areas {
			l.must(l.disk.Read(l.t.Context(), rig.Name(i), got, int64(n)*area))
			if !bytes.Equal(got, bytes.Repeat([]byte{want}, area)) {
				l.t.Errorf("%s, area %d: holds %q, want %q all over", rig.Name(i), n, distinct(got), want)
			}
		}
	}
}

func distinct(b []byte) (out []byte) {
	for _, c := range b {
		if !bytes.Contains(out, []byte{c}) {
			out = append(out, c)
		}
	}
	return out
}

// frozen: the array stands still with writes in its socket, whole ones, the first part
// of one, and one whose data are asked for later; the other takes over.
func (l *late) frozen() {
	const areas = 10
	old, err := l.Serving(l.t.Context(), group)
	l.must(err)
	c := l.dial(old, 1)
	for n := range areas {
		if r := c.Do(write(n, 'a')); r.Err != nil || r.Status != 0 {
			l.t.Fatalf("%+v", r)
		}
	}
	l.must(l.Array(old).Stop())
	var pending []*initiator.Pending
	for n := range areas - 2 {
		pending = append(pending, c.Start(write(n, 'o')))
	}
	later := write(areas-2, 'o')
	later.Immediate = 0
	pending = append(pending, c.Start(later))
	c.Net().(*stutter).stop()
	pending = append(pending, c.Start(write(areas-1, 'o')))
	l.alone(1 - old)
	l.newer(areas)
	l.must(l.Array(old).Cont())
	c.Net().(*stutter).goOn()
	for _, x := range pending {
		if r := x.Wait(); r.Err == nil && r.Status == 0 {
			l.t.Errorf("a late write was acknowledged: %+v", r)
		}
	}
	l.holds(areas, 'n')
}

// replaced: a login in the place of a session whose commands are outstanding, since
// the other array can't be reached for a moment, or since their data didn't come.
func (l *late) replaced() {
	const areas = 8
	i, err := l.Serving(l.t.Context(), group)
	l.must(err)
	seed := uint64(time.Now().UnixNano())
	l.t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 4 {
		c := l.dial(i, 2)
		l.must(l.CutLinks())
		for n := range areas {
			cmd := write(n, 'o')
			if n%2 == 1 {
				cmd.Immediate = area / 2 // the rest is asked for
			}
			c.Start(cmd)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(40 * time.Millisecond)))) // the moment is what is tried
		next := make(chan *initiator.Conn, 1)
		go func() {
			again, err := initiator.Dial(l.login(i, 2))
			if err != nil {
				l.t.Errorf("round %d: log in again: %v", round, err)
			}
			next <- again
		}()
		if round%2 == 0 {
			time.Sleep(time.Duration(rng.Int64N(int64(300 * time.Millisecond))))
		} else {
			l.until(setUpIn, "an array to go on alone", func() bool { return l.serves(i) && !l.InSync(l.t.Context(), group) })
		}
		l.must(l.HealLinks())
		again := <-next
		if again == nil {
			return
		}
		l.until(answerIn, "the new session to be ready", func() bool {
			return again.Do(initiator.Command{CDB: make([]byte, 6)}).Status == 0
		})
		for n := range areas {
			r := again.Do(write(n, 'n'))
			for k := 0; k < 100 && r.Err == nil && r.Status == 8; k++ {
				r = again.Do(write(n, 'n'))
			}
			if r.Err != nil || r.Status != 0 {
				l.t.Fatalf("round %d: %+v", round, r)
			}
		}
		again.Close()
		l.holds(areas, 'n')
		l.move(i)
	}
}

// unread: of several connections one is stuck, its answers fill its socket and its
// last write never ends; everything else goes on, a switchover too.
func (l *late) unread() {
	const areas = 4
	i, err := l.Serving(l.t.Context(), group)
	l.must(err)
	c := l.dial(i, 3)
	c.Detach()
	read := write(0, 0)
	read.CDB[0], read.Out, read.Immediate, read.In = 0x88, nil, 0, area
	for range 60 {
		c.Start(read)
	}
	c.Net().(*stutter).stop()
	c.Start(write(0, 'o'))
	begun := time.Now()
	lap := func(what string, limit time.Duration) {
		took := time.Since(begun)
		l.t.Logf("%s took %v", what, took.Round(time.Millisecond))
		if took > limit {
			l.t.Errorf("%s took longer than %v beside a stuck connection", what, limit)
		}
		begun = time.Now()
	}
	for range 20 {
		l.newer(areas)
	}
	lap("160 writes", 5*time.Second)
	l.holds(areas, 'n')
	lap("a switchover", 5*time.Second)
	l.move(i)
	l.must(l.Array(i).Terminate(15 * time.Second))
	lap("a shutdown", 5*time.Second)
	l.newer(areas)
	l.start(i)
	l.holds(areas, 'n')
}

// login is how to log in to array i as one of several ports of the host.
func (l *late) login(i int, number byte) initiator.Config {
	return initiator.Config{
		Addr:   netip.AddrPortFrom(l.Lab.Node(rig.Node(i)).Addr(lab.Fabric1), 3260).String(),
		Target: "iqn.2026-01.io.perdure:" + rig.Name(i), Name: rig.Initiator, ISID: [6]byte{0x80, 0, 0, 1, 0, number},
		Timeout: answerIn, Login: answerIn,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := l.Lab.Node(lab.Host).DialContext(ctx, network, addr)
			return &stutter{Conn: c}, err
		},
	}
}
