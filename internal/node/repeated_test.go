// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"testing"
	"time"
)

func TestTheSameNewsAreToldOnce(t *testing.T) {
	var r repeated
	now := time.Unix(1, 0)
	for _, want := range []bool{true, false, false} {
		if got := r.fresh("a", now); got != want {
			t.Fatalf("told %v, want %v", got, want)
		}
		now = now.Add(time.Second)
	}
	if !r.fresh("b", now) {
		t.Error("another one is not told")
	}
	told := 0
	for i := range 1000 {
		if r.fresh(fmt.Sprint(i), now) {
			told++
		}
	}
	if told != maxRepeated-2 {
		t.Errorf("%d told, want %d", told, maxRepeated-2)
	}
	if !r.fresh("a", now.Add(tellAgain)) {
		t.Error("not told again after a while")
	}
}
