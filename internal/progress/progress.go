// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"fmt"
	"time"
)

// Step is how far a long command is.
type Step struct {
	What    string  `json:"what"`
	Percent float64 `json:"percent"`
	// Rate is in bytes a second since the command began, Text what it found so far.
	Rate float64 `json:"rate"`
	Text string  `json:"text,omitempty"`
	// Left is how long it takes at this rate, 0 if that is not known.
	Left time.Duration `json:"left,omitempty"`
	// Phase is which of its Phases it is in, from 1 on; both 0 if it has one only.
	Phase  int `json:"phase,omitempty"`
	Phases int `json:"phases,omitempty"`
}

func (p Step) String() string {
	s := fmt.Sprintf("%s: %.1f percent, %.1f MiB/s", p.What, p.Percent, p.Rate/(1<<20))
	if p.Left > 0 {
		s += ", " + p.Left.Round(time.Second).String() + " left"
	}
	if p.Text != "" {
		s += ", " + p.Text
	}
	return s
}

// every is the least time between two steps that are told.
const every = time.Second

// Meter tells of steps now and then.
type Meter struct {
	what        string
	tell        func(Step)
	now         func() time.Time
	began, told time.Time
	// phase of phases, told or not.
	phase, phases int
}

// NewMeter returns one that begins now. It tells nobody if tell is nil.
func NewMeter(what string, tell func(Step)) *Meter {
	now := time.Now()
	return &Meter{what: what, tell: tell, now: time.Now, began: now, told: now}
}

// Phase says which phase the command is in now. It is told at once.
func (m *Meter) Phase(phase, of int) {
	if m.phase != phase {
		m.phase, m.phases, m.told = phase, of, time.Time{}
	}
}

// Is says that so much was done.
func (m *Meter) Is(a Amount, text string) { m.At(a.Done, a.Total, a.Bytes, text) }

// At says that so much of all is done, for which so many bytes were read or written.
func (m *Meter) At(done, total, bytes int64, text string) {
	if m.tell == nil {
		return
	}
	now := m.now()
	if now.Sub(m.told) < every {
		return
	}
	m.told = now
	lasts := now.Sub(m.began)
	p := Step{What: m.what, Rate: float64(bytes) / max(lasts.Seconds(), 1e-3), Text: text, Phase: m.phase, Phases: m.phases}
	if total > 0 {
		p.Percent = 100 * float64(done) / float64(total)
	}
	if done > 0 && done < total {
		p.Left = time.Duration(float64(lasts) * float64(total-done) / float64(done))
	}
	m.tell(p)
}
