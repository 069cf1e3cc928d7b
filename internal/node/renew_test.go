// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/scsi"
)

// TestRenewedAsMadeAnew: whatever is changed, and in which order, hosts see what a table
// that is made anew from the store says.
func TestRenewedAsMadeAnew(t *testing.T) {
	t.Parallel()
	all := openArrays(t, 2, nil)
	a := all[0]
	rnd := rand.New(rand.NewPCG(1, 2))
	for h := range 3 {
		a.run("createhost", fmt.Sprint("h", h), fmt.Sprintf("iqn.2026-01.org.example:h%d", h))
	}
	a.run("createhostset", "s", "h0", "h1")
	a.run("creatercopygroup", "g", "array-b:sync")
	for v := range 3 {
		a.run("admitrcopyvv", "-createvv", "-size", "16m", fmt.Sprint("m", v), "g")
		a.run("createvv", "cpg0", fmt.Sprint("p", v), "16m")
	}
	pick := func(words ...string) string { return words[rnd.IntN(len(words))] }
	vv := func() string { return pick("m0", "m1", "m2", "p0", "p1", "p2") }
	host := func() string { return pick("h0", "h1", "h2", "set:s") }
	done := 0
	for range 200 {
		words := [][]string{
			{"createvlun", vv(), fmt.Sprint(rnd.IntN(4)), host()},
			{"createvlun", vv(), "auto", host()},
			{"removevlun", "-f", vv(), fmt.Sprint(rnd.IntN(4)), host()},
			{"removevlun", "-f", vv(), fmt.Sprint(rnd.IntN(4)), host()},
			{"createhostset", "-add", "s", "h2"},
			{"removehostset", "-f", "s", "h2"},
			{"dismissrcopyvv", "-f", "-destroy", "m0", "g"},
			{"admitrcopyvv", "-createvv", "-size", "16m", "m0", "g"},
			{"removevv", "-f", "p0"},
			{"createvv", "cpg0", "p0", "16m"},
		}[rnd.IntN(10)]
		if _, err := a.Run(context.Background(), words); err == nil { // many can't be done
			done++
		}
		for _, x := range all {
			renewed := map[string]map[uint16]scsi.Unit{}
			x.exports.making.Lock()
			x.exports.mu.RLock()
			for i, luns := range x.exports.seen {
				if len(luns) > 0 {
					renewed[i] = maps.Clone(luns)
				}
			}
			x.exports.mu.RUnlock()
			err := x.exports.make()
			x.exports.making.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			x.exports.mu.RLock()
			if c := changedViews(renewed, x.exports.seen); len(c) > 0 {
				t.Fatalf("%s: after %s, %s see %v; from the store %v", x.cfg.Name, strings.Join(words, " "), c, renewed, x.exports.seen)
			}
			x.exports.mu.RUnlock()
		}
	}
	if done < 20 {
		t.Errorf("only %d commands did something", done)
	}
}
