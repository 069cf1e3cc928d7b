// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

type host struct {
	Name  string
	Ports []string
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	ok(t, err)
	return s
}

func TestOneTransactionIsOneChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	hosts, numbers := Bucket[host]{"host"}, Bucket[int]{"number"}
	s := mustOpen(t, path)
	ok(t, s.Update(func(tx *Tx) error {
		ok(t, numbers.Put(tx, Key(300), 3))
		ok(t, numbers.Put(tx, Key(2), 2))
		return hosts.Put(tx, "a", host{"a", []string{"iqn.x"}})
	}))
	boom := errors.New("boom")
	err := s.Update(func(tx *Tx) error {
		ok(t, hosts.Delete(tx, "a"))
		ok(t, numbers.Put(tx, Key(2), 7))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	ok(t, s.Close())
	s = mustOpen(t, path)
	defer s.Close()
	ok(t, s.View(func(tx *Tx) error {
		h, found, err := hosts.Get(tx, "a")
		if err != nil || !found || h.Name != "a" || !slices.Equal(h.Ports, []string{"iqn.x"}) {
			t.Fatal(h, found, err)
		}
		if _, found, err := hosts.Get(tx, "b"); found || err != nil {
			t.Fatal(found, err)
		}
		var got []int
		ok(t, numbers.Each(tx, func(_ string, n int) error { got = append(got, n); return nil }))
		if !slices.Equal(got, []int{2, 3}) {
			t.Fatal(got)
		}
		return nil
	}))
	ok(t, s.Check(func(err error) { t.Error(err) }))
}

func TestStrictDecoding(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "store"))
	defer s.Close()
	type wider struct {
		Name string
		More int
	}
	ok(t, s.Update(func(tx *Tx) error { return Bucket[wider]{"host"}.Put(tx, "a", wider{"a", 1}) }))
	ok(t, s.View(func(tx *Tx) error {
		if _, _, err := (Bucket[host]{"host"}).Get(tx, "a"); err == nil {
			t.Error("an unknown field was dropped")
		}
		return nil
	}))
	for _, err := range []error{
		s.Update(func(tx *Tx) error { return Bucket[int]{metaBucket}.Put(tx, "a", 1) }),
		s.Update(func(tx *Tx) error { return Bucket[int]{"x"}.Put(tx, "", 1) }),
		s.Batch(Item{}),
	} {
		if array.KindOf(err) != array.Invalid {
			t.Fatal(err)
		}
	}
	ok(t, s.Update(func(tx *Tx) error { return put(tx, metaBucket, formatKey, []byte("12345678")) }))
	path := s.db.Path()
	ok(t, s.Close())
	if _, err := Open(path); array.KindOf(err) != array.Invalid {
		t.Fatal("a store of another format was opened:", err)
	}
}

func TestBatchIsDurableForEveryCaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := mustOpen(t, path)
	b := Bucket[uint64]{"n"}
	var wg sync.WaitGroup
	for n := range uint64(200) {
		wg.Go(func() {
			it, err := b.Item(Key(n), n)
			if err == nil {
				err = s.Batch(it)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	it, err := b.Item(Key(1), 1)
	ok(t, err)
	extra, err := b.Item(Key(1000), 1)
	ok(t, err)
	ok(t, s.Batch(extra))
	ok(t, s.Batch(b.Removal(Key(1000))))
	ok(t, s.Close())
	if err := s.Batch(it); err == nil {
		t.Fatal("a closed store took an item")
	}
	s = mustOpen(t, path)
	defer s.Close()
	n := uint64(0)
	ok(t, s.View(func(tx *Tx) error {
		return b.Each(tx, func(k string, v uint64) error {
			if k != Key(n) || v != n {
				t.Fatal(k, v)
			}
			n++
			return nil
		})
	}))
	if n != 200 {
		t.Fatal(n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Name":"a","Ports":["b"]}`))
	f.Add([]byte(`{} {}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var h host
		_ = decode("hosts", "a", b, &h)
		_ = decode("hosts", "a", Seal("hosts", []byte("a"), b), &h)
	})
}
