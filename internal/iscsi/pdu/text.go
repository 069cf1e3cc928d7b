// SPDX-License-Identifier: Apache-2.0

package pdu

import (
	"bytes"
	"fmt"
)

// Limits of text: RFC 7143 6.1 allows keys of 63 bytes and values of 8192.
const (
	MaxPairs = 64
	MaxKey   = 63
	MaxValue = 8192
	// MaxText bounds a text that spans several PDUs.
	MaxText = 16 << 10
)

// Pair is one key=value.
type Pair struct{ Key, Value string }

// ParseText reads the pairs of a text.
func ParseText(b []byte) ([]Pair, error) {
	if len(b) > MaxText {
		return nil, fmt.Errorf("text of %d bytes, the limit is %d", len(b), MaxText)
	}
	var pairs []Pair
	for len(b) > 0 {
		item, rest, _ := bytes.Cut(b, []byte{0})
		b = rest
		if len(item) == 0 {
			continue // padding
		}
		key, value, ok := bytes.Cut(item, []byte{'='})
		switch {
		case !ok || len(key) == 0 || len(key) > MaxKey:
			return nil, fmt.Errorf("%.80q is not key=value", item)
		case len(value) > MaxValue:
			return nil, fmt.Errorf("value of %q has %d bytes, the limit is %d", key, len(value), MaxValue)
		case len(pairs) >= MaxPairs:
			return nil, fmt.Errorf("more than %d keys", MaxPairs)
		}
		pairs = append(pairs, Pair{string(key), string(value)})
	}
	return pairs, nil
}

// AppendText appends pairs.
func AppendText(dst []byte, pairs ...Pair) []byte {
	for _, p := range pairs {
		dst = append(dst, p.Key...)
		dst = append(dst, '=')
		dst = append(dst, p.Value...)
		dst = append(dst, 0)
	}
	return dst
}

// Find returns the value of key.
func Find(pairs []Pair, key string) (string, bool) {
	for _, p := range pairs {
		if p.Key == key {
			return p.Value, true
		}
	}
	return "", false
}
