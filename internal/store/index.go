// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"fmt"
	"slices"
)

// Indexed is a table whose values are found by other words than their key, too. The indices
// change in the transactions that change the values.
type Indexed[V any] struct {
	Bucket[V]
	By []Index[V]
}

// Index finds values by words that they have.
type Index[V any] struct {
	// Name is the index's own bucket.
	Name string
	// Of returns a value's words, each once, always in the same order.
	Of func(V) []string
}

// key is that of a value in the index: the word's length first, so that no word is the
// beginning of another's.
func (x Index[V]) key(word, key string) string { return x.prefix(word) + key }

func (x Index[V]) prefix(word string) string {
	return string([]byte{byte(len(word) >> 8), byte(len(word))}) + word
}

// Put sets the value of a key.
func (b Indexed[V]) Put(t *Tx, key string, v V) error {
	was, known, err := b.Get(t, key)
	if err != nil {
		return err
	}
	for _, x := range b.By {
		var had []string
		if known {
			had = x.Of(was)
		}
		has := x.Of(v)
		if slices.Equal(had, has) {
			continue
		}
		if err := x.remove(t, had, key); err != nil {
			return err
		}
		for _, word := range has {
			if err := (Bucket[struct{}]{x.Name}).Put(t, x.key(word, key), struct{}{}); err != nil {
				return err
			}
		}
	}
	return b.Bucket.Put(t, key, v)
}

// Delete removes a key; one that isn't there is no error.
func (b Indexed[V]) Delete(t *Tx, key string) error {
	was, known, err := b.Get(t, key)
	if err != nil || !known {
		return err
	}
	for _, x := range b.By {
		if err := x.remove(t, x.Of(was), key); err != nil {
			return err
		}
	}
	return b.Bucket.Delete(t, key)
}

func (x Index[V]) remove(t *Tx, words []string, key string) error {
	for _, word := range words {
		if err := (Bucket[struct{}]{x.Name}).Delete(t, x.key(word, key)); err != nil {
			return err
		}
	}
	return nil
}

// With calls fn for all values that have the word, in the order of their keys, until it fails.
// The index is one of the table's.
func (b Indexed[V]) With(t *Tx, index int, word string, fn func(key string, v V) error) error {
	x := b.By[index]
	prefix := x.prefix(word)
	for _, k := range keysWith(t, x.Name, prefix) {
		key := k[len(prefix):]
		v, ok, err := b.Get(t, key)
		if err == nil && !ok {
			err = fmt.Errorf("index %s has %q, which %s has not", x.Name, key, b.Name)
		}
		if err != nil {
			return err
		}
		if err := fn(key, v); err != nil {
			return err
		}
	}
	return nil
}

func keysWith(t *Tx, name, prefix string) (keys []string) {
	bucket := t.tx.Bucket([]byte(name))
	if bucket == nil {
		return nil
	}
	c := bucket.Cursor()
	for k, _ := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, _ = c.Next() {
		keys = append(keys, string(k))
	}
	return keys
}

// Index makes the indices what the values say, as where there were none.
func (b Indexed[V]) Index(s *Store) error {
	want := make([][]string, len(b.By))
	right := true
	if err := s.View(func(t *Tx) error {
		if err := b.Each(t, func(key string, v V) error {
			for i, x := range b.By {
				for _, word := range x.Of(v) {
					want[i] = append(want[i], x.key(word, key))
				}
			}
			return nil
		}); err != nil {
			return err
		}
		for i, x := range b.By {
			slices.Sort(want[i])
			right = right && slices.Equal(want[i], keysWith(t, x.Name, ""))
		}
		return nil
	}); err != nil || right {
		return err
	}
	return s.Update(func(t *Tx) error {
		for i, x := range b.By {
			if t.tx.Bucket([]byte(x.Name)) != nil {
				if err := t.tx.DeleteBucket([]byte(x.Name)); err != nil {
					return fmt.Errorf("empty index %s: %w", x.Name, err)
				}
			}
			for _, k := range want[i] {
				if err := (Bucket[struct{}]{x.Name}).Put(t, k, struct{}{}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
