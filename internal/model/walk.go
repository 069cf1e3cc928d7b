// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
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
	var trace []string
	for k := range walks {
		w := first[k%len(first)]
		trace = trace[:0]
		for range length {
			si, i := rng.IntN(len(all)), array.Side(rng.IntN(2))
			if !all[si].do(&w, i, c) {
				continue
			}
			w.check()
			res.States++
			trace = append(trace, fmt.Sprintf("%v %s", i, all[si].name))
			if w.bad != none {
				res.Violation, res.Trace = w.bad.String(), append(trace, w.describe()...)
				return res
			}
		}
	}
	return res
}
