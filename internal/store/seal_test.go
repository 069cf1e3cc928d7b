// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

func TestSeals(t *testing.T) {
	s := Seal("b", []byte("key"), []byte("value"))
	v, err := Unseal("b", []byte("key"), s)
	if ok(t, err); string(v) != "value" {
		t.Fatalf("%q", v)
	}
	for i := range 8 * len(s) {
		s[i/8] ^= 1 << (i % 8)
		if _, err := Unseal("b", []byte("key"), s); array.KindOf(err) != array.Medium {
			t.Fatalf("bit %d turned over: %v", i, err)
		}
		s[i/8] ^= 1 << (i % 8)
	}
	for _, c := range [][2]string{{"c", "key"}, {"b", "kez"}, {"bk", "ey"}} {
		if _, err := Unseal(c[0], []byte(c[1]), s); err == nil {
			t.Errorf("the value passes for that of %q %q", c[0], c[1])
		}
	}
	if _, err := Unseal("b", nil, []byte("abc")); err == nil {
		t.Error("3 bytes pass")
	}
}

// TestADamagedStore: whatever sector of the file is changed or lost, the store is refused,
// without a panic, or has all that was written.
func TestADamagedStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := mustOpen(t, path)
	b := Bucket[uint64]{"n"}
	for n := range uint64(300) {
		ok(t, s.Update(func(tx *Tx) error { return b.Put(tx, Key(n), n*n) }))
	}
	ok(t, s.Close())
	whole, err := os.ReadFile(path)
	ok(t, err)
	rng := rand.New(rand.NewPCG(1, 1))
	var sectors []int // that hold something
	for at := 0; at < len(whole); at += 4096 {
		if !bytes.Equal(whole[at:at+4096], make([]byte, 4096)) {
			sectors = append(sectors, at)
		}
	}
	refused := 0
	for n := range 200 {
		file := append([]byte(nil), whole...)
		at := sectors[rng.IntN(len(sectors))] + rng.IntN(4096)
		if n%2 == 0 {
			file[at] ^= 1 << rng.IntN(8)
		} else {
			clear(file[at/4096*4096:][:4096])
		}
		ok(t, os.WriteFile(path, file, 0o600))
		s, err := Open(path)
		if err != nil {
			refused++
			continue
		}
		count := uint64(0)
		ok(t, s.View(func(tx *Tx) error {
			return b.Each(tx, func(k string, v uint64) error {
				if k != Key(count) || v != count*count {
					t.Fatalf("byte %d of the file changed: %x is %d", at, k, v)
				}
				count++
				return nil
			})
		}))
		if count < 299 { // one of both roots is damaged: the one before lacks the last change
			t.Fatalf("byte %d of the file changed: %d values are left", at, count)
		}
		ok(t, s.Close())
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	t.Logf("%d of 200 refused", refused)
}
