// SPDX-License-Identifier: Apache-2.0

// Command unchecked is the array daemon without the test of pages' checksums: a mutant
// that TestCorrupt must find out. It is built by that test only.
package main

import (
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/volume"
	"github.com/perdure/perdure/test/mutant"
)

func main() {
	mutant.Main("unchecked", func(c *node.Config) {
		c.Pages = func(o *volume.Options) { o.NoChecksum = true }
	})
}
