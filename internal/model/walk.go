// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math/rand/v2"

	"github.com/perdure/perdure/internal/array"
)

// Walk takes random walks of the given length from the usual starts: less than
// exhaustive, but far deeper than a search of the same cost. The same seed walks
// the same ways.
func Walk(o Options, seed uint64, walks, length int) Result {
	c := &bounds{without: o.Without}
	all := allSteps()
	first := starts(c)
	rng := rand.New(rand.NewPCG(seed, 1))
	res := Result{Depth: length}
	for k := range walks {
		n := node{w: first[k%len(first)]}
		for range length {
			si, i := rng.IntN(len(all)), array.Side(rng.IntN(2))
			w := n.w
			if !all[si].do(&w, i, c) {
				continue
			}
			w.check()
			res.States++
			n = node{w: w, trail: &trail{before: n.trail, step: uint8(si), side: i}}
			if w.bad != none {
				res.Violation, res.Trace = w.bad.String(), describe(&n, all)
				return res
			}
		}
	}
	return res
}
