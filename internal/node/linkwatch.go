// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/pair"
)

// supportedRTT is the round trip up to which synchronous mode is supported: every
// write of a host takes one.
const supportedRTT = 10 * time.Millisecond

// inARow is how many looks must agree: a ping that was under way while a link was
// cut says nothing of it.
const inARow = 5

// linkWatch remembers what was said of each link. A slow link must become clearly better
// before it counts as well again.
type linkWatch struct {
	slow  map[string]bool
	looks map[string]int // in a row that speak against what was said
	up    map[string]bool
	down  map[string]int // looks in a row at a link that has not been up yet
}

func newLinkWatch() linkWatch {
	return linkWatch{slow: map[string]bool{}, looks: map[string]int{}, up: map[string]bool{}, down: map[string]int{}}
}

// linkNews is what people should know of a link: a condition that begins or ends.
type linkNews struct {
	kind, link string
	lasts      bool
	text       string
}

// neverUp is how many looks a link that has not been up since the start may be down.
const neverUp = 10

// look returns how the links are, as far as it is news or has to be said again.
func (w linkWatch) look(target string, links []link.Status) []linkNews {
	var news []linkNews
	for _, l := range links {
		was, known := w.up[l.Name]
		switch {
		case l.Up && !was:
			w.up[l.Name] = true
			news = append(news, linkNews{kindLink, l.Name, false, fmt.Sprintf("link %s to array %s is up", l.Name, target)})
		case !l.Up && was:
			w.up[l.Name] = false
			news = append(news, linkNews{kindLink, l.Name, true, fmt.Sprintf("link %s to array %s is down", l.Name, target)})
		case !l.Up && !known:
			if w.down[l.Name]++; w.down[l.Name] == neverUp {
				news = append(news, linkNews{kindLink, l.Name, true, fmt.Sprintf("link %s to array %s is down", l.Name, target)})
			}
		}
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
			news = append(news, linkNews{kindSlow, l.Name, false, fmt.Sprintf("link %s to array %s has a round trip of %v again", l.Name, target, l.Last.Round(10*time.Microsecond))})
			continue
		}
		news = append(news, linkNews{kindSlow, l.Name, true, fmt.Sprintf("warning: link %s to array %s has a round trip of %v; synchronous mode supports %v, and every write takes one",
			l.Name, target, l.Last.Round(10*time.Microsecond), supportedRTT)})
	}
	return news
}

// watchLinks turns what happens to the links into alerts.
func (n *Node) watchLinks(ctx context.Context, p *pair.Pair) {
	w, told := newLinkWatch(), ""
	for pause(ctx, time.Second) {
		if text := n.misnamed(p); text != told {
			if told = text; text != "" {
				n.warn(text)
			}
		}
		links := p.Peer().Status()
		for _, x := range w.look(n.to().Name, links) {
			c := event.Condition{Kind: x.kind, Object: x.link}
			switch {
			case x.lasts:
				n.raise(c, n.asPlanned(event.Minor), x.text)
			case !n.over(c, x.text):
				n.event(x.text)
			}
		}
		for _, x := range n.alerts.All() { // a link that was dismissed
			gone := !slices.ContainsFunc(links, func(l link.Status) bool { return l.Name == x.Object })
			if (x.Kind == kindLink || x.Kind == kindSlow) && gone {
				n.over(x.Condition, fmt.Sprintf("link %s to array %s was dismissed", x.Object, n.to().Name))
			}
		}
	}
}
