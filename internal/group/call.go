// SPDX-License-Identifier: Apache-2.0

package group

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// maxCalls bounds the commands that wait for the other array's answer.
const maxCalls = 1024

// call is a command that the other array carries out for this one: reservations
// and facts asked for on a standby path, and resets, which reach both arrays.
type call struct {
	Type    string               `json:"type"`
	Volume  array.VolumeID       `json:"volume"`
	Nexus   reservation.Nexus    `json:"nexus"`
	Age     time.Duration        `json:"age"`
	Request *reservation.Request `json:"request,omitempty"`
	Scope   scsi.Scope           `json:"scope,omitempty"`

	answer func(reply)
	sent   time.Time
}

// reply answers a call.
type reply struct {
	Kind  array.Kind `json:"kind"`
	Error string     `json:"error,omitempty"`
	Size  int64      `json:"size"`
	State []byte     `json:"state,omitempty"`
}

func (r reply) err() error {
	if r.Error == "" {
		return nil
	}
	return &array.Error{Kind: r.Kind, Text: r.Error}
}

func replyTo(err error) reply {
	if err == nil {
		return reply{}
	}
	var e *array.Error
	if errors.As(err, &e) {
		return reply{Kind: e.Kind, Error: e.Error()}
	}
	return reply{Kind: array.Internal, Error: err.Error()}
}

// forwardable: what a standby path answers although the other array serves.
func (w *work) forwardable() bool { return w.request != nil || w.inspect != nil }

// forward sends w to the owner.
func (g *Group) forward(w *work) {
	c := call{Type: "inspect", Volume: w.unit.id.Volume, Nexus: w.op.Nexus, Age: g.cfg.Now().Sub(w.op.Arrived)}
	if w.request != nil {
		c.Type, c.Request = "reserve", w.request
	}
	c.answer = func(r reply) {
		if r.Error != "" && elsewhere(r.Kind) {
			g.waiting = append(g.waiting, w) // the owner moved, and nothing was done
			return
		}
		if r.err() != nil || w.request != nil {
			w.finish(r.err())
			return
		}
		var st reservation.State
		if err := st.UnmarshalBinary(r.State); err != nil {
			w.finish(array.Errorf(array.Busy, "the other array's answer can't be read"))
			return
		}
		w.unit.g.unbusy(w)
		w.inspect(scsi.Facts{Size: r.Size, Reservations: &st}, nil)
	}
	g.send(c)
}

// elsewhere reports whether an array refused because it does not own the group.
func elsewhere(k array.Kind) bool {
	return k == array.Moved || k == array.Standby || k == array.Unavailable
}

func (g *Group) send(c call) {
	b, err := json.Marshal(c)
	if err != nil || len(g.calls) >= maxCalls || !g.contact {
		c.answer(reply{Kind: array.Busy, Error: "the other array can't be asked now"})
		return
	}
	p := Packet{Type: PacketCall, Epoch: g.view.Epoch, Body: b}
	_, _ = rand.Read(p.Tag[:8])
	c.sent = g.cfg.Now()
	g.calls[[8]byte(p.Tag[:8])] = &c
	g.sends = append(g.sends, p)
}

// serveCall carries out what the other array asks.
func (g *Group) serveCall(p Packet) {
	var c call
	answer := func(r reply) {
		g.post(func() {
			if b, err := json.Marshal(r); err == nil {
				g.sends = append(g.sends, Packet{Type: PacketReply, Epoch: g.view.Epoch, Tag: p.Tag, Body: b})
			}
		})
	}
	if err := json.Unmarshal(p.Body, &c); err != nil || c.Age < 0 {
		answer(reply{Kind: array.Invalid, Error: "the call can't be read"})
		return
	}
	u := g.units[c.Volume]
	if u == nil || p.Epoch != g.view.Epoch {
		answer(reply{Kind: array.Moved, Error: "the group is changing hands"})
		return
	}
	op := &scsi.Op{Nexus: c.Nexus, Arrived: g.cfg.Now().Add(-c.Age)}
	w := &work{unit: u, op: op, called: true}
	switch c.Type {
	case "reserve":
		if c.Request == nil {
			answer(reply{Kind: array.Invalid, Error: "the call has no request"})
			return
		}
		w.request, w.done = c.Request, func(err error) { answer(replyTo(err)) }
	case "inspect":
		w.inspect = func(f scsi.Facts, err error) {
			r := replyTo(err)
			if err == nil {
				r.Size = f.Size
				r.State, _ = f.Reservations.MarshalBinary()
			}
			answer(r)
		}
	case "reset":
		g.resetHere(u, c.Scope, c.Nexus, func() { answer(reply{}) })
		return
	default:
		answer(reply{Kind: array.Invalid, Error: "the call is of an unknown type"})
		return
	}
	if st := g.state(); st == gateStandby || st == gateLost || st == gateShare {
		answer(reply{Kind: array.Moved, Error: "this array does not own the group"})
		return
	}
	g.waiting = append(g.waiting, w)
}

func (g *Group) takeReply(p Packet) {
	c := g.calls[[8]byte(p.Tag[:8])]
	if c == nil {
		return
	}
	delete(g.calls, [8]byte(p.Tag[:8]))
	var r reply
	if err := json.Unmarshal(p.Body, &r); err != nil {
		r = reply{Kind: array.Busy, Error: "the other array's answer can't be read"}
	}
	c.answer(r)
}

// dropCalls answers what the other array will not. It may have changed a reservation,
// so BUSY, by which nothing happened, would be untrue: the host's session ends, and it
// asks again. A question is simply asked again.
func (g *Group) dropCalls() {
	for tag, c := range g.calls {
		delete(g.calls, tag)
		kind := array.Busy
		if c.Request != nil {
			kind = array.Unknown
		}
		c.answer(reply{Kind: kind, Error: "the other array was lost"})
	}
}

// callWithin is how long the other array may take to answer: a command waits there
// for its place until it is late, and some time goes by on the way.
const callWithin = scsi.Late + 500*time.Millisecond

// checkCalls begins a new contact when a call stays without an answer: what is still on
// the way, on a connection that is stuck, is void then and can't arrive fresh.
func (g *Group) checkCalls(now time.Time) {
	for _, c := range g.calls {
		if now.Sub(c.sent) > callWithin {
			g.lostContact()
			g.greet()
			return
		}
	}
	if g.lateForward(now) {
		g.forwards.allowed = allowance{bytes: leastAllowance, lowered: now}
		g.lostContact()
		g.greet()
	}
}

// Reset aborts every command on the unit through both arrays. It fails if the other
// array, which may have some, does not say that they are quiet.
func (u *Unit) Reset(op *scsi.Op, scope scsi.Scope, done func(error)) {
	g := u.g
	ok := g.post(func() {
		left := 1
		var failed error
		part := func(err error) {
			failed = errors.Join(failed, err)
			if left--; left == 0 {
				done(failed)
			}
		}
		switch {
		case g.view.Role == arb.Alone:
		case g.contact:
			left++
			g.send(call{Type: "reset", Volume: u.id.Volume, Nexus: op.Nexus, Scope: scope, answer: func(r reply) { part(r.err()) }})
		default:
			left++
			part(array.Errorf(array.Unavailable, "%s: the other array can't be reached, and may have commands under way", g.what()))
		}
		g.resetHere(u, scope, op.Nexus, func() { part(nil) })
	})
	if !ok {
		done(array.Errorf(array.Busy, "%s is closing", g.what()))
	}
}

// resetHere ends what has no place and calls then when what has one is done.
func (g *Group) resetHere(u *Unit, scope scsi.Scope, by reservation.Nexus, then func()) {
	if scope == scsi.ResetUnit && u.state.Load().Reserved6 && g.state() == gateServe {
		// A legacy reservation does not outlive a reset; the reset is answered when
		// that is installed.
		after := then
		then = func() {
			// Posted, for the waiting may be gone through now.
			w := &work{
				unit: u, op: &scsi.Op{Nexus: by, Arrived: g.cfg.Now()}, done: func(error) { after() },
				request: &reservation.Request{Action: reservation.UnitReset, Nexus: by},
			}
			if !g.post(func() { g.waiting = append(g.waiting, w) }) {
				after()
			}
		}
	}
	kind := scsi.ResetNotice
	if scope == scsi.ClearTasks {
		kind = scsi.TasksCleared
	}
	left := 1
	part := func() {
		if left--; left == 0 {
			then()
		}
	}
	keep := g.waiting[:0]
	var dead []*work
	for _, w := range g.waiting {
		if w.unit == u && !w.running {
			dead = append(dead, w)
			continue
		}
		if w.unit == u { // ends when its read returns
			left++
			w.killed, w.ended = array.Errorf(array.Aborted, "volume %s was reset", u.id.Name), append(w.ended, part)
		}
		keep = append(keep, w)
	}
	clear(g.waiting[len(keep):])
	g.waiting = keep
	for _, w := range g.forwards.byID {
		if w.unit == u { // ends with the owner's word
			left++
			w.ended = append(w.ended, part)
		}
	}
	for _, w := range dead {
		w.finish(array.Errorf(array.Aborted, "volume %s was reset", u.id.Name))
	}
	u.tell(scsi.Notice{Kind: kind, Nexus: by})
	for i := len(g.tail) - 1; i >= 0; i-- {
		if e := g.tail[i]; e.rec.Kind != journal.Entry && e.rec.Volume == u.id.Volume {
			next := e.then
			e.then = func() {
				if next != nil {
					next()
				}
				part()
			}
			return
		}
	}
	part()
}
