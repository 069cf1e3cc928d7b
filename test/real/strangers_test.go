// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// TestStrangers lets strangers knock on every port while the host works: they send
// noise, beginnings of the protocols that go wrong, or nothing, and hold what they
// got. The host hardly notices, the arrays find each other and the witness again, and
// a new host still gets in.
func TestStrangers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newSmall(t, 1, "64m").work(1, seed)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	leave := func() {
		stop()
		wg.Wait()
	}
	t.Cleanup(leave)
	at := func(node, network string, port uint16) string {
		return netip.AddrPortFrom(w.Lab.Node(node).Addr(network), port).String()
	}
	for k, s := range []struct{ from, to string }{
		{lab.Host, at(lab.A, lab.Fabric1, 3260)},
		{lab.Host, at(lab.B, lab.Fabric2, 3260)},
		{lab.B, at(lab.A, lab.Link1, 5785)},
		{lab.A, at(lab.B, lab.Link2, 5785)},
		{lab.Host, at(lab.Witness, lab.Manage, 8843)},
	} {
		for n := range 4 {
			rng := rand.New(rand.NewPCG(seed, uint64(10*k+n)))
			wg.Go(func() {
				for ctx.Err() == nil {
					knock(ctx, w.Lab.Node(s.from), s.to, rng)
				}
			})
		}
	}
	meter := w.host.Meter().Open()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		w.writes(20)
	}
	if saw := meter.Close(); saw.Longest > time.Second {
		t.Errorf("a command took %v among strangers", saw.Longest)
	}
	// Everything that the two arrays, the witness and the host have between them is lost
	// and made anew.
	w.must(w.CutLinks())
	w.alone(rig.A)
	w.must(w.Witness().Kill())
	w.must(w.StartWitness())
	w.must(w.HealLinks())
	w.whole()
	h, err := w.Host()
	w.must(err)
	defer h.Close()
	disks, err := h.Wait(t.Context(), 1)
	w.must(err)
	short, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	w.must(disks[0].WaitPaths(short, allUp))
	leave()
	w.judge("after the strangers left", false)
}

// knock is one visit of a stranger.
func knock(ctx context.Context, from *lab.Node, to string, rng *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := from.DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	switch rng.IntN(6) {
	case 0:
		_, _ = c.Write(noise(rng, 1+rng.IntN(100<<10)))
	case 1: // the first part of a login
		_, _ = c.Write(login(rng)[:1+rng.IntN(pdu.HeaderLen)])
	case 2: // a login that makes no sense
		_, _ = c.Write(login(rng))
		_, _ = c.Write(noise(rng, rng.IntN(4096)))
	case 3:
		_, _ = c.Write([]byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"))
	case 4: // whoever speaks TLS, with no key
		s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
		if s.HandshakeContext(ctx) == nil {
			_, _ = s.Write(noise(rng, 1+rng.IntN(10<<10)))
			drain(s)
		}
	}
	drain(c)
}

// drain reads until the other side or the visit's time ends it.
func drain(c net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// login is a login request whose numbers and keys are what chance makes of them.
func login(rng *rand.Rand) []byte {
	h := pdu.Make(0x40|pdu.LoginReq, byte(rng.Uint32()))
	for i := 8; i < len(h); i++ {
		h[i] = byte(rng.Uint32())
	}
	text := pdu.AppendText(nil, pdu.Pair{Key: "InitiatorName", Value: rig.Initiator}, pdu.Pair{Key: "SessionType", Value: "Normal"})
	for range rng.IntN(5) {
		text[rng.IntN(len(text))] = byte(rng.Uint32())
	}
	return pdu.Append(nil, &h, text, false, false)
}
