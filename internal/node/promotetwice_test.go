// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
)

// TestPromotionSaidTwice: promotesv is said again while it runs. The first one ends, a host
// writes, and the second one goes on.
func TestPromotionSaidTwice(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 1, nil)
	a := as[0]
	a.run("createvv", "cpg0", "v", "128")
	const pages = 128 << 20 / block.Page
	for n := int64(0); n < pages; n += 64 {
		a.write("v", n*block.Page, pagesOfByte(1, 64))
	}
	a.run("createsv", "-ro", "s", "v")
	for n := int64(0); n < pages; n += 64 {
		a.write("v", n*block.Page, pagesOfByte(2, 64))
	}
	one, two := make(chan error, 1), make(chan error, 1)
	began := time.Now()
	go func() { _, err := a.Run(t.Context(), []string{"promotesv", "s"}); one <- err }()
	a.until("begun", func() bool { return a.stored("v").Taking != 0 })
	time.Sleep(50 * time.Millisecond)
	go func() { _, err := a.Run(t.Context(), []string{"promotesv", "s"}); two <- err }()
	if err := <-one; err != nil {
		t.Fatal(err)
	}
	t.Log("first over after", time.Since(began))
	if a.stored("v").Taking != 0 {
		t.Log("still taking")
		return
	}
	a.run("createhost", "h", "iqn.2026-01.org.example:h")
	a.run("createvlun", "v", "auto", "h")
	a.write("v", (pages-64)*block.Page, pagesOfByte(9, 64)) // a host's
	t.Log("second:", <-two, "after", time.Since(began))
	a.has("v", (pages-64)*block.Page, pagesOfByte(9, 64))
}

// TestAPromotionThatWasInterrupted is an alert until it is given again and done, not while it runs.
func TestAPromotionThatWasInterrupted(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.run("createvv", "cpg0", "v", "16m")
	a.run("createsv", "-ro", "s", "v")
	a.write("v", 0, pagesOfByte(2, 1))
	v, sv := a.stored("v"), a.stored("s")
	a.command.Lock()
	_, err := a.setTaking(t.Context(), v.Group, v.ID, sv)
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	end, err := a.remaking.begin(remade{v.Group, v.ID}, "v")
	if err != nil {
		t.Fatal(err)
	}
	a.look(patience + 1)
	if all := a.stand(); strings.Contains(all, "promotesv") {
		t.Errorf("an alert of what is done at this moment:\n%s", all)
	}
	end()
	a.look(patience + 1)
	a.alert("New Minor interrupted promotesv v")
	a.run("promotesv", "s")
	a.look(goneFor)
	a.alert("Fixed Minor interrupted promotesv v")
}
