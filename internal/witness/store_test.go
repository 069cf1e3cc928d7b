// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"net"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/pki"
)

func TestDamagedRegisterCountsForNothing(t *testing.T) {
	r := newRig(t)
	r.one(r.a, Swap{Key: "x", Value: []byte("value"), Owners: r.owners()})
	err := r.store.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketRegisters))
		raw := append([]byte(nil), b.Get([]byte("x"))...)
		raw[recordHead] ^= 1
		return b.Put([]byte("x"), raw)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, regs, err := r.client(r.a).Read(t.Context(), []string{"x"}, Incarnation{}, nil)
	if err != nil || regs[0].Result != Damaged || regs[0].Value != nil {
		t.Errorf("read: %+v %v", regs, err)
	}
	if got := r.one(r.a, Swap{Key: "x", Version: 1}); got.Result != Damaged {
		t.Errorf("swap: %+v", got)
	}
}

// TestBrokenStore: after a failed commit the server says so, and ends.
func TestBrokenStore(t *testing.T) {
	r := newRig(t)
	c := r.client(r.a)
	if err := r.store.db.Close(); err != nil { // every commit fails from now on
		t.Fatal(err)
	}
	_, err := c.Swap(t.Context(), r.server.Incarnation(), []Swap{{Key: "x", Owners: r.owners()}})
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("swap in a broken store: %v", err)
	}
	if r.store.Broken() == nil {
		t.Error("the store does not know that it is broken")
	}
	if err := r.stop(); !errors.Is(err, r.store.Broken()) {
		t.Errorf("the server ended with %v", err)
	}
	r.start()
}

func TestStoreHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenStore(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := OpenStore(dir, 0); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second OpenStore: %v", err)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	lim := limit(l)
	accepted := make(chan net.Conn, 2*maxConnsAddress)
	go func() {
		defer close(accepted)
		for {
			c, err := lim.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var first net.Conn
	for i := range maxConnsAddress {
		dial()
		if c := <-accepted; i == 0 {
			first = c
		}
	}
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("a connection beyond the limit is open")
	}
	first.Close()
	first.Close() // counts once
	dial()
	<-accepted
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("closing twice made room for two")
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := &record{version: 3, owners: Owners{{1}, {2}}, value: []byte("value")}
	f.Add("key", r.encode("key"))
	f.Add("", []byte{})
	f.Add("k", make([]byte, recordHead+recordTail))
	f.Fuzz(func(t *testing.T, key string, raw []byte) {
		r, err := decodeRecord(key, raw)
		if err != nil {
			return
		}
		if got := r.encode(key); string(got) != string(raw) {
			t.Errorf("%x reads and writes as %x", raw, got)
		}
	})
}

func BenchmarkSwap(b *testing.B) {
	s, err := OpenStore(b.TempDir(), 0)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	owners := Owners{{1}, {2}}
	version := uint64(0)
	for b.Loop() {
		out, err := s.Swap(pki.Pin{1}, []Swap{{Key: "x", Version: version, Value: make([]byte, 200), Owners: owners}}, func(pki.Pin) bool { return true })
		if err != nil || out[0].Result != OK {
			b.Fatal(out, err)
		}
		version++
	}
}
