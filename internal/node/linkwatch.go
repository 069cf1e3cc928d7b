// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/pair"
)

// supportedRTT is the round trip up to which synchronous mode is supported: every
// write of a host takes one.
const supportedRTT = 10 * time.Millisecond

// inARow is how many looks must agree: a ping that was under way while a link was
// cut says nothing of it.
const inARow = 5

// linkWatch remembers what was said of each link, so that each change is told once.
type linkWatch struct {
	up, slow map[string]bool
	looks    map[string]int // in a row that speak against what was said
}

func newLinkWatch() linkWatch {
	return linkWatch{up: map[string]bool{}, slow: map[string]bool{}, looks: map[string]int{}}
}

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
		slow := w.slow[l.Name]
		if !l.Up || l.Last == 0 || slow == (l.Last > supportedRTT) || slow && l.Last > supportedRTT*4/5 {
			w.looks[l.Name] = 0
			continue
		}
		if w.looks[l.Name]++; w.looks[l.Name] < inARow {
			continue
		}
		w.slow[l.Name] = !slow
		if slow {
			news = append(news, fmt.Sprintf("link %s to array %s has a round trip of %v again", l.Name, target, l.Last.Round(10*time.Microsecond)))
			continue
		}
		news = append(news, fmt.Sprintf("warning: link %s to array %s has a round trip of %v; synchronous mode supports %v, and every write takes one",
			l.Name, target, l.Last.Round(10*time.Microsecond), supportedRTT))
	}
	return news
}

// watchLinks turns what happens to the links into events.
func (n *Node) watchLinks(ctx context.Context, p *pair.Pair) {
	w, told := newLinkWatch(), ""
	for pause(ctx, time.Second) {
		if text := n.misnamed(p); text != told {
			if told = text; text != "" {
				n.warn(text)
			}
		}
		for _, text := range w.look(n.to().Name, p.Peer().Status()) {
			if strings.HasSuffix(text, "is down") || strings.HasPrefix(text, "warning") {
				n.warn(text)
				continue
			}
			n.event(text)
		}
	}
}
