// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
)

// maxStates bounds States: beyond it the oldest are forgotten.
const maxStates = 64

// States are fingerprints of values: those that something may have elsewhere, for it was asked to take
// them and did not answer. They tell no more of a value than whether one that is there is among them.
type States []string

// With returns s and the state of v, which is any value that JSON has.
func (s States) With(v any) States {
	all := append(s.Without(v), fingerprint(v))
	return all[max(0, len(all)-maxStates):]
}

// Without returns s without the state of v.
func (s States) Without(v any) States {
	f := fingerprint(v)
	return slices.DeleteFunc(slices.Clone(s), func(x string) bool { return x == f })
}

// Has reports whether the state of v is one of them.
func (s States) Has(v any) bool { return len(s) > 0 && slices.Contains(s, fingerprint(v)) }

func fingerprint(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // no value of ours
	}
	sum := sha256.Sum256(b)
	return base64.RawStdEncoding.EncodeToString(sum[:18])
}
