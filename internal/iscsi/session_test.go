// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/iscsi/pdu"
)

const hostName = "iqn.2026-01.org.example:host"

// dial logs in; edit may change the configuration.
func (l *lab) dial(edit func(*initiator.Config)) (*initiator.Conn, error) {
	cfg := initiator.Config{Addr: l.addr(), Target: testName, Name: hostName, ISID: [6]byte{0x80, 0, 0, 0, 0, 1}}
	if edit != nil {
		edit(&cfg)
	}
	c, err := initiator.Dial(cfg)
	if err == nil {
		l.t.Cleanup(c.Close)
	}
	return c, err
}

// host logs in and takes the first unit attention off.
func (l *lab) host(edit func(*initiator.Config)) *initiator.Conn {
	l.t.Helper()
	c, err := l.dial(edit)
	if err != nil {
		l.t.Fatal(err)
	}
	if r := c.Do(initiator.Command{CDB: make([]byte, 6)}); r.Status != 2 || r.Code() != 0x062900 {
		l.t.Fatalf("first command of a nexus: %+v", r)
	}
	return c
}

func isid(n byte) func(*initiator.Config) {
	return func(c *initiator.Config) { c.ISID[5] = n }
}

func rw16(op byte, lba uint64, blocks int) []byte {
	cdb := make([]byte, 16)
	cdb[0] = op
	binary.BigEndian.PutUint64(cdb[2:], lba)
	binary.BigEndian.PutUint32(cdb[10:], uint32(blocks))
	return cdb
}

func write(lba uint64, data []byte) initiator.Command {
	return initiator.Command{CDB: rw16(0x8A, lba, len(data)/512), Out: data}
}

func read(lba uint64, blocks int) initiator.Command {
	return initiator.Command{CDB: rw16(0x88, lba, blocks), In: blocks * 512}
}

func pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

// rawWrite starts a write of n bytes, of which only the first block is sent, and
// returns its tag when the target has it.
func (l *lab) rawWrite(c *initiator.Conn, n int) uint32 {
	l.t.Helper()
	tag := c.Tag()
	h := pdu.Make(0x40|pdu.SCSICommand, 0x20|1) // not final: more is announced
	h.Put32(pdu.OffITT, tag)
	h.Put32(20, uint32(n))
	copy(h[32:], rw16(0x8A, 0, n/512))
	if err := c.Send(h, make([]byte, 512)); err != nil {
		l.t.Fatal(err)
	}
	if _, err := c.Ping(nil); err != nil {
		l.t.Fatal(err)
	}
	return tag
}

// TestEveryWayOfData writes with each mix of immediate, unsolicited and solicited
// data, with and without digests, and reads back.
func TestEveryWayOfData(t *testing.T) {
	l := newLab(t, 8<<20, nil)
	for i, digests := range []string{"None", "CRC32C"} {
		c := l.host(func(c *initiator.Config) {
			c.ISID[5] = byte(i)
			c.Keys = map[string]string{"HeaderDigest": digests, "DataDigest": digests}
		})
		if c.Keys["HeaderDigest"] != digests || c.Keys["DataDigest"] != digests {
			t.Fatalf("digests %v were asked for: %v", digests, c.Keys)
		}
		for n, w := range []struct{ size, imm, unsolicited int }{
			{512, 0, 0},
			{512, 512, 0},
			{4096, 1024, 0},
			{4096, 1024, 3072},
			{4096, 0, 4096},
			{1 << 20, 0, 0},
			{1 << 20, 65536, 0},
			{1 << 20, 65536, 196608},
			{1 << 20, 0, 262144},
		} {
			data := pattern(w.size, uint64(n))
			cmd := write(uint64(n), data)
			cmd.Immediate, cmd.Unsolicited = w.imm, w.unsolicited
			if r := c.Do(cmd); r.Err != nil || r.Status != 0 || r.Residual != 0 {
				t.Fatalf("digests %s, write %+v: %+v", digests, w, r)
			}
			if r := c.Do(read(uint64(n), w.size/512)); r.Err != nil || !bytes.Equal(r.In, data) {
				t.Fatalf("digests %s, read back %+v: %d bytes, %+v", digests, w, len(r.In), r.Err)
			}
		}
		if got, err := c.Ping(data(5000)); err != nil || !bytes.Equal(got, data(5000)) {
			t.Errorf("ping: %d bytes, %v", len(got), err)
		}
		if err := c.Logout(); err != nil {
			t.Error(err)
		}
	}
}

func data(n int) []byte { return pattern(n, 99) }

func TestInitialR2T(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(func(c *initiator.Config) { c.Keys = map[string]string{"InitialR2T": "Yes", "ImmediateData": "No"} })
	if c.Keys["InitialR2T"] != "Yes" || c.Keys["ImmediateData"] != "No" {
		t.Fatalf("keys %v", c.Keys)
	}
	if r := c.Do(write(0, data(8192))); r.Status != 0 || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	cmd := write(0, data(512))
	cmd.Immediate = 512
	if r := c.Do(cmd); r.Err == nil {
		t.Error("immediate data were taken although they were refused at login")
	}
}

// TestCommandsRunConcurrently: while one command hangs in the unit, others of the
// same session are answered, and window slots come back.
func TestCommandsRunConcurrently(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	held := l.disk.Hold(false)
	slow := c.Start(write(0, data(512)))
	<-held
	if _, err := c.Ping(nil); err != nil {
		t.Fatal(err)
	}
	for range 300 { // more than the window
		if r := c.Do(initiator.Command{CDB: []byte{0x12, 0, 0, 0, 255, 0}, In: 255}); r.Status != 0 || len(r.In) < 36 {
			t.Fatalf("INQUIRY beside a hanging write: %+v", r)
		}
	}
	l.disk.Resume()
	if r := slow.Wait(); r.Status != 0 || r.Err != nil {
		t.Errorf("%+v", r)
	}
}

// TestResiduals: what a host expects and what a command moves differ.
func TestResiduals(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	short := read(0, 8)
	short.In = 1024
	if r := c.Do(short); len(r.In) != 1024 || r.Residual != -3072 {
		t.Errorf("overflow: %d bytes, residual %d", len(r.In), r.Residual)
	}
	long := read(0, 1)
	long.In = 4096
	if r := c.Do(long); len(r.In) != 512 || r.Residual != 3584 {
		t.Errorf("underflow: %d bytes, residual %d", len(r.In), r.Residual)
	}
	beyond := read(1<<40, 1)
	if r := c.Do(beyond); r.Code() != 0x052100 || r.Residual != 512 {
		t.Errorf("beyond the end: %+v", r)
	}
}

// TestNoMemory: without memory a command is answered BUSY, and the session goes on.
func TestNoMemory(t *testing.T) {
	l := newLab(t, 8<<20, func(c *Config) {})
	hog, ok := l.pool.Get(block.MaxIO)
	var all []*block.Buffer
	for ; ok; hog, ok = l.pool.Get(block.MaxIO) {
		all = append(all, hog)
	}
	c := l.host(nil)
	if r := c.Do(read(0, 2048)); r.Status != 8 {
		t.Errorf("read without memory: %+v", r)
	}
	w := write(0, data(1<<20))
	w.Immediate, w.Unsolicited = 4096, 258048
	if r := c.Do(w); r.Status != 8 {
		t.Errorf("write without memory: %+v", r)
	}
	for _, b := range all {
		b.Release()
	}
	if r := c.Do(w); r.Status != 0 {
		t.Errorf("write once there is memory: %+v", r)
	}
}

func TestDiscovery(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) {
		c.Groups = append(c.Groups, PortalGroup{Tag: 2, Relative: 2, Listen: []string{"0.0.0.0:0", "127.0.0.1:0"}})
	})
	c, err := l.dial(func(c *initiator.Config) { c.Target = "" })
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := c.Text(pdu.Pair{Key: "SendTargets", Value: "All"})
	if err != nil {
		t.Fatal(err)
	}
	want := []pdu.Pair{{Key: "TargetName", Value: testName}}
	for i, tag := range []int{1, 2, 2} {
		port := l.target.Addrs()[i].(*net.TCPAddr).Port
		want = append(want, pdu.Pair{Key: "TargetAddress", Value: fmt.Sprintf("127.0.0.1:%d,%d", port, tag)})
	}
	if fmt.Sprint(pairs) != fmt.Sprint(want) {
		t.Errorf("SendTargets=All: %v, want %v", pairs, want)
	}
	var reject *initiator.RejectError
	if r := c.Do(read(0, 1)); !errors.As(r.Err, &reject) {
		t.Errorf("a SCSI command in a discovery session: %+v", r)
	}
	if err := c.Logout(); err != nil {
		t.Error(err)
	}
}

// TestCloseAsksForLogout: an orderly end asks the hosts to leave first.
func TestCloseAsksForLogout(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	asked := make(chan byte, 1)
	c := l.host(func(c *initiator.Config) { c.Async = func(event byte) { asked <- event } })
	closed := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		closed <- l.target.Close(ctx)
	}()
	if event := <-asked; event != eventLogout {
		t.Fatalf("asynchronous event %d", event)
	}
	if err := c.Logout(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestPings(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.Quiet, c.Limits.Answer = time.Millisecond, 300*time.Millisecond })
	answers := l.host(isid(1))
	silent := l.host(func(c *initiator.Config) { c.ISID[5], c.Silent = 2, true })
	<-silent.Ended()
	if r := answers.Do(read(0, 1)); r.Err != nil {
		t.Errorf("a host that answers pings: %v", r.Err)
	}
}

func TestCommandWindow(t *testing.T) {
	l := newLab(t, 1<<20, func(c *Config) { c.Limits.Commands = 4 })
	c := l.host(nil)
	tur := func(sn uint32) pdu.Header {
		h := pdu.Make(pdu.SCSICommand, 0x81)
		h.Put32(pdu.OffITT, c.Tag())
		h.Put32(pdu.OffCmdSN, sn)
		return h
	}
	// Outside of the window on either side: ignored. 2 is next.
	for _, sn := range []uint32{1, 0, 6, 100, 1 << 31} {
		if err := c.Send(tur(sn), nil); err != nil {
			t.Fatal(err)
		}
	}
	if r := c.Do(read(0, 1)); r.Err != nil {
		t.Fatalf("after commands outside of the window: %v", r.Err)
	}
	c.Send(tur(5), nil) // inside, but 3 and 4 never came
	<-c.Ended()
}

// TestAcknowledgement: the unit learns that a host has a COMPARE AND WRITE's
// status by the ExpStatSN of the host's next request, and not by its being sent.
func TestAcknowledgement(t *testing.T) {
	l := newLab(t, 1<<20, nil)
	c := l.host(nil)
	cdb := make([]byte, 16)
	cdb[0], cdb[13] = 0x89, 1
	if r := c.Do(initiator.Command{CDB: cdb, Out: make([]byte, 1024)}); r.Status != 0 || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	if n := l.disk.Acknowledged(); n != 0 {
		t.Errorf("%d acknowledgements before the host said a word", n)
	}
	c.Ping(nil)
	if n := l.disk.Acknowledged(); n != 1 {
		t.Errorf("%d acknowledgements after the host's next request", n)
	}
}
