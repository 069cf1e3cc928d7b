// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/link"
)

// supportedRTT is the round trip up to which synchronous mode is supported: every
// write of a host takes one.
const supportedRTT = 10 * time.Millisecond

// linkWatch remembers what was said of each link, so that each change is told once.
type linkWatch struct {
	up, slow map[string]bool
}

func newLinkWatch() linkWatch { return linkWatch{up: map[string]bool{}, slow: map[string]bool{}} }

// look returns what people should know of the links since the last look. A slow
// link must become clearly better before it counts as well again.
func (w linkWatch) look(target string, links []link.Status) []string {
	var news []string
	for _, l := range links {
		if was, known := w.up[l.Name]; known && was != l.Up || !known && l.Up {
			state := "is down"
			if l.Up {
				state = "is up"
			}
			news = append(news, fmt.Sprintf("link %s to array %s %s", l.Name, target, state))
		}
		w.up[l.Name] = l.Up
		switch slow := w.slow[l.Name]; {
		case !l.Up || l.RTT == 0:
		case !slow && l.RTT > supportedRTT:
			w.slow[l.Name] = true
			news = append(news, fmt.Sprintf("warning: link %s to array %s has a round trip of %v; synchronous mode supports %v, and every write takes one",
				l.Name, target, l.RTT.Round(10*time.Microsecond), supportedRTT))
		case slow && l.RTT < supportedRTT*4/5:
			w.slow[l.Name] = false
			news = append(news, fmt.Sprintf("link %s to array %s has a round trip of %v again", l.Name, target, l.RTT.Round(10*time.Microsecond)))
		}
	}
	return news
}

// watchLinks turns what happens to the links into events.
func (n *Node) watchLinks(ctx context.Context) {
	w := newLinkWatch()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, text := range w.look(n.cfg.Target.Name, n.pair.Peer().Status()) {
			n.event(text)
		}
	}
}
