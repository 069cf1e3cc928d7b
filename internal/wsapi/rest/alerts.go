// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"fmt"
	"strconv"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/wsapi"
)

// What lasts, of the array that is asked: the incumbent has the command line only.
func alertRoutes() []route {
	const all, one = "/alerts", "/alerts/{alert}"
	return []route{
		{method: "GET", path: all, right: people.Look, about: "what is wrong with this array, and what was until lately", out: collection[alert]{}, query: filtered, do: getAlerts, own: true},
		{method: "GET", path: one, right: people.Look, about: "one alert", out: alert{}, do: getAlert, own: true},
		{method: "PUT", path: one, right: people.Maintain, about: "state Acknowledged, or New again", in: alertChange{}, do: putAlert, own: true},
		{method: "DELETE", path: one, right: people.Maintain, about: "forget an alert that has ended", do: deleteAlert, own: true},
	}
}

type alert struct {
	ID    uint64 `json:"id"`
	State string `json:"state"`
	// Severity is the incumbent's number, as in events.
	Severity     int    `json:"severity"`
	SeverityName string `json:"severityName"`
	Kind         string `json:"kind"`
	Object       string `json:"object"`
	MessageCode  string `json:"messageCode"`
	Description  string `json:"description"`
	Since        string `json:"since"`
	SinceSecs    int64  `json:"sinceSecs"`
	// Ended is absent while it lasts.
	Ended     string `json:"ended,omitempty"`
	EndedSecs int64  `json:"endedSecs,omitempty"`
}

type alertChange struct {
	State string `json:"state"`
}

func alertOf(x event.Alert) alert {
	a := alert{
		ID: uint64(x.ID), State: string(x.State()), Severity: severity(x.Severity), SeverityName: string(x.Severity),
		Kind: x.Kind, Object: x.Object, MessageCode: fmt.Sprintf("0x%07x", node.AlertCode(x.Kind)), Description: x.Text,
	}
	a.SinceSecs, a.Since = stamps(x.Since)
	if !x.Ended.IsZero() {
		a.EndedSecs, a.Ended = stamps(x.Ended)
	}
	return a
}

func getAlerts(c *call) (answer, error) {
	all := []alert{}
	for _, x := range c.array().Alerts() {
		all = append(all, alertOf(x))
	}
	return collect(c, all)
}

// alert is the one of the path.
func (c *call) alert() (event.Alert, error) {
	id, err := strconv.ParseInt(c.r.PathValue("alert"), 10, 64)
	if err != nil {
		return event.Alert{}, fail(wsapi.WrongType, "", "an alert is a number")
	}
	if err := between("alert", id, 1, 1<<53); err != nil {
		return event.Alert{}, err
	}
	return c.array().Alert(event.AlertID(id))
}

func getAlert(c *call) (answer, error) {
	x, err := c.alert()
	if err != nil {
		return answer{}, err
	}
	return ok(alertOf(x))
}

func putAlert(c *call) (answer, error) {
	x, err := c.alert()
	if err != nil {
		return answer{}, err
	}
	var in alertChange
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	word, is := map[string]string{string(event.Acknowledged): "ack", string(event.New): "new"}[in.State]
	if !is {
		return answer{}, fail(wsapi.BadEnum, "state", "state %.40q: want Acknowledged or New; an alert is fixed when its condition ends", in.State)
	}
	if err := c.run("setalert", word, strconv.FormatUint(uint64(x.ID), 10)); err != nil {
		return answer{}, err
	}
	return done(base + "/alerts/" + strconv.FormatUint(uint64(x.ID), 10))
}

func deleteAlert(c *call) (answer, error) {
	x, err := c.alert()
	if err != nil {
		return answer{}, err
	}
	if err := c.run("removealert", "-f", strconv.FormatUint(uint64(x.ID), 10)); err != nil {
		return answer{}, err
	}
	return done("")
}
