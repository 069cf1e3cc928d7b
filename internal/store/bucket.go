// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/perdure/perdure/internal/array"
)

// Bucket names a table of values of type V.
type Bucket[V any] struct{ Name string }

// Key makes a key of a number, so that keys sort as the numbers do.
func Key(n uint64) string {
	return string([]byte{
		byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32),
		byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n),
	})
}

// Get returns the value of a key, and whether there is one.
func (b Bucket[V]) Get(t *Tx, key string) (v V, ok bool, err error) {
	bucket := t.tx.Bucket([]byte(b.Name))
	if bucket == nil {
		return v, false, nil
	}
	raw := bucket.Get([]byte(key))
	if raw == nil {
		return v, false, nil
	}
	if err := decode(b.Name, key, raw, &v); err != nil {
		var zero V
		return zero, false, fmt.Errorf("decode %s %q: %w", b.Name, key, err)
	}
	return v, true, nil
}

// Put sets the value of a key.
func (b Bucket[V]) Put(t *Tx, key string, v V) error {
	raw, err := encode(b.Name, key, v)
	if err != nil {
		return err
	}
	return put(t, b.Name, key, raw)
}

// Delete removes a key; one that isn't there is no error.
func (b Bucket[V]) Delete(t *Tx, key string) error {
	if bucket := t.tx.Bucket([]byte(b.Name)); bucket != nil {
		return bucket.Delete([]byte(key))
	}
	return nil
}

// Each calls fn for all keys in order, until it fails.
func (b Bucket[V]) Each(t *Tx, fn func(key string, v V) error) error {
	bucket := t.tx.Bucket([]byte(b.Name))
	if bucket == nil {
		return nil
	}
	return bucket.ForEach(func(k, raw []byte) error {
		var v V
		if err := decode(b.Name, string(k), raw, &v); err != nil {
			return fmt.Errorf("decode %s %q: %w", b.Name, k, err)
		}
		return fn(string(k), v)
	})
}

// From calls fn for all keys that begin with prefix, in order, until it fails.
func (b Bucket[V]) From(t *Tx, prefix string, fn func(key string, v V) error) error {
	for _, key := range keysWith(t, b.Name, prefix) {
		v, _, err := b.Get(t, key)
		if err == nil {
			err = fn(key, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Keys returns all keys that begin with prefix, in order.
func (b Bucket[V]) Keys(t *Tx, prefix string) []string { return keysWith(t, b.Name, prefix) }

// EachKey calls fn for all keys in order, until it returns false.
func (b Bucket[V]) EachKey(t *Tx, fn func(key string) bool) error {
	bucket := t.tx.Bucket([]byte(b.Name))
	if bucket == nil {
		return nil
	}
	c := bucket.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if !fn(string(k)) {
			return nil
		}
	}
	return nil
}

func put(t *Tx, name, key string, raw []byte) error {
	bucket, err := t.tx.CreateBucketIfNotExists([]byte(name))
	if err == nil {
		err = bucket.Put([]byte(key), raw)
	}
	if err != nil {
		return fmt.Errorf("put %s %q: %w", name, key, err)
	}
	return nil
}

func encode(name, key string, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	switch {
	case err != nil:
		return nil, fmt.Errorf("encode %s %q: %w", name, key, err)
	case name == "" || name == metaBucket:
		return nil, array.Errorf(array.Invalid, "bucket name %q is not for values", name)
	case key == "" || len(key) > maxKey:
		return nil, array.Errorf(array.Invalid, "key of %d bytes in %s; it must have 1 to %d", len(key), name, maxKey)
	case len(raw) > MaxValue:
		return nil, array.Errorf(array.Full, "value of %s %q has %d bytes, more than %d", name, key, len(raw), MaxValue)
	}
	return Seal(name, []byte(key), raw), nil
}

// decode accepts exactly one value with its seal and with known fields only.
func decode(name, key string, sealed []byte, v any) error {
	raw, err := Unseal(name, []byte(key), sealed)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("bytes follow the value")
	}
	return nil
}
