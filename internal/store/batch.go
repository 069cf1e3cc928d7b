// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// Item is an encoded value on its way to the store.
type Item struct {
	bucket, key string
	raw         []byte // nil removes
}

// Item returns v as an item for Batch.
func (b Bucket[V]) Item(key string, v V) (Item, error) {
	raw, err := encode(b.Name, key, v)
	return Item{b.Name, key, raw}, err
}

// Removal returns the removal of a key as an item for Batch.
func (b Bucket[V]) Removal(key string) Item { return Item{bucket: b.Name, key: key} }

// batch is what one caller of Batch waits for.
type batch struct {
	items []Item
	done  chan error
}

// Batch makes items durable, all or none. Callers that come while a transaction is
// being written share the next one.
func (s *Store) Batch(items ...Item) error {
	me := &batch{items: items, done: make(chan error, 1)}
	for _, it := range items {
		if it.bucket == "" {
			return fmt.Errorf("put %d items: %w", len(items), array.Errorf(array.Invalid, "an item without a bucket"))
		}
	}
	s.mu.Lock()
	if s.closed || len(s.waiting) >= maxWaiting {
		defer s.mu.Unlock()
		if s.closed {
			return fmt.Errorf("put %d items: the store is closed", len(items))
		}
		return fmt.Errorf("put %d items: %w", len(items), array.Errorf(array.Busy, "%d others wait", len(s.waiting)))
	}
	s.waiting = append(s.waiting, me)
	if !s.writing {
		s.writing = true
		go s.write() // ends when nobody waits
	}
	s.mu.Unlock()
	if err := <-me.done; err != nil {
		return fmt.Errorf("put %d items: %w", len(items), err)
	}
	return nil
}

// write makes shared transactions until nobody waits for one.
func (s *Store) write() {
	for {
		s.mu.Lock()
		group := s.waiting
		s.waiting = nil
		s.writing = len(group) > 0
		s.mu.Unlock()
		if len(group) == 0 {
			return
		}
		s.writeGroup(group)
	}
}

func (s *Store) writeGroup(group []*batch) {
	err := s.Update(func(t *Tx) error {
		for _, b := range group {
			for _, it := range b.items {
				err := error(nil)
				if it.raw != nil {
					err = put(t, it.bucket, it.key, it.raw)
				} else {
					err = Bucket[any]{it.bucket}.Delete(t, it.key)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, b := range group {
		b.done <- err
	}
}
