// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var kills = flag.Int("real.kills", 4, "how often TestKills kills an array")

// TestKills kills one array or the other at random moments under load, and looks at its
// disks before it starts again. Whatever the moment, they are in order, the copy becomes
// whole, and nothing that was acknowledged is missing from either.
func TestKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newSmall(t, 2, "64m").work(2, seed)
	for n := 1; n <= *kills; n++ {
		i := rng.IntN(2)
		w.writes(uint64(50 + rng.IntN(3000)))
		w.must(w.Array(i).Kill())
		w.must(w.CheckDisk(t.Context(), i))
		if rng.IntN(2) == 0 {
			w.writes(uint64(rng.IntN(3000)))
		}
		w.start(i)
		if n%10 == 0 || n == *kills {
			w.judge(fmt.Sprintf("kill %d of %d", n, *kills), n < *kills)
			continue
		}
		w.whole()
	}
	t.Logf("kills: %d, 0 lost, 0 inconsistent", *kills)
}
