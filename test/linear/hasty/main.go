// SPDX-License-Identifier: Apache-2.0

// Command hasty is the array daemon whose reads don't wait for writes that are in flight
// over their range: a mutant that TestHastyReadsAreCaught must find out. It is built by
// that test only.
package main

import (
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/test/mutant"
)

func main() {
	mutant.Main("hasty", func(c *node.Config) {
		c.Groups = func(g *group.Config) { g.Hasty = true }
	})
}
