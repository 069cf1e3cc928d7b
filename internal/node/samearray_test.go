// SPDX-License-Identifier: Apache-2.0

package node

import (
	"log/slog"
	"strings"
	"testing"
)

// TestAnArrayStaysWhoItIs: with the data of one array nobody starts as another.
func TestAnArrayStaysWhoItIs(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 2, nil)[0]
	a.Close()
	cfg := a.cfg
	cfg.SystemID = 7
	n, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "system_id is 7, and the data in "+cfg.DataDir+" are those of system_id 1") {
		if err == nil {
			n.Close()
		}
		t.Errorf("%v", err)
	}
	a.open()
}

// TestAnArrayStaysOnItsSide: a target of another id may not turn the pair around.
func TestAnArrayStaysOnItsSide(t *testing.T) {
	t.Parallel()
	b := openArrays(t, 2, nil)[1] // with the id 2
	b.Close()
	cfg := b.cfg
	cfg.Target.SystemID = 9
	n, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "target's id must be on the same side of 2 as before") {
		if err == nil {
			n.Close()
		}
		t.Errorf("%v", err)
	}
	b.open()
}
