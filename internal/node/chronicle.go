// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/people"
)

// What happened is told as events; who did what is in the audit log. Both are this array's
// own, and stay over restarts.

func (n *Node) openLogs() (err error) {
	n.events, err = event.Open(n.store, event.MostEvents, func(err error) { n.log.Warn("the event log", "err", err) })
	if err != nil {
		return err
	}
	n.events.Ask(n.domainOfText)
	if n.audit, err = event.OpenAudit(n.store, event.MostActs); err != nil {
		return err
	}
	if n.alerts, err = event.OpenAlerts(n.store, n.events); err != nil {
		return err
	}
	n.looks.begin(n.alerts.All())
	return nil
}

// event tells what people may want to know, warn what they should look at, alarm what they
// must.
func (n *Node) event(text string) { n.tellPeople(event.Informational, text) }
func (n *Node) warn(text string)  { n.tellPeople(event.Minor, text) }
func (n *Node) alarm(text string) { n.tellPeople(event.Major, text) }

// Alarm tells people what a face of the array must tell.
func (n *Node) Alarm(text string) { n.alarm(text) }

func (n *Node) tellPeople(s event.Severity, text string) {
	n.log.Info("event", "severity", string(s), "text", text)
	n.events.Add(event.Event{At: time.Now(), Severity: s, Text: text})
}

// Events returns the newest events, oldest first.
func (n *Node) Events() []event.Event { return n.events.Newest() }

// audited runs a command, and writes who gave it and how it ended into the audit log,
// unless it only looks. What the array gives itself is written down if it was done. A log that can't be written is no reason to let hosts wait.
func (n *Node) audited(q Asked, c *command, run func() (string, error)) (string, error) {
	if c.right == people.Look || q.By.Part {
		return run()
	}
	if q.By.Itself || q.By.Over == overTask { // which may try again and again
		text, err := run()
		if err != nil {
			return text, err
		}
		run = func() (string, error) { return text, nil }
	}
	if q.permitted(c) != nil && !n.denials.room(q.By.User, time.Now()) {
		n.eventOnce(fmt.Sprintf("user %s gives commands that he may not give, again and again: more than %d of them in %v are not in the audit log", q.By.User, maxDenials, tellAgain))
		return run()
	}
	end, err := n.audit.Begin(event.Act{
		At: time.Now(), User: q.By.User, Role: q.By.Text(), From: q.By.From, Over: q.By.Over,
		Words: wordsText(c.blanked(q.Words)),
	})
	if err != nil {
		n.eventOnce(err.Error())
	}
	text, failed := run()
	result := event.Done
	if failed != nil {
		result = failed.Error()
	}
	if err := end(result, time.Now()); err != nil {
		n.eventOnce(err.Error())
	}
	return text, failed
}

// blank stands for a secret.
const blank = "********"

// maxWord is how much of a word people see: certificates are longer.
const maxWord = 256

// blanked returns words without the values of secret options, wherever they stand, without keys,
// and without the ends of long ones.
func (c *command) blanked(words []string) []string {
	given := words
	words = slices.Clone(words)
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case strings.Contains(w, "PRIVATE KEY"):
			words[i] = blank
		case len(w) > maxWord:
			words[i] = strings.ToValidUTF8(w[:maxWord], "") + fmt.Sprintf("... (%d bytes)", len(w))
		}
		if given[i] == "" || given[i][0] != '-' {
			continue
		}
		name, _, inWord := strings.Cut(strings.TrimLeft(given[i], "-"), "=")
		switch {
		case !slices.Contains(c.secret, name):
		case inWord:
			words[i] = "-" + name + "=" + blank
		case i+1 < len(words):
			words[i+1] = blank // which may look as another such option, for one whose value was forgotten
		}
	}
	return words
}

// wordsText is words as a person would write them.
func wordsText(words []string) string {
	out := slices.Clone(words)
	for i, w := range out {
		if w == "" || strings.ContainsAny(w, " \t\n\"';\\") {
			out[i] = strconv.Quote(w)
		}
	}
	return strings.Join(out, " ")
}
