// SPDX-License-Identifier: Apache-2.0

package store

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type fruit struct {
	Name, Color string
}

// TestIndex: values are found by their words through any change, and in a store that had no
// index, or another one.
func TestIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := Bucket[fruit]{Name: "fruits"}
	b := Indexed[fruit]{plain, []Index[fruit]{
		{"fruits.name", func(f fruit) []string { return []string{f.Name} }},
		{"fruits.color", func(f fruit) []string { return strings.Split(f.Color, " and ") }},
	}}
	do := func(fn func(*Tx) error) {
		t.Helper()
		if err := s.Update(fn); err != nil {
			t.Fatal(err)
		}
	}
	with := func(index int, word string, want ...string) {
		t.Helper()
		var got []string
		if err := s.View(func(tx *Tx) error {
			return b.With(tx, index, word, func(key string, _ fruit) error { got = append(got, key); return nil })
		}); err != nil || !slices.Equal(got, want) {
			t.Errorf("with %q: %q, %v; want %q", word, got, err, want)
		}
	}
	// A program without indices wrote these.
	do(func(tx *Tx) error { return plain.Put(tx, "1", fruit{"apple", "red"}) })
	do(func(tx *Tx) error { return plain.Put(tx, "2", fruit{"cherry", "red"}) })
	with(1, "red")
	if err := b.Index(s); err != nil {
		t.Fatal(err)
	}
	with(1, "red", "1", "2")
	with(1, "re")
	with(0, "apple", "1")
	do(func(tx *Tx) error { return b.Put(tx, "3", fruit{"apple", ""}) })
	do(func(tx *Tx) error { return b.Put(tx, "2", fruit{"cherry", "black"}) })
	with(0, "apple", "1", "3")
	with(1, "", "3")
	with(1, "red", "1")
	with(1, "black", "2")
	do(func(tx *Tx) error { return b.Put(tx, "2", fruit{"cherry", "red and black"}) })
	with(1, "red", "1", "2")
	with(1, "black", "2")
	do(func(tx *Tx) error { return b.Put(tx, "2", fruit{"cherry", "black"}) })
	with(1, "red", "1")
	do(func(tx *Tx) error { return b.Delete(tx, "1") })
	do(func(tx *Tx) error { return b.Delete(tx, "1") })
	with(0, "apple", "3")
	with(1, "red")
	// And these, while the indices were there.
	do(func(tx *Tx) error { return plain.Delete(tx, "3") })
	if err := s.View(func(tx *Tx) error {
		return b.With(tx, 0, "apple", func(string, fruit) error { return nil })
	}); err == nil {
		t.Error("an index that names what is not there passes for right")
	}
	if err := b.Index(s); err != nil {
		t.Fatal(err)
	}
	with(0, "apple")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path); err != nil { // every value has its seal
		t.Fatal(err)
	}
	defer s.Close()
	with(1, "black", "2")
}
