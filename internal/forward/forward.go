// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/event"
)

// Source is the log of events.
type Source interface {
	// EventsAfter returns those with larger numbers that there still are, oldest first.
	EventsAfter(id uint64) []event.Numbered
	// WatchEvents gets something when there are new ones.
	WatchEvents() (news <-chan struct{}, stop func())
}

// sender brings events to a receiver.
type sender interface {
	send(ctx context.Context, events []event.Numbered) error
	close()
}

const (
	// atOnce is how many events are sent together.
	atOnce = 64
	// sendWithin bounds one attempt; the next one comes after pauseFirst, and then after
	// twice as long as before, up to pauseMost.
	sendWithin = 10 * time.Second
	pauseFirst = time.Second
	pauseMost  = time.Minute
)

// Forwarder sends the events of one log to one receiver.
type Forwarder struct {
	Source Source
	// Least is the least severity that is sent.
	Least event.Severity
	// Last is the number of the last event that was sent; Sent is told of a new one.
	Last uint64
	Sent func(last uint64)
	// Told is told once when events can't be sent, and once when they can again.
	Told func(text string, bad bool)

	name string
	// lost fell out of the log since something could be sent.
	lost          uint64
	to            sender
	first, within time.Duration
}

// Run sends events until ctx ends.
func (f *Forwarder) Run(ctx context.Context) {
	defer f.to.close()
	news, stop := f.Source.WatchEvents()
	defer stop()
	wait, away := f.first, false
	for ctx.Err() == nil {
		err := f.all(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !away {
				f.Told(fmt.Sprintf("events can't be forwarded to %s: %v; they are kept and sent when it answers", f.name, err), true)
			}
			away = true
			if !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, pauseMost)
			continue
		case f.lost > 0:
			f.Told(fmt.Sprintf("events are forwarded to %s again; %d had fallen out of the log before", f.name, f.lost), true)
		case away:
			f.Told("events are forwarded to "+f.name+" again", false)
		}
		f.lost = 0
		wait, away = f.first, false
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
}

// all sends what there is.
func (f *Forwarder) all(ctx context.Context) error {
	for {
		events := f.Source.EventsAfter(f.Last)
		if len(events) == 0 {
			return nil
		}
		if lost := events[0].ID - f.Last - 1; lost > 0 {
			f.lost, f.Last = f.lost+lost, f.Last+lost
		}
		events = events[:min(len(events), atOnce)]
		var some []event.Numbered
		for _, e := range events {
			if rank(e.Severity) >= rank(f.Least) {
				some = append(some, e)
			}
		}
		if len(some) > 0 {
			within, cancel := context.WithTimeout(ctx, f.within)
			err := f.to.send(within, some)
			cancel()
			if err != nil {
				return err
			}
		}
		f.Last = events[len(events)-1].ID
		f.Sent(f.Last)
	}
}

// rank orders severities.
func rank(s event.Severity) int {
	for i, o := range event.Severities() {
		if o == s {
			return i
		}
	}
	return 0
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
