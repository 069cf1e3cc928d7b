// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/iscsi"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	hostName = "iqn.2026-01.org.perdure:host"
	long     = 10 * time.Second
)

// site is two arrays that share one disk in memory, and a host.
type site struct {
	t       *testing.T
	disk    *ramunit.Disk
	targets [2]*iscsi.Target
	servers [2]*scsi.Server
	addrs   [2]string
	host    *Host
	d       *Disk
}

func newSite(t *testing.T, edit func(*Options)) *site {
	s := &site{t: t, disk: ramunit.New("disk", array.MakeVolumeID(7, 1), 4<<20, 1)}
	s.states(scsi.Optimized, scsi.Standby)
	for i := range s.targets {
		s.addrs[i] = "127.0.0.1:0"
		s.serve(i)
	}
	o := Options{Name: hostName, Check: 10 * time.Millisecond, Queue: long}
	for i, name := range []string{"a", "b"} {
		o.Portals = append(o.Portals, Portal{Array: name, Network: "n", Target: target(i), Addr: s.addrs[i]})
	}
	if edit != nil {
		edit(&o)
	}
	h, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s.host = h
	t.Cleanup(s.close)
	disks, err := h.Wait(s.ctx(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s.d = disks[0]
	s.paths(Optimized, Standby)
	return s
}

func target(i int) string { return "iqn.2026-01.org.perdure:" + string(rune('a'+i)) }

func (s *site) serve(i int) {
	s.t.Helper()
	pool := block.NewPool(64 << 20)
	s.servers[i] = scsi.NewServer(scsi.Config{Exports: ramunit.NewExports(s.disk.Unit(i)), Pool: pool, Revision: "1"})
	t, err := iscsi.Serve(iscsi.Config{
		Name: target(i), Server: s.servers[i],
		Groups: []iscsi.PortalGroup{{Tag: uint16(i + 1), Relative: uint16(i + 1), Listen: []string{s.addrs[i]}}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.targets[i], s.addrs[i] = t, t.Addrs()[0].String()
}

// kill ends an array and its connections.
func (s *site) kill(i int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.targets[i].Close(ctx)
	s.servers[i].Close()
	s.targets[i] = nil
}

func (s *site) close() {
	s.disk.Resume()
	s.host.Close()
	for i := range s.targets {
		if s.targets[i] != nil {
			s.kill(i)
		}
	}
}

func (s *site) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	s.t.Cleanup(cancel)
	return ctx
}

// states makes both arrays report and obey these.
func (s *site) states(a, b scsi.PathState) {
	s.disk.SetGroups(
		scsi.PortGroup{ID: 1, State: a, Preferred: true, Ports: []uint16{1}},
		scsi.PortGroup{ID: 2, State: b, Ports: []uint16{2}},
	)
}

// paths waits until the host sees these.
func (s *site) paths(a, b State) {
	s.t.Helper()
	err := s.d.WaitPaths(s.ctx(), func(p []Path) bool { return p[0].State == a && p[1].State == b })
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) write(fill byte, off int64) {
	s.t.Helper()
	if err := s.d.Write(s.ctx(), bytes.Repeat([]byte{fill}, 4096), off); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) read(want byte, off int64) {
	s.t.Helper()
	b := make([]byte, 4096)
	if err := s.d.Read(s.ctx(), "", b, off); err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Equal(b, bytes.Repeat([]byte{want}, 4096)) {
		s.t.Fatalf("read %x..., want %x", b[:4], want)
	}
}

func TestReadsWhatItWrote(t *testing.T) {
	s := newSite(t, nil)
	if s.d.Size() != 4<<20 {
		t.Fatalf("size %d", s.d.Size())
	}
	w := s.host.Meter().Open()
	big := make([]byte, MaxIO)
	for i := range big {
		big[i] = byte(i >> 8)
	}
	if err := s.d.Write(s.ctx(), big, 1<<20); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, MaxIO)
	if err := s.d.Read(s.ctx(), "a", got, 1<<20); err != nil || !bytes.Equal(got, big) {
		t.Fatalf("read through a: %v", err)
	}
	c := w.Close()
	if c.Writes != 1 || c.Reads != 1 || c.Bytes != 2*MaxIO || c.Longest <= 0 || c.Errors != 0 {
		t.Fatalf("counts %+v", c)
	}
}

func TestFollowsSwitchover(t *testing.T) {
	s := newSite(t, nil)
	s.write(1, 0)
	for i := range 10 {
		if i%2 == 0 {
			s.states(scsi.Standby, scsi.Optimized)
		} else {
			s.states(scsi.Optimized, scsi.Standby)
		}
		s.read(byte(i+1), 0)
		s.write(byte(i+2), 0)
	}
	if st := s.host.Stats(); st.Elsewhere+st.Attentions+st.Queued == 0 {
		t.Fatalf("nothing had to be hidden: %+v", st)
	}
}

func TestPrefersOptimized(t *testing.T) {
	s := newSite(t, nil)
	s.states(scsi.NonOptimized, scsi.Optimized)
	s.paths(NonOptimized, Optimized)
	for range 20 {
		if l, _ := s.d.pick(""); l == nil || l.path.portal.Array != "b" {
			t.Fatalf("picked %+v", l)
		}
	}
	s.states(scsi.NonOptimized, scsi.Unavailable)
	s.paths(NonOptimized, Unavailable)
	s.write(7, 0)
	s.read(7, 0)
}

func TestSurvivesTheLossOfAnArray(t *testing.T) {
	s := newSite(t, nil)
	s.write(1, 0)
	s.kill(0)
	done := make(chan error, 1)
	go func() { done <- s.d.Write(s.ctx(), bytes.Repeat([]byte{2}, 4096), 0) }()
	s.paths(Down, Standby)
	select {
	case err := <-done:
		t.Fatalf("a write ended without a path: %v", err)
	default:
	}
	s.states(scsi.Unavailable, scsi.Optimized)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.read(2, 0)
	s.serve(0)
	s.paths(Unavailable, Optimized)
	s.states(scsi.Optimized, scsi.Standby)
	s.read(2, 0)
}

// TestLostWhileUnderWay breaks the path while a command on it waits for its answer.
func TestLostWhileUnderWay(t *testing.T) {
	s := newSite(t, nil)
	s.states(scsi.Optimized, scsi.Optimized)
	s.paths(Optimized, Optimized)
	held := s.disk.Hold(false)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := s.d.Write(s.ctx(), bytes.Repeat([]byte{9}, 4096), int64(i)*4096); err != nil {
				t.Error(err)
			}
		})
	}
	for range 8 {
		<-held
	}
	s.kill(0) // drops what is held there
	s.disk.Resume()
	wg.Wait()
	for i := range 8 {
		s.read(9, int64(i)*4096)
	}
	if s.host.Stats().Elsewhere == 0 {
		t.Fatal("no command was sent again elsewhere")
	}
}

func TestSilentPathIsGivenUp(t *testing.T) {
	var p *proxy
	s := newSite(t, func(o *Options) {
		p = newProxy(t, o.Portals[0].Addr)
		o.Portals[0].Addr = p.addr
		o.Silent = 100 * time.Millisecond
	})
	p.mute()
	s.states(scsi.Unavailable, scsi.Optimized)
	s.write(3, 0)
	s.paths(Down, Optimized)
	s.read(3, 0)
}

func TestQueueHasLimits(t *testing.T) {
	s := newSite(t, func(o *Options) { o.Queue, o.Queued = 50*time.Millisecond, 2 })
	s.states(scsi.Standby, scsi.Standby)
	s.paths(Standby, Standby)
	results := make(chan error, 3)
	for range 3 {
		go func() { results <- s.d.Write(s.ctx(), make([]byte, 512), 0) }()
	}
	for range 3 {
		if err := <-results; !errors.Is(err, ErrNoPath) {
			t.Fatalf("got %v", err)
		}
	}
	s.states(scsi.Optimized, scsi.Standby)
	s.paths(Optimized, Standby)
	s.write(1, 0)
}

func TestErrorsAreTheCallers(t *testing.T) {
	s := newSite(t, nil)
	err := s.d.Read(s.ctx(), "", make([]byte, 4096), 4<<20)
	var e *Error
	if !errors.As(err, &e) || e.Code != 0x052100 {
		t.Fatalf("got %v", err)
	}
	for _, off := range []int64{-512, 100} {
		if err := s.d.Read(s.ctx(), "", make([]byte, 512), off); err == nil {
			t.Fatalf("read at %d", off)
		}
	}
	if err := s.d.Write(s.ctx(), make([]byte, MaxIO+512), 0); err == nil {
		t.Fatal("wrote more than one command may")
	}
}
