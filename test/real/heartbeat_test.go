// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/iscsi/initiator"
	"github.com/perdure/perdure/internal/rig"
)

const (
	// atsLimit is how long an ESXi host waits for its heartbeat before it takes its lock
	// for lost.
	atsLimit = 8 * time.Second
	// lockBlock is the block that all hosts contend for; the first ones are heartbeats.
	lockBlock = 64
)

// ats is COMPARE AND WRITE of one block, as ESXi sends it.
func ats(n byte, old, with []byte) initiator.Command {
	cdb := make([]byte, 16)
	cdb[0], cdb[9], cdb[13] = 0x89, n, 1
	return initiator.Command{CDB: cdb, Out: append(append([]byte{}, old...), with...), Immediate: 1024}
}

// stamp is a block that says who wrote it and for which time.
func stamp(who, n uint64) []byte {
	b := make([]byte, 512)
	binary.BigEndian.PutUint64(b, who)
	binary.BigEndian.PutUint64(b[8:], n)
	return b
}

// esx is a host with a heartbeat.
type esx struct {
	*member
	t       *testing.T
	id      uint64
	beats   uint64
	wins    uint64 // of the lock that all contend for
	longest time.Duration
	took    []time.Duration
}

// swap is one ATS; false for a miscompare.
func (e *esx) swap(ctx context.Context, n byte, old, with []byte) bool {
	began := time.Now()
	_, err := e.disk.Do(ctx, ats(n, old, with))
	e.took = append(e.took, time.Since(began))
	e.longest = max(e.longest, time.Since(began))
	var h *host.Error
	switch {
	case err == nil:
		return true
	case errors.As(err, &h) && h.Code == 0x0E1D00:
		return false
	}
	e.t.Errorf("host %d: %v", e.id, err)
	return false
}

// live beats its heart and takes the lock until told to stop.
func (e *esx) live(ctx context.Context, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(10 * time.Millisecond): // a host's rhythm
		}
		old, with := stamp(e.id, e.beats), stamp(e.id, e.beats+1)
		if e.beats == 0 {
			old = make([]byte, 512)
		}
		if !e.swap(ctx, byte(e.id), old, with) {
			e.t.Errorf("host %d lost its heartbeat %d: a miscompare of a block that only it writes", e.id, e.beats)
			return
		}
		e.beats++
		lock := make([]byte, 512)
		if err := e.disk.Read(ctx, "", lock, lockBlock*512); err != nil {
			e.t.Errorf("host %d: %v", e.id, err)
			return
		}
		if e.swap(ctx, lockBlock, lock, stamp(e.id, binary.BigEndian.Uint64(lock[8:])+1)) {
			e.wins++
		}
	}
}

// TestHeartbeatsOverFailovers: three hosts beat their hearts by COMPARE AND WRITE and
// contend for a lock while arrays die and the service moves. No heartbeat ever
// miscompares, although answers are lost and commands repeated; none takes longer than
// ESXi waits; and no success is told twice. (It is not ESXi that does so.)
func TestHeartbeatsOverFailovers(t *testing.T) {
	p := newSmall(t, 1, "64m")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var hosts []*esx
	for i, name := range []string{"esx1", "esx2", "esx3"} {
		hosts = append(hosts, &esx{member: p.member(name, 0), t: t, id: uint64(i + 1)})
	}
	for _, e := range hosts {
		wg.Go(func() { e.live(t.Context(), stop) })
	}
	for range 2 {
		p.must(p.Array(rig.A).Kill())
		p.until(atsLimit, "B to serve", func() bool { return p.serves(rig.B) })
		p.start(rig.A)
		p.whole()
		p.move(rig.A)
	}
	close(stop)
	wg.Wait()
	var wins uint64
	for _, e := range hosts {
		slices.Sort(e.took)
		t.Logf("host %d: %d heartbeats, %d times the lock, half within %v, longest %v, %+v", e.id, e.beats, e.wins,
			e.took[len(e.took)/2].Round(time.Millisecond), e.longest.Round(time.Millisecond), e.host.Stats())
		if e.longest >= atsLimit {
			t.Errorf("host %d waited for %v", e.id, e.longest)
		}
		if e.beats < 10 {
			t.Errorf("host %d had %d heartbeats", e.id, e.beats)
		}
		wins += e.wins
	}
	lock := make([]byte, 512)
	p.must(hosts[0].disk.Read(t.Context(), "", lock, lockBlock*512))
	// A success whose answer was lost and whose result didn't stand may count as none.
	if n := binary.BigEndian.Uint64(lock[8:]); n < wins {
		t.Errorf("the lock was taken %d times, and hosts were told so %d times", n, wins)
	}
}
