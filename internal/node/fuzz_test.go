// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

// FuzzSize: a size that is taken is within what a volume may have, and whole blocks.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"1", "128m", "64T", "65t", "-1g", "9223372036854775807", "1g ", "0x10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseSize(s); err == nil && (n < 1<<20 || n > 64<<40 || n%(1<<20) != 0) {
			t.Fatalf("%q is %d bytes", s, n)
		}
	})
}
