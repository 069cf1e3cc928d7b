// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

const (
	streamPath = "/eventstream"
	// beatEvery is how often a stream without events says that it is there, and looks
	// whether its session is.
	beatEvery = 15 * time.Second
)

func eventRoutes() []route {
	return []route{
		{method: "GET", path: "/eventlog", right: people.Look, about: "the newest events; ?since= those after one, minutes:<n> those of the last minutes", out: collection[entry]{}, query: []string{"query", "since"}, do: getEvents},
		{method: "GET", path: "/eventlog/{span}", right: people.Look, about: "minutes:<n>: events of the last minutes", out: collection[entry]{}, query: filtered, do: getEventsOf},
		{method: "GET", path: streamPath, right: people.Look, about: "events as they come, as server-sent events; Last-Event-ID goes on after one", do: getEventStream},
	}
}

// entry is an event.
type entry struct {
	ID       uint64 `json:"id"`
	Time     string `json:"time"`
	TimeSecs int64  `json:"timeSecs"`
	SysName  string `json:"sysName"`
	// Severity is the incumbent's: 3 major, 4 minor, 6 informational.
	Severity     int    `json:"severity"`
	SeverityName string `json:"severityName"`
	Description  string `json:"description"`
	// Domain is that of all that it names.
	Domain string `json:"domain,omitempty"`
	// Alert is the alert that begins or ends, as Mark says.
	Alert uint64 `json:"alert,omitempty"`
	Mark  string `json:"alertMark,omitempty"`
}

func eventOf(e event.Numbered, sys string) entry {
	sec, iso := stamps(e.At)
	return entry{ID: e.ID, Time: iso, TimeSecs: sec, SysName: sys, Description: e.Text, Domain: e.Domain, SeverityName: string(e.Severity), Severity: severity(e.Severity), Alert: uint64(e.Alert), Mark: string(e.Mark)}
}

// severity is the incumbent's number.
func severity(s event.Severity) int {
	switch s {
	case event.Major:
		return 3
	case event.Minor:
		return 4
	}
	return 6
}

func events(c *call, after uint64, since time.Time) []entry {
	all, sys := []entry{}, c.array().System().Name
	for _, e := range c.array().EventsAfter(after) {
		if !e.At.Before(since) {
			all = append(all, eventOf(e, sys))
		}
	}
	return all
}

func getEvents(c *call) (answer, error) {
	after, err := eventID("since", c.r.URL.Query().Get("since"))
	if err != nil {
		return answer{}, err
	}
	return collect(c, events(c, after, time.Time{}))
}

func eventID(ref, s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fail(wsapi.WrongType, ref, "%s is %.40q: want an event's number", ref, s)
	}
	return id, nil
}

func getEventsOf(c *call) (answer, error) {
	minutes, is := strings.CutPrefix(c.r.PathValue("span"), "minutes:")
	n, err := strconv.Atoi(minutes)
	if !is || err != nil {
		return answer{}, fail(wsapi.BadInput, "", "want minutes: and a number")
	}
	if err := between("minutes", int64(n), 1, 525600); err != nil {
		return answer{}, err
	}
	return collect(c, events(c, 0, time.Now().Add(-time.Duration(n)*time.Minute)))
}

// getEventStream stays until the client, the server or the session ends.
func getEventStream(c *call) (answer, error) {
	last, err := eventID("Last-Event-ID", c.r.Header.Get("Last-Event-ID"))
	if err != nil {
		return answer{}, err
	}
	if !c.s.streams.take(c.r.Context(), 0) {
		return answer{}, array.Errorf(array.Busy, "there are %d streams of events, the most there may be", maxStreams)
	}
	defer c.s.streams.give()
	news, stop := c.array().WatchEvents()
	defer stop()
	if c.r.Header.Get("Last-Event-ID") == "" {
		last = c.newest()
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	s := stream{c: c, out: http.NewResponseController(c.w)}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	err = s.send(": perdure\n\n")
	over := func() bool {
		_, err := c.s.cfg.People.Session(c.r.Header.Get(sessionHeader), time.Now())
		return err != nil
	}
	for err == nil {
		came := c.array().EventsAfter(last)
		if over() { // events are for who may see them when they come: it is looked at after they did
			return answer{streamed: true}, nil
		}
		if last, err = s.events(came, last); err != nil {
			break
		}
		select {
		case <-news:
		case <-beat.C:
			err = s.send(": \n\n")
		case <-c.r.Context().Done():
			return answer{streamed: true}, nil
		case <-c.s.ended.Done():
			return answer{streamed: true}, nil
		}
	}
	return answer{streamed: true}, nil // who listened has gone
}

// newest is the number of the newest event.
func (c *call) newest() (id uint64) {
	for _, e := range c.array().EventsAfter(0) {
		id = e.ID
	}
	return id
}

type stream struct {
	c   *call
	out *http.ResponseController
}

func (s stream) send(text string) error {
	if err := s.out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := s.c.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.out.Flush()
}

// events sends those that came after one, and returns the last.
func (s stream) events(came []event.Numbered, last uint64) (uint64, error) {
	sys := s.c.array().System().Name
	for _, e := range came {
		b, err := json.Marshal(eventOf(e, sys))
		if err != nil {
			return last, err
		}
		if err := s.send(fmt.Sprintf("id: %d\nevent: event\ndata: %s\n\n", e.ID, b)); err != nil {
			return last, err
		}
		last = e.ID
	}
	return last, nil
}
