// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

const testName = "iqn.2026-01.org.perdure:test"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a target with one disk in memory, over loopback.
type lab struct {
	t       testing.TB
	disk    *ramunit.Disk
	exports *ramunit.Exports
	server  *scsi.Server
	pool    *block.Pool
	target  *Target
}

// newLab starts a target; edit may change its configuration. It checks at the end
// that every buffer came back.
func newLab(t testing.TB, size int64, edit func(*Config)) *lab {
	t.Helper()
	l := &lab{t: t, pool: block.NewPool(256 << 20)}
	l.disk = ramunit.New("disk", array.MakeVolumeID(7, 1), size, 1)
	l.exports = ramunit.NewExports(l.disk.Unit(0))
	l.server = scsi.NewServer(scsi.Config{Exports: l.exports, Pool: l.pool, Revision: "1"})
	cfg := Config{
		Name:   testName,
		Groups: []PortalGroup{{Tag: 1, Relative: 1, Listen: []string{"127.0.0.1:0"}}},
		Server: l.server,
	}
	if os.Getenv("ISCSI_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if edit != nil {
		edit(&cfg)
	}
	var err error
	if l.target, err = Serve(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

func (l *lab) close() {
	l.disk.Resume()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	l.target.Close(ctx)
	l.server.Close()
	if n := l.pool.Used(); n != 0 {
		l.t.Errorf("%d bytes of buffers were never given back", n)
	}
}

// addr returns the first portal's address.
func (l *lab) addr() string { return l.target.Addrs()[0].String() }

// url returns the address of LUN 0 as libiscsi and qemu write it.
func (l *lab) url() string { return fmt.Sprintf("iscsi://%s/%s/0", l.addr(), testName) }
