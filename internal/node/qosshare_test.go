// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/qos"
)

// admits is how many commands a rule lets begin within ten seconds from now.
func (a *testArray) admits(vv string) (count int) {
	a.t.Helper()
	id := a.stored(vv).ID
	if !a.limiters.engine.Limited(id) {
		a.t.Fatalf("%s: %s has no limit", a.cfg.Name, vv)
	}
	for now := boottime.Now(); count < 1e5; count++ {
		if _, _, ok := a.limiters.engine.Admit(id, now, 4096, 10*time.Second); !ok {
			break
		}
	}
	return count
}

// TestALimitIsOfBothArrays: what a rule lets through both arrays together is its limit, and
// the whole of it is the one's that serves without the other.
func TestALimitIsOfBothArrays(t *testing.T) {
	long(t)
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("setrcopygroup", "pol", "active_active", "g")
	a.run("createvvset", "s", "v")
	a.run("setqos", "-io", "100", "vvset:s")
	for _, x := range as {
		x.until("both arrays to be known", x.knowsBoth)
		if text := x.run("statqos", "-iter", "2", "vvset:s"); strings.Count(text, "array-a") != 2 || strings.Count(text, "array-b") != 2 {
			t.Errorf("%s shows\n%s", x.cfg.Name, text)
		}
	}
	a.until("both to serve", func() bool {
		f, err := a.QoS()
		return err == nil && f[0].Arrays[0].Share < 1
	})
	if here, there := a.admits("v"), b.admits("v"); here+there > 1000+20 || here+there < 700 {
		t.Errorf("%d and %d commands in ten seconds, the limit is 100 a second", here, there)
	}
	b.Close()
	a.until("all to be here", func() bool {
		f, err := a.QoS()
		return err == nil && len(f[0].Arrays) == 1 && f[0].Arrays[0].Share == 1
	})
	a.refuses("want 1 to 60", "statqos", "-iter", "0")
	if err := a.takesTooMany(); err == nil {
		t.Error("shares of too many rules are taken")
	}
}

func (a *testArray) takesTooMany() error {
	_, err := a.takeShares(shareOffers{Rules: make([]ruleShare, sharesAtOnce+1)})
	return err
}

// TestAClassicGroupHasItsWholeLimit on the array that owns it, before a switchover and after.
func TestAClassicGroupHasItsWholeLimit(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("createvvset", "s", "v")
	a.run("setqos", "-io", "100", "vvset:s")
	share := func(x *testArray) float64 {
		f, err := x.QoS()
		if err != nil || len(f) != 1 {
			return 0
		}
		return f[0].Arrays[0].Share
	}
	a.until("all to be here", func() bool { return a.knowsBoth() && share(a) == 1 && share(b) == 1 })
	if _, err := a.Run(context.Background(), []string{"setrcopygroup", "switchover", "g"}); err != nil {
		t.Fatal(err)
	}
	if got := share(b); got != 1 {
		t.Errorf("the first commands after a switchover have %v of the limit", got)
	}
	for range 3 {
		a.shareLimits(t.Context())
		if got := share(b); got != 1 {
			t.Errorf("commands after a switchover have %v of the limit", got)
		}
	}
}

// knowsBoth reports whether it has heard how the other array stands with its first rule.
func (a *testArray) knowsBoth() bool {
	f, err := a.QoS()
	return err == nil && len(f) == 1 && len(f[0].Arrays) == 2
}

// TestAnArrayThatSharesNothing, because it does not know the rule, does not keep this one
// from its part.
func TestAnArrayThatSharesNothing(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	a.run("createvv", "cpg0", "v", "16m")
	a.run("createvvset", "s", "v")
	a.run("setqos", "-io", "100", "vvset:s")
	b.until("it to have the rule", func() bool { f, err := b.QoS(); return err == nil && len(f) == 1 })
	b.limiting.Lock()
	b.limiters.bySet = nil
	b.limiting.Unlock()
	a.limiting.Lock()
	a.limiters.shares = shares{} // as at the begin of a contact
	a.limiting.Unlock()
	a.until("the contact", a.otherMayServe)
	a.shareLimits(t.Context())
	if f, err := a.QoS(); err != nil || len(f) != 1 || f[0].Arrays[0].Share <= qos.Floor {
		t.Errorf("%+v, %v", f, err)
	}
}
