// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// A contact is one unbroken stretch of talk between the two halves of a group. It
// begins with a number that each side draws and the other repeats in every packet.
// A packet that repeats an older number is late, from a connection that was stuck
// or a process that is gone, and is dropped: so a record of an order that was
// abandoned can't be taken for one of the order that goes on.

// helloAgain is how long an answer to the greeting is waited for.
const helloAgain = 250 * time.Millisecond

// Contact: a connection to the other array is up, or it answers again; what was
// under way before may be lost.
func (g *Group) Contact() {
	g.post(func() {
		if g.greeted && g.cfg.Now().Sub(g.greetedAt) < helloAgain/4 {
			return // the same occasion
		}
		g.lostContact()
		g.greet()
	})
}

func (g *Group) greet() {
	g.mine, g.theirs = nonce(), 0
	g.greeted, g.greetedAt = true, g.cfg.Now()
	g.sayHello()
}

func (g *Group) sayHello() {
	p := Packet{Type: PacketHello}
	binary.BigEndian.PutUint64(p.Tag[:8], g.mine)
	g.sends = append(g.sends, p)
}

// hello takes the other side's greeting.
func (g *Group) hello(theirs, repeats uint64) {
	if theirs == 0 {
		return
	}
	answer := repeats == g.mine && g.mine != 0
	if g.contact && theirs == g.theirs {
		return
	}
	if g.contact {
		// The other side began anew, and what either said since the last greeting is
		// void. If it repeats this side's number, what it says from now on is not.
		mine := g.mine
		g.lostContact()
		if answer {
			g.mine = mine
		}
	}
	if g.mine == 0 {
		g.mine = nonce()
	}
	g.theirs = theirs
	g.contact, g.greeted, g.toldSilent, g.contactAt = true, false, false, g.cfg.Now()
	g.openedFor = 0 // what was said in an earlier contact may be lost
	if !answer {
		g.sayHello()
	}
	g.newStretch()
	g.tellDescribed()
	g.tellLostRepeats()
	var out arb.Output
	g.m.Connected(&out)
	g.carry(&out)
	g.sayFailed()
}

// fresh reports whether a packet belongs to the present contact.
func (g *Group) fresh(p Packet) bool {
	return g.contact && g.mine != 0 && binary.BigEndian.Uint64(p.Tag[8:]) == g.mine
}

// repeatHello greets again where there was no answer, or where the other side
// answered and then did not tell its state.
func (g *Group) repeatHello(now time.Time) {
	if g.contact && !g.m.Inputs().Contact && now.Sub(g.contactAt) > 4*helloAgain {
		g.lostContact()
		g.greet()
	}
	if g.greeted && !g.contact && now.Sub(g.greetedAt) > helloAgain {
		g.greetedAt = now
		g.sayHello()
	}
}
